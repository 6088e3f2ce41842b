"""Starting, running, cancelling and recovering operations."""

import logging
import socket
import uuid
from datetime import timedelta
from os import getpid

from django.conf import settings
from django.db import IntegrityError, models, transaction
from django.utils import timezone

from apps.accounts.models import User, Workspace
from apps.audit.services import record
from apps.core.errors import ConflictError, PortalError
from apps.core.states import transition
from apps.operations.kinds import kind_get
from apps.operations.live import announce, channel_of_subject, channel_of_workspace
from apps.operations.models import Operation, OperationState
from apps.operations.progress import (
    OperationCancelledError,
    OperationParkedError,
    OperationSupersededError,
    Progress,
)

logger = logging.getLogger(__name__)

LOST_IN_QUEUE_SECONDS = 20
"""A message that no worker took for so long is sent again: Redis may have lost it, and the claim makes it harmless."""


def operation_start(
    *, workspace: Workspace, kind: str, subject: models.Model, title: str, actor: User | None, url: str = ""
) -> Operation:
    """Queue work on `subject`; it is dispatched once the surrounding transaction commits.

    Raises `ConflictError` when the same work on the same subject is waiting or running already.
    """
    try:
        with transaction.atomic():
            operation = Operation.objects.create(
                workspace=workspace,
                kind=kind,
                queue=kind_get(kind).queue,
                title=title[:160],
                url=url,
                subject_type=subject._meta.label_lower,
                subject_id=subject.pk,
                actor=actor,
            )
    except IntegrityError as error:
        raise ConflictError(f"“{title}” is already under way. Wait for it, or cancel it first.") from error
    transaction.on_commit(lambda: operation_dispatch(operation_id=operation.pk))
    return operation


def operation_dispatch(*, operation_id: int) -> None:
    """Send the id to the workers. A failure is not lost work: the reconciler sends it again."""
    from celery import current_app

    operation = Operation.objects.filter(pk=operation_id, state=OperationState.QUEUED).first()
    if operation is None:
        return
    Operation.objects.filter(pk=operation.pk).update(dispatched_at=timezone.now())
    try:
        current_app.send_task(
            "apps.operations.tasks.run",
            args=[operation.pk],
            queue=operation.queue,
            task_id=str(uuid.uuid4()),
            retry=False,
        )
    except Exception as error:  # noqa: BLE001 - the broker client raises many kinds
        logger.warning("operation.dispatch_failed", extra={"operation": operation.pk, "reason": str(error)})
    _announce(operation)


def operation_run(*, operation_id: int) -> None:
    """Claim the operation and do its work. A second message for the same work passes by without effect."""
    operation = Operation.objects.filter(pk=operation_id).first()
    if operation is None or operation.state != OperationState.QUEUED:
        return
    now = timezone.now()
    claimed = Operation.objects.filter(
        pk=operation.pk, state=OperationState.QUEUED, attempts=operation.attempts
    ).update(
        state=OperationState.RUNNING,
        attempts=operation.attempts + 1,
        worker=f"{socket.gethostname()}:{getpid()}",
        started_at=operation.started_at or now,
        heartbeat_at=now,
        updated_at=now,
        error="",
    )
    if not claimed:
        return
    operation.refresh_from_db()
    _announce(operation)
    logger.info(
        "operation.started",
        extra={"operation": operation.pk, "kind": operation.kind, "attempt": operation.attempts},
    )
    try:
        with Progress(operation) as progress:
            progress.check()
            kind_get(operation.kind).run(operation, progress)
    except OperationSupersededError:
        logger.warning("operation.superseded", extra={"operation": operation.pk})
    except OperationParkedError:
        _park(operation)
    except OperationCancelledError:
        operation_end(operation=operation, state=OperationState.CANCELLED)
    except PortalError as error:
        operation_end(operation=operation, state=OperationState.FAILED, error=error.message)
    except Exception:
        error_id = uuid.uuid4().hex[:12]
        logger.exception("operation.crashed", extra={"operation": operation.pk, "error_id": error_id})
        operation_end(
            operation=operation,
            state=OperationState.FAILED,
            error="An unexpected error stopped this; what was done so far is kept."
            f" The worker's log has the details under {error_id}.",
        )
    else:
        operation_end(operation=operation, state=OperationState.SUCCEEDED)


def _park(operation: Operation) -> None:
    now = timezone.now()
    Operation.objects.filter(
        pk=operation.pk, attempts=operation.attempts, state=OperationState.RUNNING
    ).update(parked_at=now, worker="", updated_at=now)
    logger.info("operation.parked", extra={"operation": operation.pk, "kind": operation.kind})
    _announce(operation)


def operation_unpark(*, operation: Operation) -> bool:
    """Work that was parked goes on with a worker; False and no effect for any other."""
    moved = Operation.objects.filter(
        pk=operation.pk, state=OperationState.RUNNING, parked_at__isnull=False
    ).update(state=OperationState.QUEUED, parked_at=None, dispatched_at=None, updated_at=timezone.now())
    if moved:
        transaction.on_commit(lambda: operation_dispatch(operation_id=operation.pk))
    return bool(moved)


