"""The way to what labelers see: one query decides whether a session exists for this person.

A session that somebody has no part in is not found, whether it is another workspace's or just not theirs.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.db.models import Exists, OuterRef, Q, Subquery
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_http_methods

from apps.accounts.access import Access, require
from apps.accounts.models import Membership
from apps.accounts.permissions import Permission
from apps.labeling.models import Participant, Session, SessionState
from apps.projects.access import ProjectRequest

Arguments = ParamSpec("Arguments")

NOT_FOR_LABELERS = (SessionState.DRAFT, SessionState.PREPARING)


class LabelerRequest(ProjectRequest):
    """A request of somebody who takes part in `labeling`."""

    labeling: Session


def labeler_view(
    *, methods: tuple[str, ...] = ("GET",)
) -> Callable[
    [Callable[Concatenate[LabelerRequest, Arguments], HttpResponseBase]], Callable[..., HttpResponseBase]
]:
    """A page or call of a session, `…/<pk>/…`, for those who take part in it."""

    def decorate(
        view: Callable[Concatenate[LabelerRequest, Arguments], HttpResponseBase],
    ) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        def inside(
            request: Any,
            workspace_slug: str,
            project_slug: str,
            pk: int,
            *args: Arguments.args,
            **kwargs: Arguments.kwargs,
        ) -> HttpResponseBase:
            enter_session(request, workspace_slug, project_slug, pk)
            return view(request, *args, **kwargs)

        guarded = require_http_methods([*methods, "HEAD"])(login_required(inside))
        guarded.access = Access("project", Permission.LABEL)  # type: ignore[attr-defined]
        return guarded

    return decorate


def enter_session(request: HttpRequest, workspace_slug: str, project_slug: str, pk: int) -> None:
    """Set workspace, membership, project and `request.labeling`, or raise Http404 / NotAllowedError."""
    user_id = request.user.pk or 0
    role = Membership.objects.filter(workspace=OuterRef("project__workspace"), user=user_id).values("role")
    part = Participant.objects.filter(session=OuterRef("pk"), user=user_id, is_active=True)
    session = (
        Session.objects.select_related("project__workspace", "guideline_version")
        .annotate(role=Subquery(role), takes_part=Exists(part))
        .filter(
            pk=pk,
            project__slug=project_slug,
            project__workspace__slug=workspace_slug,
            role__isnull=False,
        )
        .first()
    )
    if session is None:
        raise Http404("No such session")
    membership = Membership(workspace=session.project.workspace, user_id=user_id, role=session.role)
    require(membership, Permission.LABEL)
    if session.state in NOT_FOR_LABELERS or not (session.everyone or session.takes_part):
        raise Http404("No such session")
    request.workspace = session.project.workspace  # type: ignore[attr-defined]
    request.membership = membership  # type: ignore[attr-defined]
    request.project = session.project  # type: ignore[attr-defined]
    request.labeling = session  # type: ignore[attr-defined]


def takes_part(user_id: int) -> Q:
    """The sessions that hand this person items."""
    return (Q(everyone=True) | Q(participants__user=user_id, participants__is_active=True)) & ~Q(
        state__in=NOT_FOR_LABELERS
    )
