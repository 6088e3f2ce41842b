"""From Together's job, events and metrics to ours. Nothing here asks anything.

The cursor says how much was told before: how many of the provider's events, and the last training and evaluation steps.
A job that Together restarts measures some steps again; what was told once is not told twice.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from apps.providers.contracts import TrainingEvent, TrainingFailure, TrainingState

if TYPE_CHECKING:
    from together.types import FinetuneEvent

STATES: dict[str, TrainingState] = {
    "pending": TrainingState.QUEUED,
    "queued": TrainingState.QUEUED,
    "running": TrainingState.RUNNING,
    "compressing": TrainingState.RUNNING,
    "uploading": TrainingState.RUNNING,
    "cancel_requested": TrainingState.RUNNING,
    "cancelled": TrainingState.STOPPED,
    "error": TrainingState.FAILED,
    "user_error": TrainingState.FAILED,
    "completed": TrainingState.SUCCEEDED,
}
_FAILURES = {
    "job_error": "provider_failed",
    "job_user_error": "refused_data",
    "billing_limit": "billing_limit",
}


def state_of(status: str) -> TrainingState:
    """A status that is new to us counts as running: it will end in one that is known."""
    return STATES.get(status, TrainingState.RUNNING)


@dataclass
class Cursor:
    seq: int = 0
    seen: int = 0
    """Events of the provider that were told."""
    train: int = 0
    evaluation: int = 0
    planned: bool = False

    @classmethod
    def read(cls, text: str) -> "Cursor":
        return cls(**json.loads(text)) if text else cls()

    def written(self) -> str:
        return json.dumps(asdict(self))


@dataclass
class Story:
    """Events as they are told, with their numbers."""

    cursor: Cursor
    events: list[TrainingEvent] = field(default_factory=list)

    def tell(self, kind: str, time: float, data: Mapping[str, Any]) -> None:
        self.events.append(TrainingEvent(seq=self.cursor.seq, time=time, type=kind, data=dict(data)))
        self.cursor.seq += 1

    def hear(
        self, events: Sequence["FinetuneEvent"], *, checkpoints: Callable[[], Mapping[int, str]]
    ) -> None:
        """Tell the provider's events that are new. `checkpoints`, models by step, is called only if one was saved."""
        fresh = events[self.cursor.seen :]
        self.cursor.seen = max(self.cursor.seen, len(events))
        self._plan(events)
        saved = any(kind_of(event) == "checkpoint_save" for event in fresh)
        models = checkpoints() if saved else {}
        for event in fresh:
            time = seconds(event.created_at)
            if event.message:
                self.tell("message", time, {"level": _level(event), "text": event.message})
            if kind_of(event) == "checkpoint_save" and event.step is not None and event.step in models:
                self.tell("checkpoint", time, {"step": event.step, "provider_model": models[event.step]})

    def _plan(self, events: Iterable["FinetuneEvent"]) -> None:
        """How long the job will be, once; a plan that comes after measurements takes none of them back."""
        known = next((event for event in events if event.total_steps), None)
        if known is None or self.cursor.planned:
            return
        plan: dict[str, Any] = {"steps": known.total_steps}
        tokens = next((event.token_count for event in events if event.token_count), None)
        if tokens:
            plan["tokens"] = tokens
        done = max(self.cursor.train, self.cursor.evaluation)
        self.tell("plan", seconds(known.created_at), plan | ({"resumed_from_step": done} if done else {}))
        self.cursor.planned = True

    def measure(self, rows: Iterable[Mapping[str, float]], *, now: float) -> None:
        """Tell the measurements that are new. A row is one of training or one of evaluation, as documented."""
        for row in rows:
            step = int(row.get("train/global_step") or row.get("eval/global_step") or 0)
            time = row.get("timestamp", now * 1e9) / 1e9
            trained = dict(_named(row, _TRAINING))
            if "loss" in trained and step > self.cursor.train:
                self.tell("metrics", time, {"step": step, **trained})
                self.cursor.train = step
            evaluated = dict(_named(row, _EVALUATION))
            if "loss" in evaluated and step > self.cursor.evaluation:
                self.tell("evaluation", time, {"step": step, **evaluated})
                self.cursor.evaluation = step


_TRAINING = {
    "train/loss": "loss",
    "train/epoch": "epoch",
    "train/learning_rate": "learning_rate",
    "train/grad_norm": "grad_norm",
    "train/mean_token_accuracy": "token_accuracy",
}
_EVALUATION = {
    "eval/loss": "loss",
    "train/epoch": "epoch",
    "eval/mean_token_accuracy": "token_accuracy",
}


def _named(row: Mapping[str, float], names: Mapping[str, str]) -> Iterator[tuple[str, float]]:
    for theirs, ours in names.items():
        value = row.get(theirs)
        if isinstance(value, (int, float)) and math.isfinite(value):
            yield ours, value


def in_order(events: Iterable["FinetuneEvent"] | None) -> list["FinetuneEvent"]:
    return sorted(events or (), key=lambda event: seconds(event.created_at))


def failure_of(events: Sequence["FinetuneEvent"]) -> TrainingFailure:
    """Why a job ended badly, in the provider's words if it left any."""
    for event in reversed(events):
        code = _FAILURES.get(kind_of(event))
        if code is not None and event.message:
            return TrainingFailure(code=code, message=f"Together ended the job: {event.message}")
    return TrainingFailure(code="provider_failed", message="Together ended the job without giving a reason.")


def kind_of(event: "FinetuneEvent") -> str:
    return str(event.type or "").lower()


def _level(event: "FinetuneEvent") -> str:
    level = str(event.level or "").lower()
    return next((name for name in ("error", "warning") if name in level), "info")


def seconds(moment: datetime | str | None) -> float:
    """Unix seconds of a moment as Together writes it; 0 if it can't be read."""
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:
            return 0.0
    if moment is None:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
