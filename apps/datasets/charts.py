"""Small pictures of a version, as numbers that a template turns into bars."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from apps.core.formatting import format_number
from apps.datasets.models import Version
from apps.datasets.statistics import ANSWER_CHARACTERS


@dataclass(frozen=True)
class Bar:
    height: float
    """Percent of the highest bar; a bar with anything in it is at least 1.5 high."""
    title: str


@dataclass(frozen=True)
class BarChart:
    title: str
    bars: list[Bar]
    start: int
    end: str
    sentence: str
    """What the picture shows, in words."""


def bars_of(title: str, summary: dict[str, Any] | None, unit: str) -> BarChart | None:
    """A histogram of `statistics.summary`; None where the numbers are unknown."""
    if summary is None:
        return None
    histogram = summary["histogram"]
    start, width, counts = histogram["start"], histogram["width"], histogram["counts"]
    highest = max(counts)
    bars = []
    for index, count in enumerate(counts):
        low, high = start + index * width, start + (index + 1) * width - 1
        is_open = histogram["above"] and index == len(counts) - 1
        span = f"{low} and more" if is_open else (f"{low}" if low == high else f"{low} to {high}")
        height = max(1.5, 100 * count / highest) if count else 0.0
        bars.append(Bar(round(height, 1), f"{span} {unit}: {format_number(count)} rows"))
    percentiles = summary["percentiles"]
    return BarChart(
        title=title,
        bars=bars,
        start=start,
        end=f"{start + len(counts) * width - 1}{' +' if histogram['above'] else ''}",
        sentence=(
            f"median {format_number(percentiles['50'])}, 95 % up to {format_number(percentiles['95'])},"
            f" longest {format_number(summary['maximum'])}"
        ),
    )


@dataclass(frozen=True)
class Segment:
    split: str
    label: str
    rows: int
    share: float
    """Of all rows, 0..1."""


def split_segments(version: Version) -> list[Segment]:
    sizes = (
        ("train", "Train", version.train_count),
        ("validation", "Validation", version.validation_count),
        ("test", "Test", version.test_count),
    )
    return [Segment(split, label, rows, rows / version.row_count) for split, label, rows in sizes]


def answer_rows(mix: dict[str, Any]) -> list[dict[str, Any]]:
    """The label mix for a table: each answer with the width of its bar in percent of the most frequent one's, and the
    filter of its rows, empty for an answer that is listed by its beginning only."""
    answers = mix["answers"]
    most = answers[0]["rows"] if answers else 1
    return [
        answer
        | {
            "text": text,
            "width": 100 * answer["rows"] / most,
            "query": urlencode({"answer": text}) if 0 < len(text) < ANSWER_CHARACTERS else "",
        }
        for answer in answers
        for text in [answer["answer"]]
    ]


def duplicate_sizes(duplicates: dict[str, Any] | None) -> list[dict[str, Any]]:
    """How many conversations are there how often, each with the width of its bar in percent of the longest."""
    sizes = duplicates["sizes"] if duplicates else []
    most = max((size["groups"] for size in sizes), default=0) or 1

    def label(low: int, high: int | None) -> str:
        if high is None:
            return f"{low} and more"
        return str(low) if low == high else f"{low} to {high}"

    return [
        {
            "label": label(size["from"], size["to"]),
            "groups": size["groups"],
            "width": 100 * size["groups"] / most,
        }
        for size in sizes
    ]
