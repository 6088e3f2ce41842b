"""What the supervisor of a training notes, up to the model that it leaves."""

from django.db import models, transaction
from django.utils import timezone

from apps.artifacts.models import Blob
from apps.audit.services import record
from apps.core.states import transition
from apps.jobs.models import Checkpoint, JobState, MetricPoint, TrainingJob
from apps.providers.contracts import TrainingResult
from apps.registry.services import model_version_create


def job_mark_running(*, job: TrainingJob) -> None:
    """No effect when an earlier supervisor has marked it."""
    if job.state == JobState.QUEUED:
        transition(job, JobState.RUNNING, started_at=job.started_at or timezone.now())


def job_progress_reset(*, job: TrainingJob) -> None:
    """The directory with the trainer's events is gone, so the training starts anew and its numbers with it."""
    with transaction.atomic():
        MetricPoint.objects.filter(job=job).delete()
        Checkpoint.objects.filter(job=job).delete()
        TrainingJob.objects.filter(pk=job.pk).update(
            events_seen=0,
            step=0,
            train_loss=None,
            validation_loss=None,
            best_validation_loss=None,
            best_step=None,
            phases=[],
            rewinds=models.F("rewinds") + 1,
            updated_at=timezone.now(),
        )
    job.refresh_from_db()


def job_restart_note(*, job: TrainingJob) -> None:
    """One more start of the trainer after it ended by itself."""
    TrainingJob.objects.filter(pk=job.pk).update(restarts=models.F("restarts") + 1, updated_at=timezone.now())
    job.refresh_from_db(fields=["restarts"])


def job_log_note(*, job: TrainingJob, tail: str) -> None:
    """Show the end of the trainer's log on the job's page."""
    # Postgres keeps no NUL in a text.
    TrainingJob.objects.filter(pk=job.pk).update(
        log_tail=tail.replace("\0", "\ufffd"), updated_at=timezone.now()
    )


def job_log_attach(*, job: TrainingJob, log: Blob) -> None:
    """Keep the whole log once the job has ended."""
    TrainingJob.objects.filter(pk=job.pk).update(log=log, updated_at=timezone.now())


def job_checkpoint_keep(*, job: TrainingJob, artifact: Blob) -> None:
    """Keep what a job that is stopped or killed goes on from."""
    TrainingJob.objects.filter(pk=job.pk).update(last_checkpoint=artifact, updated_at=timezone.now())


def job_checkpoint_store(*, checkpoint: Checkpoint, artifact: Blob) -> None:
    """Keep the weights of a checkpoint, so that it can be used as a model."""
    Checkpoint.objects.filter(pk=checkpoint.pk).update(artifact=artifact)


def job_succeed(*, job: TrainingJob, result: TrainingResult, artifact: Blob | None) -> None:
    """Register the model and end the job, in one transaction. StaleStateError when another process was first."""
    with transaction.atomic():
        model_version = model_version_create(
            project=job.project,
            base_model=job.base_model,
            kind=result.kind,
            artifact=artifact,
            name=job.name,
            validation_loss=result.validation_loss,
            best_step=result.best_step,
            actor=job.created_by,
            provider_model=result.provider_model or "",
        )
        transition(
            job,
            JobState.SUCCEEDED,
            finished_at=timezone.now(),
            next_poll_at=None,
            model_version=model_version,
            measured_tokens_per_second=_measured_rate(job),
        )
        record(
            workspace=job.project.workspace,
            actor=None,
            action="job.succeeded",
            target=job,
            data={
                "model_version": model_version.number,
                "artifact_sha256": artifact.sha256 if artifact else None,
                "provider_model": result.provider_model,
            },
        )


def _measured_rate(job: TrainingJob) -> float | None:
    """Tokens a second from the first training step to the last, validation included; only of an unbroken run."""
    if job.restarts or job.rewinds or job.pauses:
        return None
    last = MetricPoint.objects.filter(job=job, tokens__isnull=False, seconds__gt=0).order_by("-seq").first()
    if last is None or not last.tokens or not last.seconds:
        return None
    return last.tokens / last.seconds
