"""Reads about background work, scoped to a workspace."""

from django.db.models import Model, QuerySet

from apps.accounts.models import Workspace
from apps.operations.models import Operation


def operations_of(workspace: Workspace) -> QuerySet[Operation]:
    """All of the workspace, newest first."""
    return Operation.objects.filter(workspace=workspace).select_related("actor").order_by("-pk")


def active_operations_of(workspace: Workspace) -> list[Operation]:
    """What waits or runs now, oldest first; a page's worth."""
    return list(Operation.objects.filter(workspace=workspace, state__in=Operation.ACTIVE).order_by("pk")[:20])


def latest_operation_for(subject: Model, *kinds: str) -> Operation | None:
    """The newest operation on `subject`, of the given kinds if any are given."""
    found = Operation.objects.filter(subject_type=subject._meta.label_lower, subject_id=subject.pk)
    if kinds:
        found = found.filter(kind__in=kinds)
    return found.order_by("-pk").first()
