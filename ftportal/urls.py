"""Every address of the site. Inside a workspace the stages of a project follow the order of the work."""

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from apps.core.gallery import gallery, gallery_metrics, gallery_running, gallery_stream
from apps.core.views import health
from apps.overview.views import home
from ftportal.api import api

admin.site.site_header = "ftportal admin review"
admin.site.site_title = "ftportal admin review"
admin.site.index_title = "Everything, for review"

workspace_urls: list[URLPattern | URLResolver] = [
    path("", include("apps.overview.workspace_urls")),
    path("", include("apps.projects.urls")),
    path("settings/", include("apps.accounts.workspace_urls")),
    path("settings/audit/", include("apps.audit.urls")),
    path("settings/connections/", include("apps.providers.urls")),
    path("settings/connections/", include("apps.registry.workspace_urls")),
    path("settings/api/", include("apps.gateway.urls")),
    path("operations/", include("apps.operations.urls")),
]

project_urls: list[URLPattern | URLResolver] = [
    path("", include("apps.overview.urls")),
    path("data/", include("apps.datasets.urls")),
    path("label/", include("apps.labeling.urls")),
    path("train/", include("apps.jobs.urls")),
    path("evaluate/", include("apps.evaluations.urls")),
    path("models/", include("apps.registry.urls")),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home, name="home"),
    path("healthz", health, name="health"),
    path("admin/", admin.site.urls),
    path("api/", RedirectView.as_view(pattern_name="api:openapi-view"), name="api_home"),
    path("api/", api.urls),
    path("", include("apps.accounts.urls")),
    path("w/<slug:workspace_slug>/p/<slug:project_slug>/", include(project_urls)),
    path("w/<slug:workspace_slug>/", include(workspace_urls)),
]

if settings.DEBUG:
    urlpatterns += [
        path("gallery/", gallery, name="gallery"),
        path("gallery/running/", gallery_running, name="gallery_running"),
        path("gallery/metrics/<slug:run>/", gallery_metrics, name="gallery_metrics"),
        path("gallery/stream/", gallery_stream, name="gallery_stream"),
    ]

handler400 = "apps.core.views.bad_request"
handler403 = "apps.core.views.permission_denied"
handler404 = "apps.core.views.page_not_found"
handler500 = "apps.core.views.server_error"
