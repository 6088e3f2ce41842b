"""How many rows are enough: the one place that says so, for checks, versions and jobs, and a scale of tens."""

import math
from dataclasses import dataclass

from apps.core.formatting import format_number
from apps.datasets.checks.results import ATTENTION, INFO, PROBLEM, Found, Item, item_key, rows_text

SCALE_FROM, SCALE_TO = 10, 100_000


@dataclass(frozen=True)
class Step:
    """What so many training rows and more bring, up to the next step; the table in docs/data.md."""

    rows: int
    severity: str
    title: str
    expect: str
    advice: str


STEPS = (
    Step(
        0,
        PROBLEM,
        "Too few rows to train on",
        "too few to train on",
        "The model learns next to nothing, or recites them. Use them as examples in the prompt, and collect at least"
        " 50, better 500.",
    ),
    Step(
        50,
        ATTENTION,
        "A minimal change at best",
        "these change little, simple format or style only",
        "A better prompt often wins below about 500 rows.",
    ),
    Step(
        100,
        ATTENTION,
        "Enough for a first try",
        "enough for a first try; expect a modest change",
        "A focused task gets noticeably better from about 500 rows on; with fewer, a better prompt often wins.",
    ),
    Step(
        500,
        INFO,
        "Enough for a focused task",
        "a noticeable improvement on a focused task",
        "One narrow task is learnt from so many; a broad one needs more.",
    ),
    Step(
        1_000,
        INFO,
        "A good size",
        "strong performance on the task",
        "More care for each row pays more than more rows.",
    ),
    Step(
        10_001,
        INFO,
        "More than most tasks need",
        "diminishing returns, unless the task is very complex or diverse",
        "200 excellent rows often beat 5\u202f000 mediocre ones: spend the time on reading them.",
    ),
)
_NEEDS_NO_WORD = (500, 1_000)


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


def step_of(rows: int) -> Step:
    """What so many training rows bring."""
    return [step for step in STEPS if rows >= step.rows][-1]


def meter_of(rows: int) -> Meter:
    step = step_of(rows)
    marks = [Mark(place_of(at), format_number(at)) for at in (50, 100, 500, 1_000, 10_000)]
    return Meter(place_of(rows), marks, f"{rows_text(rows)}: {step.expect}.", step.severity)


def size_findings(rows: int) -> list[Found]:
    """A finding only where there are too few or more than most tasks need."""
    step = step_of(rows)
    if step.rows in _NEEDS_NO_WORD:
        return []
    return [
        Found(
            check="size",
            code=f"from_{step.rows}",
            severity=step.severity,
            title=f"{rows_text(rows)}: {step.expect}",
            detail=f"What to expect grows with the logarithm of the rows. {step.advice}",
            items=[Item(item_key("size", [step.rows]))],
        )
    ]
