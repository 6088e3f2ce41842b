"""From what a provider knows of a job that ended to a training job of the project, with its curves and its model."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from django.db import models, transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.canonical import canonical_hash
from apps.core.errors import PortalError
from apps.datasets.models import Version
from apps.jobs.ingest import events_ingest
from apps.jobs.models import JobState, TrainingJob
from apps.jobs.recovery.archives import patiently
from apps.jobs.recovery.entries import without_nul
from apps.jobs.remote.recipes import remote_configuration
from apps.jobs.remote.steps import job_polled, job_remote_checkpoints
from apps.operations.progress import Progress
from apps.projects.models import Project
from apps.providers.contracts import ProviderError, TrainingEvent, TrainingResult, TrainingState
from apps.providers.models import Connection
from apps.providers.remote import RemoteJob, RemoteProgress, RemoteTrainer
from apps.registry.models import BaseModel, ModelKind
from apps.registry.services import model_version_create

MOST_POLLS = 5000
STATES = {
    TrainingState.SUCCEEDED: JobState.SUCCEEDED,
    TrainingState.FAILED: JobState.FAILED,
    TrainingState.STOPPED: JobState.CANCELLED,
}
CHAT_FORMAT = "chat"


class StillRunningError(PortalError):
    """The job has not ended at its provider."""

    code = "still_running"


@dataclass(frozen=True, kw_only=True)
class History:
    """Everything a provider says of a job that ended. `result` is None where it left no model."""

    progress: RemoteProgress
    result: TrainingResult | None
    data_format: str


def history_read(*, adapter: RemoteTrainer, remote: RemoteJob, progress: Progress) -> History:
    """Ask until nothing new is said. Raises StillRunningError and ProviderError."""
    events: list[TrainingEvent] = []
    cursor = ""
    for _ in range(MOST_POLLS):
        said = patiently(partial(adapter.poll, remote.handle, cursor=cursor), progress)
        if not said.state.is_final:
            raise StillRunningError(
                f"{remote.handle} has not ended at its provider yet. Bring it in once it has."
            )
        events.extend(said.events)
        progress.report(len(events), unit="events", message=f"Reading the history of {remote.handle}")
        if not said.events or said.cursor == cursor:
            break
        cursor = said.cursor
    result = None
    if said.state is TrainingState.SUCCEEDED:
        try:
            result = patiently(lambda: adapter.result(remote.handle), progress)
        except ProviderError as error:
            if error.retryable:
                raise
    support = adapter.support(remote.base_model, remote.objective)
    return History(
        progress=replace(said, events=tuple(events), reply=without_nul(dict(said.reply))),
        result=result,
        data_format=support.data_format if support is not None else CHAT_FORMAT,
    )


@dataclass(frozen=True, kw_only=True)
class PastJob:
    """A job that ended at a provider, with the version that holds its data. `version_said_by_person`: nobody could
    compare that with what was sent then. `answers`: whether its tuned model is still listed; None: unknown."""

    remote: RemoteJob
    history: History
    version: Version
    version_said_by_person: bool
    answers: bool | None
    name: str


def past_job_create(
    *, project: Project, connection: Connection, base_model: BaseModel, past: PastJob, by: User | None
) -> TrainingJob:
    """The training job as it stands at its provider, in one transaction."""
    remote = past.remote
    configuration = _configuration(connection, past)
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)  # one number at a time
        last = TrainingJob.objects.filter(project=project).aggregate(last=models.Max("number"))["last"]
        job = TrainingJob.objects.create(
            project=project,
            number=(last or 0) + 1,
            name=past.name[:120],
            version=past.version,
            base_model=base_model,
            provider=connection.provider,
            method=configuration["method"],
            objective=remote.objective,
            configuration=configuration,
            configuration_hash=canonical_hash(configuration),
            state=STATES[past.history.progress.state],
            handle=remote.handle,
            imported_at=timezone.now(),
            error=_error(past),
            trained_tokens=remote.trained_tokens,
            **_times(past),
        )
        if remote.created_at is not None:
            # The day on which it was started there, not the one on which it came here.
            TrainingJob.objects.filter(pk=job.pk).update(created_at=remote.created_at)
        events_ingest(job_id=job.pk, events=past.history.progress.events)
        job_polled(job=job, progress=past.history.progress, next_poll_at=None)
        if past.history.result is not None:
            job_remote_checkpoints(job=job, checkpoints=past.history.result.checkpoints)
        _model(job, past, by)
        record(
            workspace=project.workspace,
            actor=by,
            action="job.imported",
            target=job,
            data={
                "connection": str(connection),
                "handle": remote.handle,
                "version": str(past.version),
                "version_said_by_person": past.version_said_by_person,
                "configuration_hash": job.configuration_hash,
            },
        )
    job.refresh_from_db()
    return job


def _configuration(connection: Connection, past: PastJob) -> dict[str, Any]:
    remote = past.remote
    configuration = remote_configuration(
        version=past.version,
        provider=connection.provider,
        reference=remote.base_model,
        objective=remote.objective,
        numbers={name: _plain(value) for name, value in remote.hyperparameters.items()},
        data_format=past.history.data_format,
        seed=remote.seed,
        suffix=remote.suffix,
    )
    configuration["at_provider"] = {
        "handle": remote.handle,
        "training_file": remote.training_file,
        "validation_file": remote.validation_file,
        "metadata": dict(remote.metadata),
        "version_said_by_person": past.version_said_by_person,
    }
    found: dict[str, Any] = without_nul(configuration)
    return found


def _plain(value: float) -> float | int:
    """4.0 epochs are 4."""
    return int(value) if float(value).is_integer() else value


def _times(past: PastJob) -> dict[str, datetime | None]:
    """It trained from its first measured step, as far as the provider still tells."""
    began = next((e.time for e in past.history.progress.events if e.type in ("plan", "metrics")), None)
    started = datetime.fromtimestamp(began, tz=UTC) if began is not None else past.remote.created_at
    return {"started_at": started, "finished_at": past.remote.finished_at or started}


def _error(past: PastJob) -> str:
    failure = past.history.progress.failure
    said = past.remote.error or (failure.message if failure is not None else "")
    if not said and past.history.progress.state is TrainingState.STOPPED:
        said = "It was cancelled at the provider."
    return said.replace("\0", "\ufffd")


def _model(job: TrainingJob, past: PastJob, by: User | None) -> None:
    """The tuned model, where it can still be asked."""
    result = past.history.result
    name = past.remote.tuned_model or (result.provider_model if result is not None else None)
    if not name or past.answers is False or job.state != JobState.SUCCEEDED:
        return
    job.refresh_from_db()
    version = model_version_create(
        project=job.project,
        base_model=job.base_model,
        kind=ModelKind.REMOTE,
        artifact=None,
        name=job.name,
        validation_loss=result.validation_loss if result is not None else None,
        best_step=result.best_step if result is not None else None,
        actor=by,
        provider_model=name,
    )
    TrainingJob.objects.filter(pk=job.pk).update(model_version=version)
