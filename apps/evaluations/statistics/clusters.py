"""Items in groups (the same document, person or sentence pattern) say less than as many independent ones."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apps.evaluations.statistics.intervals import Interval

FEW_GROUPS = 20
"""Below about this many groups the interval itself is uncertain (Cameron and Miller 2015)."""


@dataclass(frozen=True, slots=True)
class ClusterEstimate:
    """A mean difference with its cluster-robust interval and two-sided p value.

    `design_effect` is the variance with groups over the variance as if the items were independent: how many
    times more items the grouping costs. None when the items do not vary at all.
    """

    difference: float
    interval: Interval
    p: float
    groups: int
    design_effect: float | None


def cluster_interval(
    differences: ArrayLike, groups: Sequence[Hashable] | NDArray[np.integer], level: float = 0.95
) -> ClusterEstimate | None:
    """Interval of the mean difference with one group as the unit (Miller 2024, arXiv 2411.00640).

    The CR1 variance, G/(G − 1) · Σ (sum of the residuals of a group)² / n², and Student's t with G − 1
    degrees of freedom (Cameron and Miller 2015, J Human Resources 50:317–372). Groups may differ in size.
    None with fewer than two groups: then there is nothing to measure the spread between groups by.
    """
    from scipy import stats

    values = np.asarray(differences, dtype=float)
    codes = group_codes(groups)
    if len(codes) != len(values):
        raise ValueError("Every difference needs its group.")
    count = int(codes.max()) + 1 if len(codes) else 0
    if count < 2:
        return None
    mean = float(values.mean())
    residuals = values - mean
    sums = np.bincount(codes, weights=residuals, minlength=count)
    variance = count / (count - 1) * float(np.sum(sums**2)) / len(values) ** 2
    error = math.sqrt(variance)
    half = float(stats.t.ppf(0.5 + level / 2, count - 1)) * error
    without_spread = 1.0 if mean == 0 else 0.0
    p = 2 * float(stats.t.sf(abs(mean) / error, count - 1)) if error > 0 else without_spread
    independent = float(np.sum(residuals**2)) / (len(values) - 1) / len(values)
    effect = variance / independent if independent > 0 else None
    interval = Interval(mean - half, mean + half, level, "cluster-robust t")
    return ClusterEstimate(mean, interval, p, count, effect)


def group_codes(groups: Sequence[Hashable] | NDArray[np.integer]) -> NDArray[np.intp]:
    """Number the groups 0, 1, 2 … in order of appearance; any hashable value names a group."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(group, len(numbers)) for group in groups], dtype=np.intp)
