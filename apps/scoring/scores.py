"""The one shape of a score, whoever gives it: a person, a judge model or a metric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Source(StrEnum):
    PERSON = "person"
    JUDGE = "judge"
    METRIC = "metric"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One judgement of one answer.

    `value` is a share in 0..1 for everything that can be right or wrong (1.0 right, 0.0 wrong); None means
    *unscored*, which is neither right nor wrong, and then `unscored_reason` says why.
    """

    name: str
    value: float | None
    unscored_reason: str = ""
    source: Source = Source.METRIC
    comment: str = ""

    def __post_init__(self) -> None:
        if (self.value is None) != bool(self.unscored_reason):
            raise ValueError("A score has either a value or the reason why it has none.")

    @property
    def passed(self) -> bool | None:
        """True for a full score, False for less, None for unscored."""
        return None if self.value is None else self.value >= 1.0

    def to_dict(self) -> dict[str, Any]:
        """The score as plain JSON values."""
        return {
            "name": self.name,
            "value": self.value,
            "unscored_reason": self.unscored_reason,
            "source": self.source.value,
            "comment": self.comment,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Score:
        """Read what `to_dict` wrote."""
        return cls(**{**data, "source": Source(data["source"])})


@dataclass(frozen=True, slots=True)
class Rate:
    """The mean of scores, with the unscored ones counted beside it, never hidden and never as zero.

    `value`, `lowest` and `highest` are shares in 0..1. `value` is the mean over the scored items, None when
    nothing was scored; `lowest` and `highest` are what the mean over all items would be if every unscored
    item turned out wrong, or right.
    """

    total: float
    scored: int
    unscored: int

    @property
    def items(self) -> int:
        return self.scored + self.unscored

    @property
    def value(self) -> float | None:
        return self.total / self.scored if self.scored else None

    @property
    def lowest(self) -> float | None:
        return self.total / self.items if self.items else None

    @property
    def highest(self) -> float | None:
        return (self.total + self.unscored) / self.items if self.items else None

    @property
    def unscored_share(self) -> float | None:
        return self.unscored / self.items if self.items else None


def mean_score(scores: Iterable[Score | float | bool | None]) -> Rate:
    """The rate over scores, plain values or outcomes; None is unscored."""
    total, scored, unscored = 0.0, 0, 0
    for score in scores:
        value = score.value if isinstance(score, Score) else score
        if value is None:
            unscored += 1
        else:
            total += float(value)
            scored += 1
    return Rate(total, scored, unscored)
