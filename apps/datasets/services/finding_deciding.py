"""Decisions about findings of many rows: a worker carries them out, all or nothing."""

from collections.abc import Sequence

from django.db import transaction

from apps.accounts.models import User
from apps.core.errors import ConflictError, PortalError
from apps.datasets.models import Finding, FindingRow
from apps.datasets.services.apart import reporting_apart
from apps.datasets.services.checks import ACTIONS, finding_decide, refuse_decision
from apps.operations.models import Operation, OperationState
from apps.operations.progress import Progress
from apps.operations.services import operation_start

DECIDE_KIND = "datasets.decide_finding"
ROWS_AT_ONCE = 500
"""Rows that are changed while the person waits."""


def finding_decide_request(
    *, finding: Finding, action: str, reason: str = "", items: Sequence[int] | None = None, actor: User
) -> int | None:
    """Decide at once where it is about few rows; returns how many changed. None: a worker does it."""
    rows = FindingRow.objects.filter(finding=finding, decided="")
    if items is not None:
        rows = rows.filter(item__in=list(items))
    if rows[: ROWS_AT_ONCE + 1].count() <= ROWS_AT_ONCE:
        return finding_decide(finding=finding, action=action, reason=reason, items=items, actor=actor)
    refuse_decision(finding=finding, action=action, reason=reason)
    with transaction.atomic():
        current = Finding.objects.select_for_update().get(pk=finding.pk)
        if current.deciding:
            raise ConflictError("A worker is deciding about these rows already. Wait for it, or cancel it.")
        deciding = {
            "action": action,
            "reason": reason,
            "items": None if items is None else list(items),
        }
        Finding.objects.filter(pk=current.pk).update(deciding=deciding, decide_error="")
        operation_start(
            workspace=finding.report.dataset.project.workspace,
            kind=DECIDE_KIND,
            subject=finding,
            title=f"{ACTIONS[action][0]}: {finding.title}",
            actor=actor,
            url=finding.report.get_absolute_url(),
        )
    return None


def finding_decide_run(*, finding: Finding, progress: Progress) -> None:
    """What was asked for. Without effect once it is done, as both are one transaction."""
    asked = finding.deciding
    if not asked:
        return
    actor = progress.operation.actor
    if actor is None:
        raise PortalError("Whoever asked for this is no longer a user, so nothing was changed.")
    with reporting_apart(progress) as report, transaction.atomic():
        report(0, total=finding.row_count, unit="rows", message="Changing the rows")
        finding_decide(
            finding=finding,
            action=asked["action"],
            reason=asked["reason"],
            items=asked["items"],
            actor=actor,
            report=report,
        )
        Finding.objects.filter(pk=finding.pk).update(deciding={})
        progress.check()  # an attempt that was given up must not change anything after all


def finding_decide_stopped(*, finding: Finding, operation: Operation) -> None:
    """After a cancelled or failed decision: all rows are as they were before it."""
    error = operation.error
    if operation.state == OperationState.CANCELLED:
        error = "It was cancelled. No row was changed."
    Finding.objects.filter(pk=finding.pk).update(deciding={}, decide_error=error)
