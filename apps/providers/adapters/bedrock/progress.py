"""From what Bedrock says about a job to its state and events, counted over the whole job.

Bedrock has no list of events: there is the status of each stage, and step-wise losses in two CSV files once the job
is over. So the cursor holds which stages were told and how many events there were.
"""

import csv
import io
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from apps.providers.contracts import TrainingEvent, TrainingFailure, TrainingState
from apps.providers.remote import RemoteProgress

STATES = {
    "InProgress": TrainingState.RUNNING,
    "Stopping": TrainingState.RUNNING,
    "Completed": TrainingState.SUCCEEDED,
    "Failed": TrainingState.FAILED,
    "Stopped": TrainingState.STOPPED,
}
STAGES = {
    "validationDetails": "Checking the files",
    "dataProcessingDetails": "Preparing the data",
    "trainingDetails": "Training",
}
WORDS = {
    "InProgress": "has begun",
    "Completed": "is done",
    "Stopping": "is being stopped",
    "Stopped": "was stopped",
    "Failed": "failed",
}
_WAITING = {None, "NotStarted"}


@dataclass(frozen=True)
class Measured:
    """What the CSV files hold; `notes` say why one could not be read."""

    training: list[dict[str, Any]] = field(default_factory=list)
    validation: list[dict[str, Any]] = field(default_factory=list)
    notes: tuple[str, ...] = ()


@dataclass
class _Told:
    """The cursor: number of the next event, the last status told of each stage, and whether the end was told."""

    next: int = 0
    stages: dict[str, str] = field(default_factory=dict)
    ended: bool = False

    @classmethod
    def read(cls, cursor: str) -> "_Told":
        return cls(**json.loads(cursor)) if cursor else cls()

    def write(self) -> str:
        return json.dumps({"next": self.next, "stages": self.stages, "ended": self.ended})


def progress_of(job: Mapping[str, Any], cursor: str, read_metrics: Callable[[], Measured]) -> RemoteProgress:
    """`read_metrics` is called once in a job's life: when its end is told."""
    told = _Told.read(cursor)
    state = state_of(job)
    drafts = list(_stage_events(job, told))
    if state.is_final and not told.ended:
        if state is TrainingState.SUCCEEDED:
            drafts += _measured_events(job, read_metrics())
        told.ended = True
    events = tuple(
        TrainingEvent(seq=told.next + number, time=when, type=kind, data=data)
        for number, (when, kind, data) in enumerate(drafts)
    )
    told.next += len(events)
    return RemoteProgress(
        state=state,
        events=events,
        cursor=told.write(),
        failure=_failure(job) if state is TrainingState.FAILED else None,
        status=str(job.get("status", "")),
        reply=plain(job),
    )


def state_of(job: Mapping[str, Any]) -> TrainingState:
    state = STATES.get(str(job.get("status")), TrainingState.RUNNING)
    details = job.get("statusDetails") or {}
    waiting = details and all((details.get(stage) or {}).get("status") in _WAITING for stage in STAGES)
    return TrainingState.QUEUED if waiting and job.get("status") == "InProgress" else state


def plain(job: Mapping[str, Any]) -> dict[str, Any]:
    """The answer as it came, in what JSON can hold."""
    found: dict[str, Any] = json.loads(json.dumps(dict(job), default=_as_text))
    found.pop("ResponseMetadata", None)
    return found


def read_csv(text: str, loss: str) -> list[dict[str, Any]]:
    """Rows of a metrics file as {step, loss, epoch}, by step; a row that can't be read is left out.

    Columns as documented: step_number, epoch_number, training_loss or validation_loss, perplexity.
    """
    rows: dict[int, dict[str, Any]] = {}
    for row in csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))):
        step, value = _number(row.get("step_number")), _number(row.get(loss))
        if step is None or step < 0:
            continue
        rows[int(step)] = {"step": int(step), "loss": value, "epoch": _number(row.get("epoch_number"))}
    return [rows[step] for step in sorted(rows)]


def _stage_events(job: Mapping[str, Any], told: _Told) -> Iterator[tuple[float, str, dict[str, Any]]]:
    for stage, name in STAGES.items():
        detail = (job.get("statusDetails") or {}).get(stage) or {}
        status = str(detail.get("status") or "NotStarted")
        if status in _WAITING or told.stages.get(stage) == status:
            continue
        told.stages[stage] = status
        level = "error" if status == "Failed" else "info"
        when = _time(detail.get("lastModifiedTime"), job.get("lastModifiedTime"))
        yield when, "message", {"level": level, "text": f"{name} {WORDS.get(status, status)}."}


def _measured_events(
    job: Mapping[str, Any], measured: Measured
) -> Iterator[tuple[float, str, dict[str, Any]]]:
    when = _time(job.get("endTime"), job.get("lastModifiedTime"))
    for note in measured.notes:
        yield when, "message", {"level": "warning", "text": note}
    steps = [row["step"] for row in (*measured.training, *measured.validation)]
    if steps:
        epochs = [row["epoch"] for row in measured.training if row["epoch"] is not None]
        yield when, "plan", {"steps": max(steps), **({"epochs": max(epochs)} if epochs else {})}
    # A training row before the validation row of its step.
    for _, kind, row in sorted(
        [(row["step"], "metrics", row) for row in measured.training]
        + [(row["step"], "validation", row) for row in measured.validation],
        key=lambda entry: entry[:2],
    ):
        yield when, "metrics" if kind == "metrics" else "evaluation", row


def _failure(job: Mapping[str, Any]) -> TrainingFailure:
    reason = str(job.get("failureMessage") or "").strip()
    return TrainingFailure(
        code="provider_failed",
        message=f"Amazon Bedrock says: {reason}" if reason else "Amazon Bedrock gives no reason.",
    )


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _time(*candidates: object) -> float:
    return next((when.timestamp() for when in candidates if isinstance(when, datetime)), time.time())


def _as_text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
