"""From what Vertex AI says about a tuning job to its state and events, counted over the whole job.

There is no list of events: a job has a state, a detail of it, checkpoints and, where Google writes one, a file of
metrics. The cursor holds what of these was told.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from apps.providers.adapters.vertex.metrics import Measured
from apps.providers.contracts import RemoteCheckpoint, TrainingEvent, TrainingFailure, TrainingState
from apps.providers.remote import RemoteProgress

STATES = {
    "UNSPECIFIED": TrainingState.QUEUED,
    "QUEUED": TrainingState.QUEUED,
    "PENDING": TrainingState.QUEUED,
    "RUNNING": TrainingState.RUNNING,
    "UPDATING": TrainingState.RUNNING,
    "PAUSED": TrainingState.RUNNING,
    "CANCELLING": TrainingState.RUNNING,
    "SUCCEEDED": TrainingState.SUCCEEDED,
    "PARTIALLY_SUCCEEDED": TrainingState.SUCCEEDED,
    "FAILED": TrainingState.FAILED,
    "EXPIRED": TrainingState.FAILED,
    "CANCELLED": TrainingState.STOPPED,
}
_WORDS = {
    "PAUSED": ("warning", "The job was paused at Google, and waits there to be resumed."),
    "CANCELLING": ("info", "The job is being cancelled."),
    "PARTIALLY_SUCCEEDED": ("warning", "The job is done, but some of its results are missing."),
    "EXPIRED": ("error", "The job has expired."),
}
_DETAILS = {
    "WAITING_FOR_QUOTA": "Waits until the project's quota allows another job.",
    "PROCESSING_DATASET": "Checks and prepares the data.",
    "WAITING_FOR_CAPACITY": "Waits for free machines.",
    "TUNING": "Trains.",
    "POST_PROCESSING": "Finishes the tuned model.",
}
_STATISTICS = ("supervised_tuning_data_stats", "preference_optimization_data_stats")


@dataclass
class Told:
    """The cursor. `file` is the key of the metrics file, `generation` that of it when it was last read."""

    next: int = 0
    state: str = ""
    detail: str = ""
    planned: bool = False
    dropped: bool = False
    trained: int = -1
    validated: int = -1
    file: str = ""
    generation: str = ""
    note: str = ""
    checkpoints: list[int] = field(default_factory=list)

    @classmethod
    def read(cls, cursor: str) -> "Told":
        return cls(**json.loads(cursor)) if cursor else cls()


Draft = tuple[str, dict[str, Any]]


def progress_of(
    job: Mapping[str, Any], cursor: str, read: Callable[[Told], Measured | None]
) -> RemoteProgress:
    """`job` is the tuning job as plain JSON. `read` gives the metrics file where it is new, and keeps its generation
    or a note on why it can't be read in what it is given."""
    told = Told.read(cursor)
    drafts = [*_state(job, told), *_statistics(job, told), *_metrics(told, read), *_checkpoints(job, told)]
    when = _time(job)
    events = tuple(
        TrainingEvent(seq=told.next + number, time=when, type=kind, data=data)
        for number, (kind, data) in enumerate(drafts)
    )
    told.next += len(events)
    state = state_of(job)
    return RemoteProgress(
        state=state,
        events=events,
        cursor=json.dumps(asdict(told)),
        failure=_failure(job) if state is TrainingState.FAILED else None,
        status=str(job.get("state", "")),
        trained_tokens=_statistic(job, "total_billable_token_count"),
        reply=job,
    )


def state_of(job: Mapping[str, Any]) -> TrainingState:
    word = _word(job)
    if word == "PARTIALLY_SUCCEEDED" and not tuned_endpoint(job):
        return TrainingState.FAILED
    return STATES.get(word, TrainingState.RUNNING)


def tuned_endpoint(job: Mapping[str, Any]) -> str:
    """What answers chats: the endpoint that Google makes for the last or only checkpoint."""
    tuned = job.get("tuned_model") or {}
    return str(tuned.get("endpoint") or tuned.get("model") or "")


