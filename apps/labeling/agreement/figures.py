"""What every coefficient returns: a value with its interval, or the reason why it has none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NO_PAIRS = "No item has two independent answers yet."
ONE_VALUE = "Undefined: only one answer was used, so chance can't be told from agreement."


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval at `level` (0.95 is 95 %)."""

    low: float
    high: float
    level: float = 0.95

    def to_dict(self) -> dict[str, Any]:
        """The interval as plain JSON values."""
        return {"low": self.low, "high": self.high, "level": self.level}


@dataclass(frozen=True, slots=True)
class Figure:
    """One coefficient. `value` is None where it is undefined, and then `reason` says why; it is never shown as 0 or 1.

    `items` is how many items carried information. `interval` may be missing while the value stands; then
    `interval_reason` says why.
    """

    value: float | None
    items: int
    reason: str = ""
    interval: Interval | None = None
    interval_reason: str = ""

    def __post_init__(self) -> None:
        if (self.value is None) != bool(self.reason):
            raise ValueError("A figure has either a value or the reason why it has none.")

    def to_dict(self) -> dict[str, Any]:
        """The figure as plain JSON values; `from_dict` reads it back."""
        return {
            "value": self.value,
            "items": self.items,
            "reason": self.reason,
            "interval": self.interval.to_dict() if self.interval else None,
            "interval_reason": self.interval_reason,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Figure:
        """Read what `to_dict` wrote."""
        return cls(**{**data, "interval": Interval(**data["interval"]) if data["interval"] else None})


def undefined(reason: str, items: int = 0) -> Figure:
    """A figure that has no value."""
    return Figure(None, items, reason)
