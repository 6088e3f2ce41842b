"""Reading the record, one workspace at a time."""

from dataclasses import dataclass
from datetime import date

from django.db.models import Q, QuerySet

from apps.accounts.models import Workspace
from apps.audit.models import AuditEvent


@dataclass(frozen=True, kw_only=True)
class AuditFilter:
    """What the page's form narrows by; empty values narrow nothing."""

    actor: str = ""
    action: str = ""
    target: str = ""
    since: date | None = None
    until: date | None = None


def events_of(workspace: Workspace, wanted: AuditFilter) -> QuerySet[AuditEvent]:
    """Events of one workspace, newest first."""
    events = AuditEvent.objects.filter(workspace=workspace)
    if wanted.actor:
        events = events.filter(actor_label__icontains=wanted.actor)
    if wanted.action:
        events = events.filter(action__startswith=wanted.action)
    if wanted.target:
        events = events.filter(
            Q(target_label__icontains=wanted.target) | Q(target_type__icontains=wanted.target)
        )
    if wanted.since:
        events = events.filter(created_at__date__gte=wanted.since)
    if wanted.until:
        events = events.filter(created_at__date__lte=wanted.until)
    return events.order_by("-pk")


def actions_of(workspace: Workspace) -> list[str]:
    """The actions that occurred, for the filter."""
    return list(
        AuditEvent.objects.filter(workspace=workspace)
        .order_by("action")
        .values_list("action", flat=True)
        .distinct()
    )
