"""The REST API: every app's routers under one schema, with the documentation at /api/docs."""

from ninja import NinjaAPI

from apps.core.api import register_errors
from apps.datasets.api import routers as dataset_routers
from apps.jobs.api import router as jobs
from apps.projects.api import router as projects
from apps.providers.api import router as connections

api = NinjaAPI(
    title="ftportal",
    version="1",
    description=(
        "What the pages can do, for programs. Send an API key of the workspace as `Authorization: Bearer ftp-…`;"
        ' it may do what the person may who made it. Errors are `{"error": {"code", "message"}}`. Long work'
        " runs in the background: ask again until its state says that it is done."
    ),
    urls_namespace="api",
)
register_errors(api)
api.add_router("/w/{slug:workspace_slug}", projects)
api.add_router("/w/{slug:workspace_slug}", connections)
for router in (*dataset_routers, jobs):
    api.add_router("/w/{slug:workspace_slug}/p/{slug:project_slug}", router)
