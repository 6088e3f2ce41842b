"""The lines that a custom trainer writes, as docs/custom-trainers.md describes them. Other fields are ignored."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Step = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Text = Annotated[str, Meta(max_length=2000)]


class Event(msgspec.Struct, tag_field="type", omit_defaults=True):
    """What every line has in common: nothing but its type."""


class Phase(Event, tag="phase"):
    phase: Literal["preparing", "training"]


class Plan(Event, tag="plan"):
    steps: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    examples: int | None = None
    validation_examples: int | None = None
    tokens: int | None = None
    trained_tokens: int | None = None
    parameters: int | None = None
    trainable_parameters: int | None = None
    dropped_rows: int | None = None
    truncated_rows: int | None = None
    resumed_from_step: Step | None = None


class Metrics(Event, tag="metrics"):
    step: Step
    loss: float | None = None
    epoch: float | None = None
    tokens: int | None = None
    learning_rate: float | None = None
    grad_norm: float | None = None
    tokens_per_second: float | None = None
    token_accuracy: float | None = None


class Evaluation(Event, tag="evaluation"):
    step: Step
    loss: float | None = None
    epoch: float | None = None
    tokens: int | None = None
    token_accuracy: float | None = None


class Checkpoint(Event, tag="checkpoint"):
    step: Step
    path: Annotated[str, Meta(min_length=1, max_length=300)]
    validation_loss: float | None = None
    is_best: bool = False


class Message(Event, tag="message"):
    text: Text


class Result(Event, tag="result"):
    best_step: Step | None = None
    validation_loss: float | None = None
    steps: Step | None = None
    stopped_early: bool = False


class Failed(Event, tag="failed"):
    message: Text
    code: Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,50}$")] = "trainer_failed"


Line = Phase | Plan | Metrics | Evaluation | Checkpoint | Message | Result | Failed
