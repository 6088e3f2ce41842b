"""Two systems on the same items, right or wrong on each.

An item is *fixed* when the candidate is right and the baseline wrong, *broken* when it is the other way
round; only these two kinds carry information about which system is better. Differences are candidate minus
baseline, as shares in -1..1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.evaluations.statistics.intervals import Interval


@dataclass(frozen=True, slots=True)
class PairedCounts:
    """The four cells of the paired table."""

    fixed: int
    broken: int
    same_right: int
    same_wrong: int

    @property
    def items(self) -> int:
        return self.fixed + self.broken + self.same_right + self.same_wrong

    @property
    def difference(self) -> float:
        return (self.fixed - self.broken) / self.items

    @property
    def disagreement(self) -> float:
        """The share of items on which the two systems differ."""
        return (self.fixed + self.broken) / self.items


def paired_counts(candidate: NDArray[np.bool_], baseline: NDArray[np.bool_]) -> PairedCounts:
    """Count the four cells; both arrays are in the same order of items."""
    if candidate.shape != baseline.shape:
        raise ValueError("Candidate and baseline need an outcome for the same items.")
    return PairedCounts(
        fixed=int(np.sum(candidate & ~baseline)),
        broken=int(np.sum(~candidate & baseline)),
        same_right=int(np.sum(candidate & baseline)),
        same_wrong=int(np.sum(~candidate & ~baseline)),
    )


def mcnemar_midp(fixed: int, broken: int) -> float:
    """Two-sided mid-p value of McNemar's test (Fagerland et al. 2013, BMC Med Res Methodol 13:91).

    Twice the binomial tail minus the probability of the observed count: less conservative than the exact
    test, and its level held in every case that the authors tried. With as many fixed as broken it is 1 minus
    half that probability. 1.0 without a discordant pair.
    """
    from scipy import stats

    discordant, fewer = fixed + broken, min(fixed, broken)
    if discordant == 0:
        return 1.0
    point = float(stats.binom.pmf(fewer, discordant, 0.5))
    if fixed == broken:
        return 1.0 - point / 2
    return min(1.0, 2 * float(stats.binom.cdf(fewer, discordant, 0.5)) - point)


def bonett_price_interval(fixed: int, broken: int, items: int, level: float = 0.95) -> Interval:
    """Interval of the paired difference with Laplace-adjusted cells (Bonett and Price 2012, JEBS 37:479–488).

    Keeps its level in small samples, where the plain Wald interval and the bootstrap do not.
    """
    from scipy import stats

    z = stats.norm.ppf(0.5 + level / 2)
    up, down = (fixed + 1) / (items + 2), (broken + 1) / (items + 2)
    error = math.sqrt((up + down - (up - down) ** 2) / (items + 2))
    low, high = (up - down) - z * error, (up - down) + z * error
    return Interval(max(-1.0, float(low)), min(1.0, float(high)), level, "Bonett–Price")


def items_needed(gain: float, disagreement: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Items for McNemar's test to show a true `gain` with this `power` (Connor 1987, Biometrics 43:207–211).

    `disagreement` is the share of items on which the systems differ; it cannot be smaller than the gain,
    so a smaller one is raised to it. Two-sided at `alpha`.
    """
    from scipy import stats

    size = abs(gain)
    if size == 0:
        raise ValueError("No number of items shows a gain of zero.")
    differ = min(1.0, max(disagreement, size))
    z_alpha, z_power = float(stats.norm.ppf(1 - alpha / 2)), float(stats.norm.ppf(power))
    root = z_alpha * math.sqrt(differ) + z_power * math.sqrt(differ - size**2)
    return math.ceil(root**2 / size**2)


def minimum_detectable_gain(
    items: int, disagreement: float, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """The smallest true gain that `items` items show with this `power`: the inverse of `items_needed`.

    None when even the largest possible gain, the whole disagreement, would need more items.
    """
    from scipy import stats

    if items <= 0 or not 0 < disagreement <= 1:
        return None
    z_alpha, z_power = float(stats.norm.ppf(1 - alpha / 2)), float(stats.norm.ppf(power))
    # g √n = a √d + b √(d − g²) squared and solved for g, its larger root.
    a, b, root_n, root_d = z_alpha, z_power, math.sqrt(items), math.sqrt(disagreement)
    inside = b**2 * disagreement * (items + b**2 - a**2)
    if inside < 0:
        return None
    gain = (a * root_d * root_n + math.sqrt(inside)) / (items + b**2)
    return float(gain) if gain <= disagreement else None


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """Whether a system is shown to be no worse than another by more than `margin`.

    `lower_bound` is the one-sided lower bound at `level`; the claim is shown when it lies above -margin.
    """

    difference: float
    lower_bound: float
    margin: float
    level: float
    shown: bool


def non_inferiority(counts: PairedCounts, margin: float, level: float = 0.95) -> NonInferiority:
    """One-sided test by interval inclusion, on the Bonett–Price interval.

    The one-sided bound at 95 % is the lower end of the two-sided 90 % interval.
    """
    lower = bonett_price_interval(counts.fixed, counts.broken, counts.items, 2 * level - 1).low
    return NonInferiority(counts.difference, lower, margin, level, lower > -margin)


def items_for_non_inferiority(
    margin: float, disagreement: float, level: float = 0.95, power: float = 0.8
) -> int:
    """Items to show non-inferiority with this `power` when the two systems are truly equal.

    n = (z_level + z_power)² · disagreement / margin²: the variance of a paired difference whose mean is 0
    is the disagreement.
    """
    from scipy import stats

    z = float(stats.norm.ppf(level)) + float(stats.norm.ppf(power))
    return math.ceil(z**2 * disagreement / margin**2)
