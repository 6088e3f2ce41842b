"""The difference of two macro-F1 scores on the same items: not a mean over items, so it is resampled.

The resampled unit is an item, or a whole group where items come in groups. Every unit is reduced to its
counts of gold, predicted and right labels once; a resample is then a weighted sum of those counts, which
makes ten thousand of them a matrix product.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.evaluations.statistics.clusters import group_codes
from apps.evaluations.statistics.intervals import Interval

RESAMPLES = 10_000
_CELLS_AT_ONCE = 4_000_000

Counts = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MacroF1Difference:
    """Candidate minus baseline, as shares. The interval is None when resampling changes nothing."""

    candidate: float
    baseline: float
    difference: float
    interval: Interval | None
    resamples: int
    seed: int


def macro_f1_difference(
    *,
    gold: Sequence[str],
    candidate: Sequence[str | None],
    baseline: Sequence[str | None],
    groups: Sequence[Hashable] | None = None,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> MacroF1Difference:
    """Paired bootstrap with the BCa interval (Efron 1987, JASA 82:171–185; paired as in Koehn 2004, EMNLP).

    None as a predicted label is an unreadable answer, hence wrong. Macro-F1 is the mean of F1 over the
    labels that occur in the (resampled) gold labels. The same seed gives the same interval.
    """
    if not len(gold) == len(candidate) == len(baseline) or not gold:
        raise ValueError("Gold, candidate and baseline need a label for the same items, at least one.")
    units, weights = _units(gold, candidate, baseline, groups)
    total = weights @ units
    of_candidate, of_baseline = (float(value[0]) for value in _macro_f1_pair(total[None, :]))
    observed = of_candidate - of_baseline
    drawn = _resample(units, weights, resamples, np.random.default_rng(seed))
    interval = _bca(observed, drawn, _leave_one_out(units, weights, total), weights, level)
    return MacroF1Difference(of_candidate, of_baseline, observed, interval, resamples, seed)


def _units(
    gold: Sequence[str],
    candidate: Sequence[str | None],
    baseline: Sequence[str | None],
    groups: Sequence[Hashable] | None,
) -> tuple[Counts, Counts]:
    """One row of counts for each kind of unit, and how many units are of that kind.

    The five blocks of columns, a column per gold label: gold, predicted by the candidate, right by the
    candidate, predicted by the baseline, right by the baseline.
    """
    numbers = {label: position for position, label in enumerate(dict.fromkeys(gold))}
    width = len(numbers)
    truth = np.array([numbers[label] for label in gold])
    guesses = [
        np.array([-1 if label is None else numbers.get(label, -1) for label in predicted])
        for predicted in (candidate, baseline)
    ]
    if groups is None:
        kinds, inverse, weights = np.unique(
            np.stack([truth, *guesses]), axis=1, return_inverse=True, return_counts=True
        )
        truth, *guesses = kinds
        codes = np.arange(kinds.shape[1])
    else:
        codes = group_codes(groups)
        weights = np.ones(int(codes.max()) + 1, dtype=np.int64)
    rows = np.zeros((len(weights), 5 * width))
    np.add.at(rows, (codes, truth), 1)
    for block, guess in zip((1, 3), guesses, strict=True):
        known, right = guess >= 0, guess == truth
        np.add.at(rows, (codes[known], block * width + guess[known]), 1)
        np.add.at(rows, (codes[right], (block + 1) * width + truth[right]), 1)
    return rows, weights.astype(np.float64)


def _macro_f1_pair(counts: Counts) -> tuple[Counts, Counts]:
    """Macro-F1 of candidate and baseline for each row of counts."""
    gold, guessed_1, right_1, guessed_2, right_2 = np.split(counts, 5, axis=1)
    present = gold > 0
    labels = np.maximum(present.sum(axis=1), 1)

    def macro(guessed: Counts, right: Counts) -> Counts:
        f1 = np.divide(2 * right, gold + guessed, out=np.zeros_like(gold), where=present)
        return np.asarray(f1.sum(axis=1) / labels)

    return macro(guessed_1, right_1), macro(guessed_2, right_2)


def _differences(counts: Counts) -> Counts:
    first, second = _macro_f1_pair(counts)
    return first - second


def _resample(units: Counts, weights: Counts, resamples: int, rng: np.random.Generator) -> Counts:
    number = int(weights.sum())
    shares = weights / number
    at_once = max(1, _CELLS_AT_ONCE // max(len(weights), units.shape[1]))
    chunks = []
    for start in range(0, resamples, at_once):
        drawn = rng.multinomial(number, shares, size=min(at_once, resamples - start))
        # Counts stay far below 2**24, so single precision is exact and twice as fast.
        chunks.append(_differences((drawn.astype(np.float32) @ units.astype(np.float32)).astype(np.float64)))
    return np.concatenate(chunks)


def _leave_one_out(units: Counts, weights: Counts, total: Counts) -> Counts:
    """The statistic without one unit, for each kind of unit."""
    if weights.sum() <= 1:
        return np.zeros(len(weights))
    return _differences(total[None, :] - units)


def _bca(observed: float, drawn: Counts, jackknife: Counts, weights: Counts, level: float) -> Interval | None:
    """Bias-corrected and accelerated interval; the percentile interval where the correction is undefined."""
    from scipy import stats

    if np.ptp(drawn) == 0:
        return None
    tails = np.array([0.5 - level / 2, 0.5 + level / 2])
    method = "percentile bootstrap"
    below = float(np.mean(drawn < observed) + np.mean(drawn == observed) / 2)
    spread = np.average(jackknife, weights=weights) - jackknife
    squares = float(weights @ spread**2)
    if 0 < below < 1 and squares > 0:
        bias = stats.norm.ppf(below)
        acceleration = float(weights @ spread**3) / (6 * squares**1.5)
        shifted = bias + stats.norm.ppf(tails)
        tails = stats.norm.cdf(bias + shifted / (1 - acceleration * shifted))
        method = "BCa bootstrap"
    low, high = np.quantile(drawn, tails)
    return Interval(float(low), float(high), level, method)
