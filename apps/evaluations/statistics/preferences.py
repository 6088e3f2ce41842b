"""Votes for one of two answers."""

from __future__ import annotations

from dataclasses import dataclass

from apps.evaluations.statistics.intervals import Interval, wilson_interval


@dataclass(frozen=True, slots=True)
class Preference:
    """`win_rate` is wins over the votes that were not ties; None, like the interval, if all were ties."""

    wins: int
    losses: int
    ties: int
    win_rate: float | None
    interval: Interval | None
    p: float


def preference(wins: int, losses: int, ties: int = 0, level: float = 0.95) -> Preference:
    """Two-sided sign test on the votes that are not ties, with the Wilson interval of the win rate."""
    from scipy import stats

    decided = wins + losses
    if decided == 0:
        return Preference(wins, losses, ties, None, None, 1.0)
    p = float(stats.binomtest(wins, decided, 0.5).pvalue)
    return Preference(wins, losses, ties, wins / decided, wilson_interval(wins, decided, level), p)