def operation_note(
    *,
    operation: Operation,
    done: int | None = None,
    total: int | None = None,
    message: str | None = None,
    unit: str | None = None,
) -> None:
    """How far parked work is, as whoever looks after it was told."""
    given = {
        "done": done,
        "total": total,
        "message": message and message.replace("\0", "\ufffd")[:300],
        "unit": unit,
    }
    changed = {
        name: value
        for name, value in given.items()
        if value is not None and value != getattr(operation, name)
    }
    if not changed:
        return
    Operation.objects.filter(pk=operation.pk, parked_at__isnull=False).update(
        **changed, updated_at=timezone.now()
    )
    _announce(operation)


def operation_end(*, operation: Operation, state: str, error: str = "") -> None:
    """Close this attempt of an operation, together with what its subject needs; no effect if another took over."""
    error = error.replace("\0", "\ufffd")  # others' words may hold a NUL, which Postgres keeps in no text
    with transaction.atomic():
        current = Operation.objects.select_for_update().get(pk=operation.pk)
        if current.attempts != operation.attempts or not current.is_active:
            return
        current.error = error
        if state != OperationState.SUCCEEDED:
            kind_get(current.kind).on_stopped(_as_ended(current, state))
        # The last report may have come too soon after the one before it to be written; what was noted of parked
        # work since the caller read it is newer.
        done = max(current.done, operation.done)
        transition(current, state, finished_at=timezone.now(), error=error, done=done)
    logger.info("operation.ended", extra={"operation": current.pk, "kind": current.kind, "state": state})
    _announce(current)


def operation_cancel(*, operation: Operation, by: User) -> Operation:
    """Ask for a stop. Waiting work ends at once; running work ends at its next report, within seconds."""
    with transaction.atomic():
        current = Operation.objects.select_for_update().get(pk=operation.pk)
        if not current.is_active:
            raise ConflictError(
                f"“{current.title}” has ended already: {current.get_state_display().lower()}."
            )
        if current.cancel_requested_at is None:
            now = timezone.now()
            Operation.objects.filter(pk=current.pk).update(cancel_requested_at=now, updated_at=now)
            record(workspace=current.workspace, actor=by, action="operation.cancel_requested", target=current)
            asked = kind_get(current.kind).on_cancel_asked
            if current.parked_at is not None and asked is not None:
                asked(current)
    current.refresh_from_db()
    if current.state == OperationState.QUEUED:
        operation_end(operation=current, state=OperationState.CANCELLED)
        current.refresh_from_db()
    _announce(current)
    return current


def operations_reconcile() -> dict[str, int]:
    """Find work whose worker fell silent and work that nobody took; hand it on or end it with a reason.

    Returns how many were resumed, failed and sent again.
    """
    counts = {"resumed": 0, "failed": 0, "sent_again": 0}
    silent_since = timezone.now() - timedelta(seconds=settings.FTPORTAL_SILENT_SECONDS)
    silent = Operation.objects.filter(
        state=OperationState.RUNNING, parked_at=None, heartbeat_at__lt=silent_since
    )
    for operation in silent:
        counts["resumed" if _recover(operation) else "failed"] += 1
    lost_since = timezone.now() - timedelta(seconds=LOST_IN_QUEUE_SECONDS)
    lost = Operation.objects.filter(state=OperationState.QUEUED).filter(
        models.Q(dispatched_at__lt=lost_since) | models.Q(dispatched_at=None, created_at__lt=lost_since)
    )
    for operation_id in lost.values_list("pk", flat=True):
        operation_dispatch(operation_id=operation_id)
        counts["sent_again"] += 1
    return counts


def _recover(operation: Operation) -> bool:
    kind = kind_get(operation.kind)
    if operation.cancel_requested_at is not None:
        operation_end(operation=operation, state=OperationState.CANCELLED)
        return False
    if operation.attempts >= kind.max_attempts:
        operation_end(
            operation=operation,
            state=OperationState.FAILED,
            error=f"The worker stopped in the middle {operation.attempts} times, so this was given up."
            " See the worker's log for why; what was done so far is kept.",
        )
        return False
    moved = Operation.objects.filter(
        pk=operation.pk,
        state=OperationState.RUNNING,
        attempts=operation.attempts,
        heartbeat_at=operation.heartbeat_at,
    ).update(
        state=OperationState.QUEUED,
        message="The worker fell silent; another takes over.",
        updated_at=timezone.now(),
        dispatched_at=None,
    )
    if moved:
        logger.warning(
            "operation.recovered", extra={"operation": operation.pk, "attempt": operation.attempts}
        )
        operation_dispatch(operation_id=operation.pk)
    return bool(moved)


def _as_ended(operation: Operation, state: str) -> Operation:
    """What `on_stopped` sees: the operation with the state it is about to have."""
    ended = Operation.objects.get(pk=operation.pk)
    ended.state = state
    ended.error = operation.error
    return ended


def _announce(operation: Operation) -> None:
    announce(
        channel_of_workspace(operation.workspace_id),
        channel_of_subject(operation.subject_type, operation.subject_id),
    )
