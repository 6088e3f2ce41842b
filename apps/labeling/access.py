"""The way to what labelers see: one query decides whether a session exists for this person.

A session that somebody has no part in is not found, whether it is another workspace's or just not theirs.
"""

from collections.abc import Callable
from copy import copy
from datetime import datetime
from functools import lru_cache, wraps
from typing import Any, Concatenate, ParamSpec

from django.contrib.auth.decorators import login_required
from django.db import connection
from django.db.models import Q
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_http_methods

from apps.accounts.access import Access, require
from apps.accounts.models import Membership
from apps.accounts.permissions import Permission
from apps.labeling.models import Session, SessionState
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


_ENTER = """
    SELECT greatest(s.updated_at, p.updated_at, w.updated_at), m.role, s.everyone OR EXISTS (
        SELECT 1 FROM labeling_participant t WHERE t.session_id = s.id AND t.user_id = %(user)s AND t.is_active
    )
    FROM labeling_session s
    JOIN projects_project p ON p.id = s.project_id
    JOIN accounts_workspace w ON w.id = p.workspace_id
    JOIN accounts_membership m ON m.workspace_id = w.id AND m.user_id = %(user)s
    WHERE s.id = %(session)s AND p.slug = %(project)s AND w.slug = %(workspace)s"""


def enter_session(request: HttpRequest, workspace_slug: str, project_slug: str, pk: int) -> None:
    """Set workspace, membership, project and `request.labeling`, or raise Http404 / NotAllowedError."""
    user_id = request.user.pk or 0
    with connection.cursor() as cursor:
        cursor.execute(
            _ENTER, {"session": pk, "user": user_id, "project": project_slug, "workspace": workspace_slug}
        )
        row = cursor.fetchone()
    if row is None:
        raise Http404("No such session")
    updated_at, role, is_part_of_it = row
    session = _session(pk, updated_at)
    membership = Membership(workspace=session.project.workspace, user_id=user_id, role=role)
    require(membership, Permission.LABEL)
    if session.state in NOT_FOR_LABELERS or not is_part_of_it:
        raise Http404("No such session")
    request.workspace = session.project.workspace  # type: ignore[attr-defined]
    request.membership = membership  # type: ignore[attr-defined]
    request.project = session.project  # type: ignore[attr-defined]
    request.labeling = session  # type: ignore[attr-defined]


@lru_cache(maxsize=256)
def _read_session(pk: int, updated_at: datetime) -> Session:
    return Session.objects.select_related("project__workspace", "guideline_version__guideline").get(pk=pk)


def _session(pk: int, updated_at: datetime) -> Session:
    """As it was last changed; read again only then. Each request gets a copy of its own."""
    return copy(_read_session(pk, updated_at))


def takes_part(user_id: int) -> Q:
    """The sessions that hand this person items."""
    return (Q(everyone=True) | Q(participants__user=user_id, participants__is_active=True)) & ~Q(
        state__in=NOT_FOR_LABELERS
    )
