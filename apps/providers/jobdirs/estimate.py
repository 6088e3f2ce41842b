"""Tokens, steps and time of a run, from the rows' real token counts."""

import math
from collections.abc import Sequence

from apps.providers.contracts import Estimate, Hyperparameters, RowTokens


def estimate_run(
    rows: Sequence[RowTokens], hyperparameters: Hyperparameters, *, tokens_per_second: float | None = None
) -> Estimate:
    """What the trainer will do with these rows.

    `tokens` and `trained_tokens` are over the whole run, without padding. `seconds` is None unless a measured
    rate for this base model, method and hardware is given; it covers the training steps, not loading or
    validation.
    """
    limit = hyperparameters.max_length
    long = [row for row in rows if row.total > limit]
    if hyperparameters.too_long == "truncate":
        used, dropped, truncated = list(rows), 0, len(long)
    else:
        used, dropped, truncated = [row for row in rows if row.total <= limit], len(long), 0
    batch = hyperparameters.batch_size * hyperparameters.gradient_accumulation
    steps_an_epoch = max(1, math.ceil(len(used) / batch)) if used else 0
    steps = math.ceil(steps_an_epoch * hyperparameters.epochs)
    if hyperparameters.max_steps is not None and used:
        steps = hyperparameters.max_steps
    epochs = steps / steps_an_epoch if steps_an_epoch else 0.0
    tokens = round(sum(min(row.total, limit) for row in used) * epochs)
    assistant = [row.assistant for row in used if row.assistant is not None]
    # Truncation keeps the start of a row, so how much of its answers is left is known only to the trainer.
    trained = round(sum(assistant) * epochs) if len(assistant) == len(used) and not truncated else None
    return Estimate(
        examples=len(used),
        dropped_rows=dropped,
        truncated_rows=truncated,
        tokens=tokens,
        trained_tokens=trained,
        steps=steps,
        seconds=tokens / tokens_per_second if tokens_per_second else None,
        basis="measured rate" if tokens_per_second else "unknown",
    )
