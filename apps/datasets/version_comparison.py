"""What moved in the statistics from one version to another."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.datasets.models import Version

ANSWERS_SHOWN = 20
LEAST_SHARE = 0.0005
"""A smaller change would be shown as 0.0 points."""


@dataclass(frozen=True)
class Figure:
    label: str
    before: float | int | None
    after: float | int | None

    @property
    def change(self) -> float | int | None:
        return None if self.before is None or self.after is None else self.after - self.before

    @property
    def moved(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True)
class AnswerShare:
    """How often one answer is given, as shares of all rows; None: not among those that the version lists."""

    answer: str
    before: float | None
    after: float | None
    rows_before: int | None
    rows_after: int | None

    @property
    def change(self) -> float:
        return (self.after or 0.0) - (self.before or 0.0)


def figures_of(before: Version, after: Version) -> list[Figure]:
    old, new = before.statistics, after.statistics

    def pair(label: str, *path: str) -> Figure:
        return Figure(label, _at(old, path), _at(new, path))

    return [
        Figure("Rows", before.row_count, after.row_count),
        Figure("Train", before.train_count, after.train_count),
        Figure("Validation", before.validation_count, after.validation_count),
        Figure("Test", before.test_count, after.test_count),
        pair("Tokens", "tokens", "total", "all"),
        pair("Trained-on tokens", "tokens", "answers", "train"),
        pair("Tokens a row, median", "lengths", "tokens", "percentiles", "50"),
        pair("Tokens a row, longest", "lengths", "tokens", "maximum"),
        pair("Characters a row, median", "lengths", "characters", "percentiles", "50"),
        pair("Characters a row, longest", "lengths", "characters", "maximum"),
        pair("Answers a row, most", "lengths", "turns", "maximum"),
        pair("Duplicates", "duplicate_rows"),
        pair("Different answers", "answers", "distinct"),
        pair("Different system prompts", "system_prompts"),
    ]


def answers_moved(before: Version, after: Version) -> list[AnswerShare]:
    """The answers whose share moved most. An answer that a version doesn't list among its most frequent ones is
    unknown there, unless the version lists all of its answers."""
    old, new = _counts(before), _counts(after)
    shares = []
    for answer in {*old, *new}:
        rows = [_rows(counts, answer, version) for counts, version in ((old, before), (new, after))]
        share = [
            None if count is None else count / max(1, version.row_count)
            for count, version in zip(rows, (before, after), strict=True)
        ]
        shares.append(AnswerShare(answer, share[0], share[1], rows[0], rows[1]))
    known = [share for share in shares if share.before is not None and share.after is not None]
    moved = [share for share in known if abs(share.change) >= LEAST_SHARE]
    return sorted(moved, key=lambda share: (-abs(share.change), share.answer))[:ANSWERS_SHOWN]


def _counts(version: Version) -> dict[str, int]:
    answers = version.statistics.get("answers", {}).get("answers", [])
    return {each["answer"]: each["rows"] for each in answers}


def _rows(counts: Mapping[str, int], answer: str, version: Version) -> int | None:
    if answer in counts:
        return counts[answer]
    return 0 if version.statistics.get("answers", {}).get("distinct") == len(counts) else None


def _at(statistics: Mapping[str, Any], path: tuple[str, ...]) -> float | int | None:
    value: Any = statistics
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, int | float) else None
