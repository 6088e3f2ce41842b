"""What providers say about the jobs they run: asked at a pace that fits how long a job takes, many at once.

The database says which jobs are due. A job is taken by moving its next poll into the future in the same statement
that finds it, so two processes never ask about the same job, and one that dies leaves it to be taken later.

Why so: docs/adr/0014-jobs-at-providers.md.
"""

import logging
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from apps.core.errors import PortalError, StaleStateError
from apps.jobs.ingest import events_ingest
from apps.jobs.models import TrainingJob
from apps.jobs.remote.leftovers import leftover_look, leftover_store
from apps.jobs.remote.sending import job_key
from apps.jobs.remote.steps import job_poll_failed, job_polled, job_remote_checkpoints, jobs_unchanged
from apps.jobs.services import job_mark_running, job_operation, job_succeed
from apps.operations.live import announce, channel_of_subject
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_end, operation_note, operation_unpark
from apps.providers.contracts import (
    JobUnknownError,
    ProviderError,
    ProviderUnavailableError,
    TrainingResult,
    TrainingState,
)
from apps.providers.opening import adapter_for
from apps.providers.remote import RemoteProgress, RemoteTrainer

logger = logging.getLogger(__name__)

AT_ONCE = 8
JOBS_A_ROUND = 100
TAKEN_SECONDS = 120
"""After this long a job that a dead process had taken is due again."""
FASTEST_SECONDS, SLOWEST_SECONDS = 5.0, 60.0
PACE = 20
"""A job is asked about every twentieth of the time that it has taken so far."""
JITTER = 0.2
LONGEST_BACK_OFF_SECONDS = 600.0
GIVE_UP_AFTER = 400
"""Failures in a row, about three days of them."""
GONE_AFTER = 3
"""In a row. A new job may not be known to every machine of a provider yet, and a key may be wrong for a moment."""
NO_RESULT_AFTER = 20
"""Some hours: a tuned model may be named later than the end of the training."""


@dataclass(frozen=True)
class Answer:
    """What came of asking about one job."""

    job: TrainingJob
    progress: RemoteProgress | None = None
    result: TrainingResult | None = None
    error: ProviderError | None = None


def poll_due_jobs() -> int:
    """Ask about every job that is due, and store what came back; returns how many were asked about."""
    polled = 0
    with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="poll") as executor:
        while due := _take():
            jobs = [job for job in due if job.handle]
            # Chosen before anything is stored: a job that ends in this round is no leftover.
            leftovers = [job for job in due if job.has_ended]
            for job in due:
                if not job.handle and job.is_active:
                    _send_again(job)
            unchanged = [answer.job for answer in executor.map(_ask, jobs) if not _store(answer)]
            jobs_unchanged(due=[(job, _pause(job)) for job in unchanged])
            _look_for(executor, leftovers)
            polled += len(due)
    return polled


def _look_for(executor: ThreadPoolExecutor, leftovers: Sequence[TrainingJob]) -> None:
    for found in executor.map(leftover_look, leftovers, [job_key(job) for job in leftovers]):
        failures = found.job.poll_failures
        again_at = timezone.now() + timedelta(seconds=_back_off(failures))
        leftover_store(found, again_at=again_at, gives_up=failures + 1 >= GIVE_UP_AFTER)


