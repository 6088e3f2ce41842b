"""How a job stands, in figures for its page: phases with their durations, time left, what the curve says."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from apps.core.formatting import format_duration, format_number
from apps.jobs.curves import fit_diagnosis
from apps.jobs.hyperparameters import label
from apps.jobs.models import Checkpoint, JobState, TrainingJob
from apps.jobs.overfitting import FitDiagnosis, FitStatus
from apps.jobs.trainers import trainer_label
from apps.operations.models import Operation, OperationState

PHASE_LABELS = {
    "loading": "Loading the model",
    "preparing": "Preparing the data",
    "training": "Training",
    "saving": "Saving",
    # Of jobs at providers.
    "sending": "Sending the data",
    "queued": "Waiting there",
    "running": "Training there",
}


@dataclass(frozen=True, kw_only=True)
class PhaseDuration:
    name: str
    label: str
    seconds: float
    running: bool


@dataclass(frozen=True, kw_only=True)
class Standing:
    """None is unknown."""

    job: TrainingJob
    operation: Operation | None
    phases: Sequence[PhaseDuration]
    seconds_left: float | None
    share: float | None
    diagnosis: FitDiagnosis | None
    checkpoints: Sequence[Checkpoint]
    message: str

    @property
    def advice_tone(self) -> str:
        worrying = (FitStatus.OVERFITTING, FitStatus.DIVERGING)
        return "attention" if self.diagnosis and self.diagnosis.status in worrying else "info"

    @property
    def best_hint(self) -> str:
        return (
            ""
            if self.job.best_step is None
            else f"validation loss, at step {format_number(self.job.best_step)}"
        )

    @property
    def shows_advice(self) -> bool:
        """Not while it could only say that there is nothing to go by yet."""
        if self.diagnosis is None or self.diagnosis.status is FitStatus.TOO_EARLY:
            return False
        return self.diagnosis.status is not FitStatus.NO_VALIDATION or not self.job.plan.get(
            "validation_examples"
        )

    @property
    def next_poll_words(self) -> str:
        """When the provider is asked again."""
        if self.job.next_poll_at is None:
            return ""
        seconds = max(0.0, (self.job.next_poll_at - timezone.now()).total_seconds())
        return f"It is asked again in {format_duration(seconds)}; nothing is lost."

    @property
    def provider_reply_json(self) -> str:
        reply = self.job.provider_reply
        return json.dumps(reply, indent=2, ensure_ascii=False) if reply else ""

    @property
    def none(self) -> str:
        """What stands for a figure that was never measured, or that the provider keeps to itself."""
        if self.job.is_active:
            return "none yet"
        return "none" if self.job.base_model.connection_id is None else "not told"

    @property
    def is_looked_for(self) -> bool:
        """It ended here before anybody knew whether its provider had created it."""
        return self.job.has_ended and self.job.next_poll_at is not None


def job_standing(job: TrainingJob, operation: Operation | None, *, now: float | None = None) -> Standing:
    now = time.time() if now is None else now
    started = job.step > 0
    return Standing(
        job=job,
        operation=operation,
        phases=_phases(job, now),
        seconds_left=_seconds_left(job, now),
        share=min(1.0, job.step / job.total_steps) if job.total_steps else None,
        diagnosis=fit_diagnosis(job) if started else None,
        checkpoints=list(job.checkpoints.all()),
        message=_message(job, operation),
    )


def _phases(job: TrainingJob, now: float) -> list[PhaseDuration]:
    """Each phase once, with the sum of its durations: a restarted trainer goes through them again."""
    ended = job.finished_at or job.paused_at
    end = ended.timestamp() if ended else now
    seconds: dict[str, float] = {}
    starts = [entry["started"] for entry in job.phases]
    for entry, until in zip(job.phases, [*starts[1:], end], strict=False):
        if entry["phase"] in PHASE_LABELS:
            seconds[entry["phase"]] = seconds.get(entry["phase"], 0.0) + max(0.0, until - entry["started"])
    return [
        PhaseDuration(
            name=name,
            label=PHASE_LABELS[name],
            seconds=duration,
            running=job.is_active and name == job.phase,
        )
        for name, duration in seconds.items()
    ]


def _seconds_left(job: TrainingJob, now: float) -> float | None:
    """As its provider says; else from the pace since the trainer last started, validation and checkpoints included."""
    if not job.is_active:
        return None
    if job.expected_end_at is not None:
        return max(0.0, job.expected_end_at.timestamp() - now)
    if job.phase != "training" or not job.total_steps:
        return None
    done = job.step - (job.plan.get("resumed_from_step") or 0)
    since: float | None = next((e["started"] for e in reversed(job.phases) if e["phase"] == "training"), None)
    if done <= 0 or since is None:
        return None
    return max(0.0, (now - since) / done * (job.total_steps - job.step))


def _message(job: TrainingJob, operation: Operation | None) -> str:
    if not job.is_active:
        return ""
    if operation is not None and operation.cancel_requested_at is not None:
        if job.base_model.connection is not None:
            return f"Cancelling at {job.base_model.connection}"
        return f"{'Pausing' if job.pausing else 'Cancelling'}: the trainer saves where it stands"
    if operation is not None and operation.message:
        return operation.message
    if job.state == JobState.QUEUED and operation is not None:
        return _waiting(operation)
    return PHASE_LABELS.get(job.phase, "Waiting for a worker")


def _waiting(operation: Operation) -> str:
    """A worker of the queue may be there and busy: then the wait is for the work before this."""
    busy = Operation.objects.filter(queue=operation.queue, state=OperationState.RUNNING).count()
    if not busy:
        return "Waiting for a worker"
    return f"Waiting for a worker: {busy} other {'task' if busy == 1 else 'tasks'} first"


def differing_hyperparameters(jobs: Sequence[TrainingJob]) -> list[tuple[str, list[Any]]]:
    """Name and the value of each job, for what is not the same in all of them."""
    columns = [_settings(job) for job in jobs]
    names = list(dict.fromkeys(name for column in columns for name in column))
    rows = [(name, [column.get(name) for column in columns]) for name in names]
    return [(name, values) for name, values in rows if any(value != values[0] for value in values)]


def _trained_by(job: TrainingJob) -> str:
    connection = job.base_model.connection
    return str(connection) if connection is not None else trainer_label(job.provider)


def _settings(job: TrainingJob) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "Dataset version": str(job.version),
        "Base model": str(job.base_model),
        "Method": job.get_method_display(),
        "Objective": job.get_objective_display(),
        "Trained by": _trained_by(job),
    }
    settings.update({label(name): value for name, value in job.hyperparameters.items()})
    return settings
