"""Fine-tuning jobs: asked for, followed, ended. The training itself is that of `jobs`."""

import random
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.artifacts.storage import blob_store
from apps.audit.services import record
from apps.core.errors import PortalError
from apps.core.states import transition
from apps.datasets.models import Version
from apps.gateway.errors import ApiError
from apps.gateway.hyperparameters import trainer_values
from apps.gateway.ids import new_id
from apps.gateway.metrics import result_csv
from apps.gateway.models import Event, EventLevel, File, FineTuningJob, IntakeState, JobState, Purpose
from apps.gateway.services.files import file_create
from apps.gateway.services.intakes import intake_advance, intake_ensure
from apps.gateway.services.served_models import served_checkpoints_ensure, served_model_ensure
from apps.gateway.services.webhooks import event_announce
from apps.jobs.hyperparameters import recommend
from apps.jobs.models import JobState as TrainingState
from apps.jobs.models import MetricPoint, Objective, TrainingJob
from apps.jobs.selectors import pair_counts
from apps.jobs.services import job_cancel, job_pause, job_resume, job_start
from apps.projects.models import Project
from apps.registry.models import BaseModel

FEWEST_EXAMPLES = 10
METHOD = "lora"
LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """What a program asks for, read and checked."""

    model: str
    base_model: BaseModel
    training_file: File
    validation_file: File | None
    method: str
    hyperparameters: Mapping[str, Any]
    suffix: str
    seed: int | None
    metadata: Mapping[str, str] | None
    integrations: list[Any] | None


def fine_tuning_job_create(*, project: Project, asked: JobRequest, by: User) -> FineTuningJob:
    """Queue a job; it starts once its files are checked, which may be at once."""
    with transaction.atomic():
        intake = intake_ensure(
            project=project,
            training_file=asked.training_file,
            validation_file=asked.validation_file,
            by=by,
        )
        job = FineTuningJob.objects.create(
            workspace=project.workspace,
            project=project,
            public_id=new_id("ftjob-"),
            model=asked.model,
            base_model=asked.base_model,
            intake=intake,
            method=asked.method,
            hyperparameters=dict(asked.hyperparameters),
            suffix=asked.suffix,
            seed=random.randint(0, LARGEST_SEED) if asked.seed is None else asked.seed,
            metadata=dict(asked.metadata) if asked.metadata is not None else None,
            integrations=asked.integrations,
            created_by=by,
        )
        event_note(job, f"Created fine-tuning job: {job.public_id}")
        event_note(job, f"Validating training file: {asked.training_file.public_id}")
        if asked.validation_file is not None:
            event_note(job, f"Validating validation file: {asked.validation_file.public_id}")
        record(
            workspace=project.workspace,
            actor=by,
            action="fine_tuning_job.created",
            target=job,
            data={"model": asked.model, "training_file": asked.training_file.public_id},
        )
    fine_tuning_job_advance(job_id=job.pk)
    job.refresh_from_db()
    return job


def event_note(
    job: FineTuningJob,
    message: str,
    *,
    level: str = EventLevel.INFO,
    after_training: bool = False,
    at: Any = None,
) -> None:
    """The next event of a job, whose row the caller holds or has just made."""
    last = Event.objects.filter(job=job).order_by("-number").values_list("number", flat=True).first()
    Event.objects.create(
        job=job,
        number=(last or 0) + 1,
        level=level,
        message=message,
        after_training=after_training,
        created_at=at or timezone.now(),
    )


# --- Following -----------------------------------------------------------------------------------------------


def fine_tuning_job_advance(*, job_id: int) -> None:
    """Bring a job as far as it can come now. Safe to call at any time, from anywhere."""
    intake = (
        FineTuningJob.objects.filter(pk=job_id, state=JobState.VALIDATING)
        .values_list("intake_id", flat=True)
        .first()
    )
    if intake is not None:
        intake_advance(intake_id=intake)
    with transaction.atomic():
        job = (
            FineTuningJob.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related(
                "workspace", "project__workspace", "intake__version__dataset", "intake__training_file",
                "intake__validation_file", "base_model", "training_job__model_version__base_model", "created_by",
            )
            .filter(pk=job_id)
            .exclude(state=JobState.ENDED)
            .first()
        )  # fmt: skip
        if job is None:
            return
        if job.state == JobState.VALIDATING and job.paused_at is None:
            _start_step(job)
        elif job.training_job is not None:
            _follow_step(job, job.training_job)


