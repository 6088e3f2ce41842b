"""The way into every page: who is asking, in which workspace, and whether the role allows it.

A foreign workspace is a 404, a missing permission a 403. Views wrapped here carry `access`, which the
architecture tests read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_http_methods

from apps.accounts.models import Membership, User, Workspace
from apps.accounts.permissions import Permission
from apps.core.errors import NotAllowedError

Arguments = ParamSpec("Arguments")


class UserRequest(HttpRequest):
    """A request of somebody who signed in."""

    user: User
    htmx: Any


class WorkspaceRequest(UserRequest):
    """A request inside a workspace that the person belongs to."""

    workspace: Workspace
    membership: Membership


@dataclass(frozen=True)
class Access:
    """What a view asks for; `permission` None: any signed-in person."""

    scope: str
    permission: Permission | None


def enter_workspace(request: HttpRequest, slug: str, permission: Permission) -> None:
    """Set `request.workspace` and `request.membership`, or raise Http404 / NotAllowedError."""
    membership = (
        Membership.objects.select_related("workspace")
        .filter(workspace__slug=slug, user_id=request.user.pk or 0)
        .first()
    )
    if membership is None:
        raise Http404("No such workspace")
    request.workspace = membership.workspace  # type: ignore[attr-defined]
    request.membership = membership  # type: ignore[attr-defined]
    require(membership, permission)


def require(membership: Membership, permission: Permission) -> None:
    """Raise `NotAllowedError` unless the member's role allows `permission`."""
    if not membership.allows(permission):
        raise NotAllowedError(
            f"As a {membership.get_role_display().lower()} of {membership.workspace} you can look at this, but not"
            " change it. An owner of the workspace can give you another role."
            if permission is not Permission.VIEW
            else f"Your role in {membership.workspace} does not allow this."
        )


def user_view(
    *, methods: tuple[str, ...] = ("GET",)
) -> Callable[
    [Callable[Concatenate[UserRequest, Arguments], HttpResponseBase]], Callable[..., HttpResponseBase]
]:
    """A page for anyone who signed in."""

    def decorate(
        view: Callable[Concatenate[UserRequest, Arguments], HttpResponseBase],
    ) -> Callable[..., HttpResponseBase]:
        guarded = require_http_methods([*methods, "HEAD"])(login_required(view))
        guarded.access = Access("user", None)  # type: ignore[attr-defined]
        return guarded

    return decorate


def workspace_view(
    permission: Permission, *, methods: tuple[str, ...] = ("GET",)
) -> Callable[
    [Callable[Concatenate[WorkspaceRequest, Arguments], HttpResponseBase]], Callable[..., HttpResponseBase]
]:
    """A page inside `/w/<workspace_slug>/`; the view gets `request.workspace` and `request.membership`."""

    def decorate(
        view: Callable[Concatenate[WorkspaceRequest, Arguments], HttpResponseBase],
    ) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def inside(
            request: Any, workspace_slug: str, *args: Arguments.args, **kwargs: Arguments.kwargs
        ) -> HttpResponseBase:
            enter_workspace(request, workspace_slug, permission)
            return view(request, *args, **kwargs)

        guarded = require_http_methods([*methods, "HEAD"])(login_required(inside))
        guarded.access = Access("workspace", permission)  # type: ignore[attr-defined]
        return guarded

    return decorate