def checkpoints_of(job: Mapping[str, Any]) -> tuple[RemoteCheckpoint, ...]:
    listed = (job.get("tuned_model") or {}).get("checkpoints") or []
    found = {
        int(entry["step"]): RemoteCheckpoint(step=int(entry["step"]), provider_model=entry["endpoint"])
        for entry in listed
        if entry.get("step") is not None and entry.get("endpoint")
    }
    return tuple(found[step] for step in sorted(found))


def steps_of(job: Mapping[str, Any]) -> int | None:
    return _statistic(job, "tuning_step_count")


def _state(job: Mapping[str, Any], told: Told) -> Iterator[Draft]:
    word, detail = _word(job), str(job.get("tuning_job_state", "")).removeprefix("TUNING_JOB_STATE_")
    if word != told.state:
        told.state = word
        if word in _WORDS:
            level, text = _WORDS[word]
            yield "message", {"level": level, "text": text}
    if detail != told.detail:
        told.detail = detail
        if detail in _DETAILS:
            yield "message", {"level": "info", "text": _DETAILS[detail]}


def _statistics(job: Mapping[str, Any], told: Told) -> Iterator[Draft]:
    """The plan stands before the first metrics or nowhere: a later one would be taken for a restart."""
    steps = steps_of(job)
    if steps and not told.planned and told.trained < 0 and told.validated < 0:
        told.planned = True
        yield "plan", {"steps": steps, "rows": _statistic(job, "tuning_dataset_example_count")}
    dropped = _statistic(job, "total_truncated_example_count")
    if dropped and not told.dropped:
        told.dropped = True
        yield (
            "message",
            {"level": "warning", "text": f"Google left out {dropped} rows that it can't train on."},
        )


def _metrics(told: Told, read: Callable[[Told], Measured | None]) -> Iterator[Draft]:
    before = told.note
    measured = read(told)
    if told.note and told.note != before:
        yield "message", {"level": "warning", "text": told.note}
    if measured is None:
        return
    fresh = [(row["step"], 0, "metrics", row) for row in measured.training if row["step"] > told.trained]
    fresh += [
        (row["step"], 1, "evaluation", row) for row in measured.validation if row["step"] > told.validated
    ]
    for _, _, kind, row in sorted(fresh, key=lambda entry: entry[:2]):
        yield kind, row
    told.trained = max([told.trained, *(row["step"] for row in measured.training)])
    told.validated = max([told.validated, *(row["step"] for row in measured.validation)])


def _checkpoints(job: Mapping[str, Any], told: Told) -> Iterator[Draft]:
    for checkpoint in checkpoints_of(job):
        if checkpoint.step not in told.checkpoints:
            told.checkpoints.append(checkpoint.step)
            yield (
                "checkpoint",
                {
                    "step": checkpoint.step,
                    "provider_model": checkpoint.provider_model,
                    "validation_loss": None,
                },
            )


def _failure(job: Mapping[str, Any]) -> TrainingFailure:
    reason = str((job.get("error") or {}).get("message") or "").strip()
    if _word(job) == "EXPIRED":
        return TrainingFailure(code="expired", message=f"The job expired at Google. {reason}".strip())
    return TrainingFailure(
        code="provider_failed",
        message=f"Vertex AI says: {reason}" if reason else "Vertex AI gives no reason.",
    )


def _word(job: Mapping[str, Any]) -> str:
    return str(job.get("state") or "UNSPECIFIED").removeprefix("JOB_STATE_")


def _statistic(job: Mapping[str, Any], name: str) -> int | None:
    for kind in _STATISTICS:
        value = ((job.get("tuning_data_stats") or {}).get(kind) or {}).get(name)
        if value is not None:
            return int(value)
    return None


def _time(job: Mapping[str, Any]) -> float:
    for name in ("end_time", "update_time", "start_time", "create_time"):
        if job.get(name):
            return datetime.fromisoformat(str(job[name])).timestamp()
    return time.time()
