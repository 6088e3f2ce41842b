"""Projects by API, and the way into one."""

from typing import TYPE_CHECKING

from django.http import Http404, HttpRequest
from ninja import Path, Router, Schema

from apps.accounts.api_keys import WorkspaceKey
from apps.accounts.models import ApiKey
from apps.accounts.permissions import Permission
from apps.core.api import REFUSALS
from apps.projects.access import enter_project
from apps.projects.models import Project
from apps.projects.selectors import projects_of

if TYPE_CHECKING:
    from apps.accounts.access import WorkspaceRequest

router = Router(tags=["Projects"])


class ProjectKey(WorkspaceKey):
    """For an address below a project: sets `request.project`, too."""

    def enter(self, request: HttpRequest, key: ApiKey) -> None:
        assert request.resolver_match is not None
        places = request.resolver_match.kwargs
        if key.workspace.slug != places["workspace_slug"]:
            raise Http404("The key belongs to another workspace")
        enter_project(request, places["workspace_slug"], places["project_slug"], self.permission)


class _Place(Schema):
    workspace_slug: str
    project_slug: str


ProjectPlace = Path[_Place]
"""The part of an address that every operation below a project has; `ProjectKey` has entered it by then."""


class ProjectOut(Schema):
    slug: str
    name: str
    goal: str
    base_model: str


@router.get(
    "/projects/",
    auth=WorkspaceKey(Permission.VIEW),
    response={200: list[ProjectOut], **REFUSALS},
    url_name="projects",
)
def projects(request: "WorkspaceRequest", workspace_slug: Path[str]) -> list[Project]:
    """The projects of the workspace."""
    return list(projects_of(request.workspace))
