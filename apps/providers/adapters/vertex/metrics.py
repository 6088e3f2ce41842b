"""The file of metrics that a tuning job may name.

Google publishes the names of the metrics ("Tuning and validation metrics" in the guide to supervised and preference
tuning), not the file's format. So JSON lines, a JSON list and CSV are read, by those names.
"""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

ENDINGS = (".jsonl", ".json", ".csv")
_STEP = ("step", "global_step", "step_number")
_TRAINING = {
    "loss": ("train_total_loss", "preference_optimization_train_loss", "train_loss", "training_loss"),
    "token_accuracy": ("train_fraction_of_correct_next_step_preds",),
}
_VALIDATION = {
    "loss": ("eval_total_loss", "preference_optimization_eval_loss", "eval_loss", "validation_loss"),
    "token_accuracy": ("eval_fraction_of_correct_next_step_preds",),
}


@dataclass(frozen=True)
class Measured:
    """Rows of {step, loss, token_accuracy, epoch}, by step."""

    training: tuple[dict[str, Any], ...] = ()
    validation: tuple[dict[str, Any], ...] = ()


def read_metrics(text: str) -> Measured:
    """What can be understood of it; raises ValueError where that is nothing."""
    training: dict[int, dict[str, Any]] = {}
    validation: dict[int, dict[str, Any]] = {}
    for row in _rows(text.removeprefix("\ufeff").strip()):
        told = {str(name).lower().strip("/ "): value for name, value in row.items()}
        step = _first(told, _STEP)
        if step is None or step < 0:
            continue
        for names, found in ((_TRAINING, training), (_VALIDATION, validation)):
            values = {name: _first(told, spellings) for name, spellings in names.items()}
            if any(value is not None for value in values.values()):
                # A step may come in pieces: one metric a line.
                kept = found.setdefault(int(step), {"step": int(step)})
                kept.update({name: value for name, value in values.items() if value is not None})
                epoch = _first(told, ("epoch",))
                kept.update({} if epoch is None else {"epoch": epoch})
    if text.strip() and not training and not validation:
        raise ValueError("no metrics with their steps are in it")
    return Measured(
        tuple(training[step] for step in sorted(training)),
        tuple(validation[step] for step in sorted(validation)),
    )


def _rows(text: str) -> Iterable[Mapping[str, Any]]:
    if text.startswith("["):
        listed = json.loads(text)
    elif text.startswith("{"):
        listed = [json.loads(line) for line in text.splitlines() if line.strip()]
    else:
        listed = list(csv.DictReader(io.StringIO(text)))
    return [row for row in listed if isinstance(row, dict)]


def _first(told: Mapping[str, Any], names: Iterable[str]) -> float | None:
    for name in names:
        try:
            value = float(told[name])
        except (KeyError, TypeError, ValueError):
            continue
        if math.isfinite(value):
            return value
    return None
