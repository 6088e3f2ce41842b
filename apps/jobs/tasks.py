"""Training in the background: one operation a job, which supervises a trainer process."""

from celery import shared_task
from django.db import transaction

from apps.jobs.models import Archive, RecoveredFiles, RecoveredJob, TrainingJob
from apps.jobs.orphans import directory_clear, orphans_stop
from apps.jobs.recovery.archives import LIST_KIND, archive_fetch, archive_fetch_stopped
from apps.jobs.recovery.files import FILES_KIND, files_recover, files_stopped
from apps.jobs.recovery.recovering import JOB_KIND, job_recover, job_recovery_stopped, recoveries_advance
from apps.jobs.remote.polling import poll_due_jobs
from apps.jobs.remote.sending import Sender
from apps.jobs.remote.steps import job_poll_soon
from apps.jobs.services import KIND, KIND_REMOTE, job_stop
from apps.jobs.supervision import Supervisor
from apps.operations.kinds import operation_kind
from apps.operations.models import Operation
from apps.operations.progress import Progress
from apps.operations.services import operation_unpark

# A worker that is stopped and started again, as at every update, is an attempt; the training goes on through it.
MAX_ATTEMPTS = 50
# Every try to send a job while its provider is away is an attempt.
MAX_TRIES_TO_SEND = 2000


def stopped(operation: Operation) -> None:
    job_stop(operation=operation)
    transaction.on_commit(lambda: directory_clear_if_ended(operation.subject_id))


def directory_clear_if_ended(job_id: int) -> None:
    if not TrainingJob.objects.filter(pk=job_id, state__in=TrainingJob.OPEN).exists():
        directory_clear(job_id)


@operation_kind(KIND, queue="training", on_stopped=stopped, max_attempts=MAX_ATTEMPTS)
def train(operation: Operation, progress: Progress) -> None:
    orphans_stop()
    job = TrainingJob.objects.select_related(
        "project__workspace", "version__dataset", "base_model", "created_by"
    ).get(pk=operation.subject_id)
    if job.is_active:
        Supervisor(job=job, progress=progress).run()


@operation_kind(
    KIND_REMOTE,
    queue="default",
    on_stopped=lambda operation: job_stop(operation=operation),
    max_attempts=MAX_TRIES_TO_SEND,
    on_cancel_asked=lambda operation: job_poll_soon(operation=operation),
)
def train_remotely(operation: Operation, progress: Progress) -> None:
    job = TrainingJob.objects.select_related(
        "project__workspace", "version__dataset", "base_model__connection__workspace", "created_by"
    ).get(pk=operation.subject_id)
    if job.is_active:
        Sender(job=job, progress=progress).run()


@operation_kind(
    LIST_KIND, queue="default", on_stopped=lambda operation: archive_fetch_stopped(operation=operation)
)
def list_archive(operation: Operation, progress: Progress) -> None:
    archive = Archive.objects.select_related("project__workspace", "connection__workspace").get(
        pk=operation.subject_id
    )
    archive_fetch(archive=archive, progress=progress)


# A cancel is heard by the attempt that goes on, so parked work is handed to a worker again.
@operation_kind(
    FILES_KIND,
    queue="default",
    on_stopped=lambda operation: files_stopped(operation=operation),
    on_cancel_asked=lambda operation: operation_unpark(operation=operation),
)
def recover_files(operation: Operation, progress: Progress) -> None:
    recovered = RecoveredFiles.objects.select_related(
        "project__workspace", "connection__workspace", "training_blob", "validation_blob"
    ).get(pk=operation.subject_id)
    files_recover(recovered=recovered, progress=progress)


@operation_kind(
    JOB_KIND,
    queue="default",
    on_stopped=lambda operation: job_recovery_stopped(operation=operation),
    on_cancel_asked=lambda operation: operation_unpark(operation=operation),
)
def recover_job(operation: Operation, progress: Progress) -> None:
    recovered = RecoveredJob.objects.select_related(
        "project__workspace", "connection__workspace", "files__version__dataset", "stand_in__dataset",
        "created_by",
    ).get(pk=operation.subject_id)  # fmt: skip
    job_recover(recovered=recovered, progress=progress)


@shared_task(name="apps.jobs.tasks.recover")
def recover() -> None:
    """What is being brought in from providers goes on."""
    recoveries_advance()


@shared_task(name="apps.jobs.tasks.poll")
def poll() -> None:
    """Ask the providers about the jobs that are due."""
    poll_due_jobs()


@shared_task(name="apps.jobs.tasks.orphans")
def orphans() -> None:
    """On the queue of the machines that train: a worker that is busy with a job has looked at its start."""
    orphans_stop()