def _take() -> Sequence[TrainingJob]:
    """Jobs that are due, taken from everybody else for a while."""
    table = TrainingJob._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE {table} SET next_poll_at = now() + make_interval(secs => %s)
            WHERE id IN (
                SELECT id FROM {table} WHERE next_poll_at <= now()
                ORDER BY next_poll_at LIMIT %s FOR UPDATE SKIP LOCKED
            )
            RETURNING id
            """,  # noqa: S608 - the table's own name
            [TAKEN_SECONDS, JOBS_A_ROUND],
        )
        ids = [row[0] for row in cursor.fetchall()]
    stopping = Operation.objects.filter(
        subject_type=TrainingJob._meta.label_lower,
        subject_id=OuterRef("pk"),
        state=OperationState.RUNNING,
        cancel_requested_at__isnull=False,
    )
    return list(
        TrainingJob.objects.filter(pk__in=ids)
        .filter(Q(state__in=TrainingJob.ACTIVE) | Q(handle=""))
        .annotate(stop_asked=Exists(stopping))
        .select_related("project__workspace", "base_model__connection__workspace", "created_by")
        .defer("configuration", "environment", "plan", "provider_reply")
    )


def _send_again(job: TrainingJob) -> None:
    """It waited for its provider before it could be sent; a worker tries once more."""
    operation = job_operation(job)
    with transaction.atomic():
        # Not parked yet: it is looked at again later.
        if operation is not None and operation_unpark(operation=operation):
            TrainingJob.objects.filter(pk=job.pk, handle="").update(next_poll_at=None)


def _ask(job: TrainingJob) -> Answer:
    """In a thread of its own, without the database."""
    assert job.base_model.connection is not None
    try:
        adapter: RemoteTrainer = adapter_for(job.base_model.connection)
        refused = _cancel(adapter, job) if job.stop_asked else None  # type: ignore[attr-defined]
        progress = adapter.poll(job.handle, cursor=job.cursor)
        if refused is not None and not progress.state.is_final:
            return Answer(job, error=refused)
        result = adapter.result(job.handle) if progress.state is TrainingState.SUCCEEDED else None
        return Answer(job, progress=progress, result=result)
    except ProviderError as error:
        return Answer(job, error=error)
    except PortalError as error:
        # Its secrets can't be read, or it was removed: a person mends that.
        return Answer(job, error=ProviderError(error.message, code=error.code))
    except Exception as error:
        # One provider's surprise must not keep the other jobs from being asked about.
        logger.exception("job.poll_crashed", extra={"job": job.pk})
        return Answer(job, error=ProviderUnavailableError(f"The answer could not be read: {error!r}."))


def _cancel(adapter: RemoteTrainer, job: TrainingJob) -> ProviderError | None:
    """Why it was refused: what became of the job is asked all the same."""
    try:
        adapter.cancel(job.handle)
    except ProviderUnavailableError:
        raise
    except ProviderError as error:
        return error
    return None


def _store(answer: Answer) -> bool:
    """False if there was nothing new to store."""
    job, progress = answer.job, answer.progress
    if progress is not None and _is_unchanged(job, progress):
        return False
    try:
        if answer.error is not None:
            _store_error(job, answer.error)
        elif progress is not None:
            _store_progress(job, progress, answer.result)
    except StaleStateError:
        logger.info("job.ended_meanwhile", extra={"job": job.pk})
    except Exception as error:
        # What one provider said can't be stored; that must not keep the others' answers from being stored.
        logger.exception("job.answer_not_stored", extra={"job": job.pk})
        _store_error(
            job, ProviderUnavailableError(f"The answer could not be stored: {type(error).__name__}.")
        )
    return True


def _is_unchanged(job: TrainingJob, progress: RemoteProgress) -> bool:
    return (
        not progress.events
        and not progress.state.is_final
        and progress.status == job.provider_status
        and progress.cursor == job.cursor
        and not job.poll_failures
    )


def _store_error(job: TrainingJob, error: ProviderError) -> None:
    failures = job.poll_failures + 1
    gone = isinstance(error, JobUnknownError)
    if gone and failures >= GONE_AFTER:
        _end(job, OperationState.FAILED, f"{error.message} What it reported until then is kept.")
        return
    if error.code == "no_result" and failures >= NO_RESULT_AFTER:
        _end(
            job,
            OperationState.FAILED,
            "The provider says that the training succeeded, but names no tuned model. Look for it there."
            f" {error.message}",
        )
        return
    if failures >= GIVE_UP_AFTER:
        _end(
            job,
            OperationState.FAILED,
            "The provider could not be asked for days, so the job was given up here; it may still train there. The"
            f" last reason: {error.message}",
        )
        return
    wait = max(_back_off(job.poll_failures), getattr(error, "retry_after", None) or 0.0)
    job_poll_failed(job=job, error=error, next_poll_at=timezone.now() + timedelta(seconds=wait))


def _store_progress(job: TrainingJob, progress: RemoteProgress, result: TrainingResult | None) -> None:
    with transaction.atomic():
        events_ingest(job_id=job.pk, events=progress.events)
        job_polled(
            job=job,
            progress=progress,
            next_poll_at=None if progress.state.is_final else timezone.now() + _pause(job),
        )
    job.refresh_from_db()
    if progress.state in (TrainingState.RUNNING, TrainingState.SUCCEEDED):
        job_mark_running(job=job)
    operation = job_operation(job)
    if progress.state is TrainingState.SUCCEEDED and result is not None:
        with transaction.atomic():
            job_remote_checkpoints(job=job, checkpoints=result.checkpoints)
            job_succeed(job=job, result=result, artifact=None)
            _end(job, OperationState.SUCCEEDED)
    elif progress.state is TrainingState.FAILED:
        _end(job, OperationState.FAILED, progress.failure.message if progress.failure else "")
    elif progress.state is TrainingState.STOPPED:
        asked = operation is not None and operation.cancel_requested_at is not None
        _end(job, OperationState.CANCELLED, "" if asked else "It was cancelled at the provider.")
    elif operation is not None:
        operation_note(
            operation=operation,
            done=job.step,
            total=job.total_steps,
            unit="steps" if job.total_steps else None,
            message=_message(job, operation, progress),
        )
    announce(channel_of_subject(TrainingJob._meta.label_lower, job.pk))


def _message(job: TrainingJob, operation: Operation, progress: RemoteProgress) -> str:
    if operation.cancel_requested_at is not None:
        return "Cancelling at the provider"
    where = "Waits" if progress.state is TrainingState.QUEUED else "Trains"
    return f"{where} at {job.base_model.connection} ({progress.status})" if progress.status else where


def _end(job: TrainingJob, state: str, error: str = "") -> None:
    operation = job_operation(job)
    if operation is not None:
        operation_end(operation=operation, state=state, error=error)


def _pause(job: TrainingJob) -> timedelta:
    sent = job.submission_started_at or job.created_at
    age = (timezone.now() - sent).total_seconds()
    seconds = min(SLOWEST_SECONDS, max(FASTEST_SECONDS, age / PACE))
    return timedelta(seconds=seconds * random.uniform(1 - JITTER, 1 + JITTER))


def _back_off(failures: int) -> float:
    return min(LONGEST_BACK_OFF_SECONDS, 10.0 * 2.0 ** min(failures, 10)) * random.uniform(1.0, 1.0 + JITTER)