def _start_step(job: FineTuningJob) -> None:
    intake = job.intake
    if intake.state == IntakeState.WORKING:
        return
    which = "validation" if intake.error_in_validation else "training"
    if intake.state == IntakeState.FAILED:
        _refuse_file(job, which, intake.error)
        return
    version = intake.version
    assert version is not None
    for which, reason in _misfits(job.method, version):
        _refuse_file(job, which, reason)
        return
    if version.train_count < FEWEST_EXAMPLES:
        _refuse_file(
            job,
            "training",
            f"Training file has {version.train_count} example(s), but must have at least {FEWEST_EXAMPLES} examples.",
        )
        return
    recommended = recommend(
        method=METHOD,
        parameters=job.base_model.parameters,
        context_length=job.base_model.context_length,
        rows=version.train_count,
        objective=job.method,
    )
    try:
        with transaction.atomic():
            training = job_start(
                project=job.project,
                version=version,
                base_model=job.base_model,
                name=job.suffix or intake.training_file.name.rpartition(".")[0] or intake.training_file.name,
                method=METHOD,
                objective=job.method,
                hyperparameters=trainer_values(job.hyperparameters, seed=job.seed, recommended=recommended),
                by=job.created_by,
                submission_key=uuid.uuid5(uuid.NAMESPACE_URL, f"ftportal:{job.public_id}"),
            )
    except PortalError as error:
        _end_failed(job, {"code": error.code, "message": error.message, "param": None})
        return
    transition(job, JobState.STARTED, training_job=training)
    event_note(job, "Files validated, moving job to queued state")


def _misfits(method: str, version: Version) -> Iterator[tuple[str, str]]:
    """Files whose examples the method can't use, and why."""
    pairs = pair_counts(version)
    counts = (
        ("training", version.train_count, pairs.train),
        ("validation", version.validation_count, pairs.validation),
    )
    for which, examples, in_pairs in counts:
        if method != Objective.DPO and in_pairs:
            yield (
                which,
                "It holds preference pairs, which are for the method 'dpo'; 'supervised' can't use them.",
            )
        elif method == Objective.DPO and in_pairs < examples:
            yield (
                which,
                f"{examples - in_pairs} of its {examples} examples are no preference pairs, and the method 'dpo' learns"
                " from pairs: every line needs 'input', 'preferred_output' and 'non_preferred_output'.",
            )


def _refuse_file(job: FineTuningJob, which: str, reason: str) -> None:
    _end_failed(
        job,
        {
            "code": f"invalid_{which}_file",
            "message": f"The job failed due to an invalid {which} file. {reason}",
            "param": f"{which}_file",
        },
    )


def _follow_step(job: FineTuningJob, training: TrainingJob) -> None:
    if training.started_at is not None and not job.events.filter(message=STARTED).exists():
        event_note(job, STARTED, at=training.started_at)
    if training.state == TrainingState.SUCCEEDED:
        _end_succeeded(job, training)
    elif training.state == TrainingState.CANCELLED:
        _end(job, "cancelled", "The job was cancelled", training=training)
    elif training.state == TrainingState.FAILED:
        error = {
            "code": "training_failed",
            "message": training.error or "The training failed.",
            "param": None,
        }
        _end_failed(job, error, training=training)


STARTED = "Fine-tuning job started"


def _end_succeeded(job: FineTuningJob, training: TrainingJob) -> None:
    assert training.model_version is not None
    served = served_model_ensure(workspace=job.workspace, version=training.model_version, suffix=job.suffix)
    for checkpoint in served_checkpoints_ensure(served=served):
        assert checkpoint.checkpoint is not None
        event_note(
            job,
            f"Checkpoint created at step {checkpoint.checkpoint.step} with Snapshot ID: {checkpoint.name}",
            after_training=True,
        )
    event_note(job, f"New fine-tuned model created: {served.name}", after_training=True)
    _end(job, "succeeded", "The job has successfully completed", training=training)


