"""From a job's events, checkpoints and result file to training events that are counted and come once."""

import re
import time
from collections.abc import Iterable, Mapping
from typing import Any

from apps.providers.adapters.openai.cursor import Seen
from apps.providers.contracts import RemoteCheckpoint, TrainingEvent
from apps.providers.openai_protocol.replies import number, text

_STEP_OF = re.compile(r"\bStep (\d+)(?:/(\d+))?\b", re.IGNORECASE)
TRAIN_ACCURACY = ("train_mean_token_accuracy", "train_accuracy")
VALID_ACCURACY = ("valid_mean_token_accuracy", "valid_accuracy")
LEVELS = ("info", "warn", "error")


class Timeline:
    """Adds to `seen` what it makes events of."""

    def __init__(self, seen: Seen, job: Mapping[str, Any]) -> None:
        self.seen = seen
        self.events: list[TrainingEvent] = []
        self._job = job
        self._usual_time = number(job.get("finished_at")) or number(job.get("created_at")) or time.time()

    @property
    def measured(self) -> bool:
        return any(event.type in ("metrics", "evaluation") for event in self.events)

    def add(self, event: Mapping[str, Any]) -> None:
        """One event of the server."""
        when = number(event.get("created_at")) or self._usual_time
        data = metrics_of(event)
        if data is not None:
            self.add_step(data, when)
        elif not self.seen.knows_message(event, when):
            self.seen.add_message(event, when)
            self._say(event, when)

    def knows(self, event: Mapping[str, Any]) -> bool:
        """Whether nothing in it is new."""
        data = metrics_of(event)
        if data is None:
            return self.seen.knows_message(event, number(event.get("created_at")) or 0.0)
        step = int(data["step"])
        return step in self.seen.trained and (step in self.seen.validated or _validation(data) is None)

    def add_step(self, data: Mapping[str, Any], when: float | None = None) -> None:
        """Measurements of a step; training and validation count by themselves, as either may come later."""
        when = when or self._usual_time
        step = int(data["step"])
        loss = number(data.get("train_loss"))
        if loss is not None and step not in self.seen.trained:
            self._plan(data, when)
            self.seen.trained.add(step)
            self._emit(
                "metrics",
                when,
                step=step,
                loss=loss,
                token_accuracy=_first(data, TRAIN_ACCURACY),
                learning_rate=number(data.get("learning_rate")),
                epoch=number(data.get("epoch")),
            )
        validation = _validation(data)
        if validation is not None and step not in self.seen.validated:
            self._plan(data, when)
            self.seen.validated.add(step)
            whole, loss = validation
            accuracy = _first(data, tuple(f"full_{name}" for name in VALID_ACCURACY)) if whole else None
            self._emit(
                "evaluation",
                when,
                step=step,
                loss=loss,
                token_accuracy=accuracy or _first(data, VALID_ACCURACY),
                epoch=number(data.get("epoch")),
                sampled=None if whole else True,
            )

    def add_checkpoint(self, checkpoint: RemoteCheckpoint, when: float | None) -> None:
        if checkpoint.step in self.seen.checkpoints:
            return
        self.seen.checkpoints.add(checkpoint.step)
        self._emit(
            "checkpoint",
            when or self._usual_time,
            step=checkpoint.step,
            provider_model=checkpoint.provider_model,
            validation_loss=checkpoint.validation_loss,
        )

    def warn(self, words: str) -> None:
        self._emit("message", time.time(), level="warn", text=words)

    def _say(self, event: Mapping[str, Any], when: float) -> None:
        level, words = text(event.get("level")), text(event.get("message"))
        level = "warn" if level == "warning" else level
        if level == "error" and words:
            self.seen.last_error = words
        if words:
            self._emit("message", when, level=level if level in LEVELS else "info", text=words)

    def _plan(self, data: Mapping[str, Any], when: float) -> None:
        """Once, and before the first measurement: later it would be taken for a new start of the training."""
        if self.seen.planned:
            return
        self.seen.planned = True
        steps = number(data.get("total_steps"))
        if steps is None:
            return
        asked = hyperparameters_of(self._job)
        self._emit(
            "plan",
            when,
            steps=int(steps),
            epochs=number(asked.get("n_epochs")),
            batch_size=number(asked.get("batch_size")),
        )

    def _emit(self, kind: str, when: float, **data: Any) -> None:
        told = {name: value for name, value in data.items() if value is not None}
        self.events.append(TrainingEvent(seq=self.seen.next_seq, time=when, type=kind, data=told))
        self.seen.next_seq += 1


def metrics_of(event: Mapping[str, Any]) -> dict[str, Any] | None:
    """The measurements that an event reports; None for one that only says something. Where the data name no step, the
    message does: "Step 30/300: training loss=0.15"."""
    data = event.get("data")
    if not isinstance(data, Mapping) or number(data.get("train_loss")) is None and _validation(data) is None:
        return None
    found = dict(data)
    named = _STEP_OF.search(text(event.get("message")))
    if number(found.get("step")) is None and named:
        found["step"] = int(named[1])
    if number(found.get("total_steps")) is None and named and named[2]:
        found["total_steps"] = int(named[2])
    step = number(found.get("step"))
    return found if step is not None and step >= 0 else None


def hyperparameters_of(job: Mapping[str, Any]) -> Mapping[str, Any]:
    """As the job shows them: in its method, or at the top as older servers do."""
    method = job.get("method")
    block = method.get(method.get("type")) if isinstance(method, Mapping) else None
    inner = block.get("hyperparameters") if isinstance(block, Mapping) else None
    outer = job.get("hyperparameters")
    return {
        **(outer if isinstance(outer, Mapping) else {}),
        **(inner if isinstance(inner, Mapping) else {}),
    }


def _validation(data: Mapping[str, Any]) -> tuple[bool, float] | None:
    """Whether all validation rows were asked or a few, and the loss. The whole stands before the sample."""
    for name in ("full_valid_loss", "valid_loss", "validation_loss"):
        loss = number(data.get(name))
        if loss is not None and loss >= 0:  # -1 stands for none in some files
            return name == "full_valid_loss", loss
    return None


def _first(data: Mapping[str, Any], names: Iterable[str]) -> float | None:
    return next((value for name in names if (value := number(data.get(name))) is not None), None)
