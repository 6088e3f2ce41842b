"""The way into every page of a project."""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_http_methods

from apps.accounts.access import Access, WorkspaceRequest, enter_workspace
from apps.accounts.permissions import Permission
from apps.projects.models import Project

Arguments = ParamSpec("Arguments")


class ProjectRequest(WorkspaceRequest):
    """A request inside a project of a workspace that the person belongs to."""

    project: Project


def enter_project(
    request: HttpRequest, workspace_slug: str, project_slug: str, permission: Permission
) -> None:
    """Set `request.workspace`, `request.membership` and `request.project`, or raise Http404 / NotAllowedError."""
    enter_workspace(request, workspace_slug, permission)
    workspace = request.workspace  # type: ignore[attr-defined]
    project = Project.objects.filter(workspace=workspace, slug=project_slug).first()
    if project is None:
        raise Http404("No such project")
    project.workspace = workspace
    request.project = project  # type: ignore[attr-defined]


def project_view(
    permission: Permission, *, methods: tuple[str, ...] = ("GET",)
) -> Callable[
    [Callable[Concatenate[ProjectRequest, Arguments], HttpResponseBase]], Callable[..., HttpResponseBase]
]:
    """A page inside `/w/<workspace_slug>/p/<project_slug>/`; the view gets `request.project` and what is above."""

    def decorate(
        view: Callable[Concatenate[ProjectRequest, Arguments], HttpResponseBase],
    ) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def inside(
            request: Any,
            workspace_slug: str,
            project_slug: str,
            *args: Arguments.args,
            **kwargs: Arguments.kwargs,
        ) -> HttpResponseBase:
            enter_project(request, workspace_slug, project_slug, permission)
            return view(request, *args, **kwargs)

        guarded = require_http_methods([*methods, "HEAD"])(login_required(inside))
        guarded.access = Access("project", permission)  # type: ignore[attr-defined]
        return guarded

    return decorate
