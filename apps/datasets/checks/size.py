"""Whether there is enough data, and where it stands on a scale of tens."""

import math
from dataclasses import dataclass

from apps.core.formatting import format_number
from apps.datasets.checks.results import ATTENTION, INFO, PROBLEM, Found, Item, item_key, rows_text

SCALE_FROM, SCALE_TO = 10, 100_000
# rows from which on, what to expect, severity; docs/data.md
STEPS = (
    (0, "too few to train on", PROBLEM),
    (50, "a minimal change: simple format or style only", ATTENTION),
    (100, "enough for a first try", ATTENTION),
    (500, "a noticeable improvement on a focused task", INFO),
    (1_000, "strong performance on the task", INFO),
    (10_001, "less and less gain for each row, unless the task is very complex or diverse", INFO),
)


@dataclass(frozen=True)
class Mark:
    place: float
    label: str


@dataclass(frozen=True)
class Meter:
    """Places are percent of the width of a logarithmic scale."""

    place: float
    marks: list[Mark]
    sentence: str
    severity: str


def place_of(rows: int) -> float:
    """0 at ten rows, 25 at a hundred, 50 at a thousand, 100 at a hundred thousand."""
    if rows <= SCALE_FROM:
        return 0.0
    share = math.log10(rows / SCALE_FROM) / math.log10(SCALE_TO / SCALE_FROM)
    return round(min(100.0, 100 * share), 1)


def step_of(rows: int) -> tuple[int, str, str]:
    return [step for step in STEPS if rows >= step[0]][-1]


def meter_of(rows: int) -> Meter:
    _, text, severity = step_of(rows)
    marks = [Mark(place_of(at), format_number(at)) for at in (50, 100, 500, 1_000, 10_000)]
    return Meter(place_of(rows), marks, f"{rows_text(rows)}: {text}.", severity)


def size_findings(rows: int) -> list[Found]:
    """A finding only where there are too few or more than most tasks need."""
    start, text, severity = step_of(rows)
    if 500 <= rows <= 10_000:
        return []
    advice = (
        " A better prompt often wins below about 500 examples."
        if rows < 500
        else " 200 excellent rows often beat 5\u202f000 mediocre ones: spend the time on reading them."
    )
    return [
        Found(
            check="size",
            code=f"from_{start}",
            severity=severity,
            title=f"{rows_text(rows)}: {text}",
            detail=f"What to expect grows with the logarithm of the rows.{advice}",
            items=[Item(item_key("size", [start]))],
        )
    ]
