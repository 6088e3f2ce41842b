"""From Fireworks' job and its file of metrics to ours. Nothing here asks anything.

The file grows by one JSON line a step. The cursor says how far it was read and which steps were told: what a job that
was queued again measures once more is not told twice.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from apps.providers.contracts import TrainingEvent, TrainingFailure, TrainingState

PREFIX = "JOB_STATE_"
STATES: dict[str, TrainingState] = {
    "UNSPECIFIED": TrainingState.QUEUED,
    "CREATING": TrainingState.QUEUED,
    "CREATING_INPUT_DATASET": TrainingState.QUEUED,
    "PENDING": TrainingState.QUEUED,
    "VALIDATING": TrainingState.QUEUED,
    "IDLE": TrainingState.QUEUED,
    "RE_QUEUEING": TrainingState.QUEUED,
    "PAUSED": TrainingState.QUEUED,
    "RUNNING": TrainingState.RUNNING,
    "WRITING_RESULTS": TrainingState.RUNNING,
    "CANCELLING": TrainingState.RUNNING,
    "COMPLETED": TrainingState.SUCCEEDED,
    "EARLY_STOPPED": TrainingState.SUCCEEDED,
    "CANCELLED": TrainingState.STOPPED,
    "FAILED": TrainingState.FAILED,
    "EXPIRED": TrainingState.FAILED,
    "DELETING": TrainingState.FAILED,
    "DELETING_CLEANING_UP": TrainingState.FAILED,
}
_SAID = {
    "VALIDATING": "Fireworks is checking the data.",
    "RUNNING": "The training runs.",
    "WRITING_RESULTS": "Fireworks is writing the tuned model.",
    "COMPLETED": "The training is complete.",
    "EARLY_STOPPED": "The training was stopped early: the validation loss fell no more.",
    "PAUSED": "The job is paused, mostly because the account is suspended. Look at the account at Fireworks.",
    "RE_QUEUEING": "The job was put back into the queue.",
    "CANCELLING": "The job is being cancelled.",
    "CANCELLED": "The job was cancelled.",
    "EXPIRED": "The job expired.",
    "FAILED": "The job failed.",
}


def short(state: str | None) -> str:
    return (state or "UNSPECIFIED").removeprefix(PREFIX)


@dataclass
class Cursor:
    seq: int = 0
    state: str = ""
    """As last told."""
    ran: bool = False
    offset: int = 0
    """Bytes of the file of metrics that were read; they end with a whole line."""
    train: int = 0
    evaluation: int = 0

    @classmethod
    def read(cls, text: str) -> "Cursor":
        return cls(**json.loads(text)) if text else cls()

    def written(self) -> str:
        return json.dumps(asdict(self))


@dataclass
class Story:
    """Events as they are told, with their numbers."""

    cursor: Cursor
    now: float
    events: list[TrainingEvent] = field(default_factory=list)

    def tell(self, kind: str, data: Mapping[str, Any], time: float | None = None) -> None:
        self.events.append(
            TrainingEvent(seq=self.cursor.seq, time=time or self.now, type=kind, data=dict(data))
        )
        self.cursor.seq += 1

    def arrive(self, state: str) -> TrainingState:
        """The state in our words; a state that is new is told once. A job that has run waits no more, it goes on."""
        ours = STATES.get(state, TrainingState.RUNNING)
        if state != self.cursor.state:
            self.cursor.state = state
            if text := _SAID.get(state):
                level = (
                    "error" if ours is TrainingState.FAILED else "warning" if state == "PAUSED" else "info"
                )
                self.tell("message", {"level": level, "text": text})
        self.cursor.ran = self.cursor.ran or ours is TrainingState.RUNNING
        return TrainingState.RUNNING if ours is TrainingState.QUEUED and self.cursor.ran else ours

    def measure(self, lines: Iterable[bytes]) -> None:
        """Tell the measurements that are new. Lines that are no JSON objects are passed over."""
        for row, values in _rows(lines):
            step = int(_first(row, ("step",)) or _first(values, ("train/step", "eval/step")) or 0)
            time = _first(row, ("timestamp",))
            trained = {
                ours: value
                for ours, names in _TRAINING.items()
                if (value := _first(values, names)) is not None
            }
            if "loss" in trained and step > self.cursor.train:
                self.tell("metrics", {"step": step, **trained}, time)
                self.cursor.train = step
            evaluated = {
                ours: value
                for ours, names in _EVALUATION.items()
                if (value := _first(values, names)) is not None
            }
            if "loss" in evaluated and step > self.cursor.evaluation:
                self.tell("evaluation", {"step": step, **evaluated}, time)
                self.cursor.evaluation = step


_TRAINING = {
    "loss": ("train/loss",),
    "epoch": ("train/epoch", "epoch"),
    "learning_rate": ("train/lr", "train/learning_rate"),
    "grad_norm": ("train/grad_norm",),
    "token_accuracy": ("train/mean_token_accuracy",),
}
_EVALUATION = {
    "loss": ("eval/loss", "eval_loss"),
    "epoch": ("eval/epoch", "epoch"),
    "token_accuracy": ("eval/mean_token_accuracy",),
}


def _rows(lines: Iterable[bytes]) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Each line with its values: beside `step`, or, as older trainers write them, under `data`."""
    for line in lines:
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            values = row.get("data")
            yield row, values if isinstance(values, dict) else row


def _first(values: Mapping[str, Any], names: Iterable[str]) -> float | None:
    for name in names:
        value = values.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
            return value
    return None


def failure_of(state: str, words: str) -> TrainingFailure:
    """Why a job ended badly, in the provider's words if it left any."""
    said = f" It says: {words.rstrip('. ')}." if words else ""
    if state == "EXPIRED":
        return TrainingFailure(
            code="expired", message=f"Fireworks let the job expire before it was done.{said} Start it again."
        )
    if state.startswith("DELETING"):
        return TrainingFailure(code="deleted", message="The job is being deleted at Fireworks.")
    return TrainingFailure(
        code="provider_failed",
        message=f"Fireworks ended the job.{said}"
        if said
        else "Fireworks ended the job without giving a reason.",
    )
