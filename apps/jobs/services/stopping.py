"""Cancelling, pausing and going on, and what follows when the background work of a job ends without success."""

from django.db import models, transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import ConflictError
from apps.core.states import transition
from apps.jobs.models import JobState, TrainingJob
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_cancel, operation_start

KIND = "jobs.train"
KIND_REMOTE = "jobs.train_remotely"
SUBJECT_TYPE = "jobs.trainingjob"


def job_operation(job: TrainingJob) -> Operation | None:
    """The newest background work of a job."""
    return Operation.objects.filter(
        kind__in=(KIND, KIND_REMOTE), subject_type=SUBJECT_TYPE, subject_id=job.pk
    ).first()


def job_cancel(*, job: TrainingJob, by: User) -> None:
    """Ask the training to stop. It ends within seconds and keeps its last checkpoint."""
    with transaction.atomic():
        locked = TrainingJob.objects.select_for_update(of=("self",)).get(pk=job.pk)
        if locked.state == JobState.PAUSED:
            _end_paused(locked, by)
            return
        operation = _running_operation(locked)
        TrainingJob.objects.filter(pk=job.pk, cancelled_by=None).update(cancelled_by=by, pausing=False)
    operation_cancel(operation=operation, by=by)


def _running_operation(job: TrainingJob) -> Operation:
    operation = job_operation(job)
    if operation is None or not operation.is_active:
        raise ConflictError(f"“{job.name}” has ended already: {job.get_state_display().lower()}.")
    return operation


def _end_paused(job: TrainingJob, by: User) -> None:
    transition(job, JobState.CANCELLED, finished_at=timezone.now(), cancelled_by=by, paused_at=None)
    record(
        workspace=job.project.workspace,
        actor=by,
        action="job.cancelled",
        target=job,
        data={"step": job.step, "reason": ""},
    )


def job_pause(*, job: TrainingJob, by: User) -> None:
    """Let the training save where it stands and stop; it can go on from there, on the machine that has it."""
    with transaction.atomic():
        locked = TrainingJob.objects.select_for_update(of=("self",)).get(pk=job.pk)
        if locked.state == JobState.PAUSED:
            raise ConflictError(f"“{job.name}” is paused already.")
        if locked.base_model.connection_id is not None:
            raise ConflictError(
                f"“{job.name}” trains at a provider and can't be paused; it can be cancelled."
            )
        operation = _running_operation(locked)
        if operation.cancel_requested_at is not None:
            raise ConflictError(f"“{job.name}” is stopping already.")
        TrainingJob.objects.filter(pk=job.pk).update(pausing=True)
    operation_cancel(operation=operation, by=by)


def job_resume(*, job: TrainingJob, by: User) -> None:
    """Queue a paused job again; its trainer goes on from the last checkpoint."""
    with transaction.atomic():
        locked = (
            TrainingJob.objects.select_for_update(of=("self",))
            .select_related("project__workspace")
            .get(pk=job.pk)
        )
        if locked.state != JobState.PAUSED:
            raise ConflictError(f"“{job.name}” is not paused: {job.get_state_display().lower()}.")
        transition(locked, JobState.QUEUED, paused_at=None)
        operation_start(
            workspace=locked.project.workspace,
            kind=KIND,
            subject=locked,
            title=f"Train {locked.name}",
            actor=by,
            url=locked.get_absolute_url(),
        )
        record(workspace=locked.project.workspace, actor=by, action="job.resumed", target=locked)


def job_stop(*, operation: Operation) -> None:
    """The operation ended without success: so did its job. Called in the same transaction."""
    job = (
        TrainingJob.objects.select_for_update()
        .select_related("project__workspace")
        .get(pk=operation.subject_id)
    )
    if not job.is_active:
        return
    cancelled = operation.state == OperationState.CANCELLED
    if cancelled and job.pausing:
        now = timezone.now()
        transition(job, JobState.PAUSED, pausing=False, paused_at=now, pauses=models.F("pauses") + 1)
        record(
            workspace=job.project.workspace,
            actor=None,
            action="job.paused",
            target=job,
            data={"step": job.step},
        )
        return
    state = JobState.CANCELLED if cancelled else JobState.FAILED
    now = timezone.now()
    # Nobody knows whether its provider has created it: it is looked for there.
    unsure = job.submission_started_at is not None and not job.handle
    transition(
        job,
        state,
        finished_at=now,
        error=operation.error,
        pausing=False,
        poll_failures=0,
        poll_error="",
        next_poll_at=now if unsure else None,
    )
    record(
        workspace=job.project.workspace,
        actor=job.cancelled_by if cancelled else None,
        action="job.cancelled" if cancelled else "job.failed",
        target=job,
        data={"step": job.step, "reason": job.error},
    )
