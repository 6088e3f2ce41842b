"""Confidence intervals of one share. All shares are in 0..1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SMALL_SAMPLE = 30
"""Below this many items the exact interval is used."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval at `level` (0.95 is 95 %), with the name of the method that made it."""

    low: float
    high: float
    level: float
    method: str

    @property
    def width(self) -> float:
        return self.high - self.low

    def contains(self, value: float) -> bool:
        return self.low <= value <= self.high

    def to_dict(self) -> dict[str, Any]:
        """The interval as plain JSON values."""
        return {"low": self.low, "high": self.high, "level": self.level, "method": self.method}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Interval:
        """Read what `to_dict` wrote."""
        return cls(float(data["low"]), float(data["high"]), float(data["level"]), str(data["method"]))


def wilson_interval(successes: int, items: int, level: float = 0.95) -> Interval:
    """The score interval without continuity correction (Wilson 1927; method 3 of Newcombe 1998)."""
    return _binomial_interval(successes, items, level, "wilson", "Wilson")


def clopper_pearson_interval(successes: int, items: int, level: float = 0.95) -> Interval:
    """The exact interval by tail areas (Clopper and Pearson 1934; method 5 of Newcombe 1998)."""
    return _binomial_interval(successes, items, level, "exact", "Clopper–Pearson")


def share_interval(successes: int, items: int, level: float = 0.95) -> Interval | None:
    """The interval to show beside a share: Wilson, or Clopper–Pearson below 30 items; None without items."""
    if items == 0:
        return None
    method = clopper_pearson_interval if items < SMALL_SAMPLE else wilson_interval
    return method(successes, items, level)


def _binomial_interval(successes: int, items: int, level: float, method: str, name: str) -> Interval:
    from scipy import stats

    found = stats.binomtest(successes, items).proportion_ci(confidence_level=level, method=method)
    return Interval(float(found.low), float(found.high), level, name)