def _end_failed(job: FineTuningJob, error: dict[str, Any], *, training: TrainingJob | None = None) -> None:
    FineTuningJob.objects.filter(pk=job.pk).update(error=error)
    _end(job, "failed", error["message"], training=training, level=EventLevel.ERROR)


def _end(
    job: FineTuningJob,
    outcome: str,
    message: str,
    *,
    training: TrainingJob | None = None,
    level: str = EventLevel.INFO,
) -> None:
    result_file = None
    trained_tokens = None
    if training is not None and training.step:
        result_file = file_create(
            workspace=job.workspace,
            project=None,
            name=f"step_metrics_{job.public_id}.csv",
            purpose=Purpose.RESULTS,
            blob=blob_store(content=result_csv(training), content_type="text/csv"),
            by=job.created_by,
        )
        last = MetricPoint.objects.filter(job=training, tokens__isnull=False).order_by("-seq").first()
        trained_tokens = last.tokens if last is not None else None
    event_note(job, message, level=level, after_training=True)
    transition(
        job,
        JobState.ENDED,
        finished_at=(training.finished_at if training else None) or timezone.now(),
        result_file=result_file,
        trained_tokens=trained_tokens,
    )
    event_announce(
        workspace=job.workspace,
        event_type=f"fine_tuning.job.{outcome}",
        data={"id": job.public_id},
        key=job.public_id,
    )


def fine_tuning_job_cancel(*, job: FineTuningJob, by: User) -> None:
    """Ask a job to end. Raises ApiError for one that has ended."""
    with transaction.atomic():
        locked = _open_job(job)
        training = locked.training_job
        FineTuningJob.objects.filter(pk=locked.pk).update(cancelled_at=timezone.now())
        record(workspace=locked.workspace, actor=by, action="fine_tuning_job.cancelled", target=locked)
        if training is None:
            _end(locked, "cancelled", "The job was cancelled")
        else:
            job_cancel(job=training, by=by)


def fine_tuning_job_pause(*, job: FineTuningJob, by: User) -> None:
    """Let a job stop where it stands, to be resumed. Without effect on one that is paused."""
    with transaction.atomic():
        locked = _open_job(job)
        training = locked.training_job
        if training is None:
            if locked.paused_at is None:
                FineTuningJob.objects.filter(pk=locked.pk).update(paused_at=timezone.now())
                event_note(locked, "The job was paused")
                record(workspace=locked.workspace, actor=by, action="fine_tuning_job.paused", target=locked)
        elif training.state != TrainingState.PAUSED and not training.pausing:
            event_note(locked, "The job was paused")
            job_pause(job=training, by=by)


def fine_tuning_job_resume(*, job: FineTuningJob, by: User) -> None:
    """Go on with a paused job. Without effect on one that is not paused."""
    with transaction.atomic():
        locked = _open_job(job)
        training = locked.training_job
        if training is None:
            if locked.paused_at is not None:
                FineTuningJob.objects.filter(pk=locked.pk).update(paused_at=None)
                event_note(locked, "The job was resumed")
                record(workspace=locked.workspace, actor=by, action="fine_tuning_job.resumed", target=locked)
        elif training.state == TrainingState.PAUSED:
            event_note(locked, "The job was resumed")
            job_resume(job=training, by=by)
        elif training.pausing:
            raise ApiError(
                f"The job {locked.public_id} is stopping now. Resume it in a moment.",
                status=409,
                code="job_pausing",
                retry=True,
                headers={"Retry-After": "2"},
            )
    fine_tuning_job_advance(job_id=job.pk)


def _open_job(job: FineTuningJob) -> FineTuningJob:
    """Locked. Raises ApiError for one that has ended."""
    locked = (
        FineTuningJob.objects.select_for_update(of=("self",))
        .select_related("workspace", "training_job__project__workspace")
        .get(pk=job.pk)
    )
    training = locked.training_job
    ended = locked.state == JobState.ENDED or (training is not None and training.has_ended)
    if ended or locked.cancelled_at is not None:
        raise ApiError(
            f"The job {locked.public_id} has ended already.",
            code="invalid_job_status",
            param="fine_tuning_job_id",
        )
    return locked
