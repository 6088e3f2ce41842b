"""Checkpoints as transformers' trainer leaves them: `checkpoint-N` with its state in trainer_state.json."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STATE_FILE = "trainer_state.json"
PREFIX = "checkpoint-"


@dataclass(frozen=True, kw_only=True)
class Saved:
    step: int
    directory: Path
    evaluations: Mapping[int, float]
    """Validation losses by step, as the trainer had seen them when it saved this."""


class SavedCheckpoints:
    """The checkpoints below a tool's output directory. One counts when its state, written last, is there."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._told: set[int] = set()

    def fresh(self) -> list[Saved]:
        """Those that became complete since the last call, in order."""
        found = []
        for step, directory in self._directories():
            if step in self._told:
                continue
            saved = read_checkpoint(directory, step)
            if saved is not None:
                self._told.add(step)
                found.append(saved)
        return found

    def newest(self) -> Saved | None:
        for step, directory in reversed(self._directories()):
            saved = read_checkpoint(directory, step)
            if saved is not None:
                return saved
        return None

    def at(self, step: int) -> Path | None:
        """The directory of a complete checkpoint that is still there."""
        saved = read_checkpoint(self._output / f"{PREFIX}{step}", step)
        return saved.directory if saved else None

    def _directories(self) -> list[tuple[int, Path]]:
        try:
            names = [path for path in self._output.iterdir() if path.name.startswith(PREFIX)]
        except OSError:
            return []
        numbered = [(path.name.removeprefix(PREFIX), path) for path in names]
        return sorted((int(number), path) for number, path in numbered if number.isdecimal())


def read_checkpoint(directory: Path, step: int) -> Saved | None:
    """None when it is not there, or not complete."""
    try:
        state: Any = json.loads((directory / STATE_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(state, dict) or state.get("global_step") != step:
        return None
    return Saved(step=step, directory=directory, evaluations=dict(_evaluations(state)))


def _evaluations(state: Mapping[str, Any]) -> list[tuple[int, float]]:
    history = state.get("log_history")
    found = []
    for entry in history if isinstance(history, list) else []:
        step, loss = (entry.get("step"), entry.get("eval_loss")) if isinstance(entry, dict) else (None, None)
        if isinstance(step, int) and isinstance(loss, int | float) and math.isfinite(loss):
            found.append((step, float(loss)))
    return found
