"""How many steps a run has, and when it validates: as the trainers of Hugging Face's libraries count."""

import math
from dataclasses import dataclass

from apps.providers.contracts import Hyperparameters

AUTOMATIC_EVALUATIONS = 10


@dataclass(frozen=True, kw_only=True)
class Schedule:
    steps: int
    steps_per_epoch: int
    interval: int
    """Steps between two validations, and between two checkpoints."""
    warmup_steps: int


def make_schedule(settings: Hyperparameters, rows: int) -> Schedule:
    batches = math.ceil(rows / settings.batch_size)
    epoch = max(1, math.ceil(batches / settings.gradient_accumulation))
    steps = settings.max_steps or max(1, math.ceil(settings.epochs * epoch))
    return Schedule(
        steps=steps,
        steps_per_epoch=epoch,
        interval=settings.evaluation_steps or max(1, math.ceil(steps / AUTOMATIC_EVALUATIONS)),
        warmup_steps=math.ceil(steps * settings.warmup_ratio),
    )
