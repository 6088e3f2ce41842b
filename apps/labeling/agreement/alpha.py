"""Krippendorff's alpha with a bootstrap interval over items: any number of raters, any scale, missing answers.

alpha = 1 - D_o / D_e. Every item with m answers gives its pairs of answers with weight 1 / (m - 1); D_o is the mean
distance within items over these, D_e the mean distance of any two answers of the whole table (Krippendorff 2011,
"Computing Krippendorff's Alpha-Reliability", section D).

The interval draws items with replacement and takes the percentiles of alpha over the draws, which kept its level in the
simulations of Zapf et al. 2016 (BMC Medical Research Methodology 16:93). The draws start from a fixed seed: the
same answers give the same interval. Where no two answers to an item differ, every draw has alpha 1 and the
bootstrap knows no doubt; then the lower end is 0.025^(1/n): none of n items differed, so as many as the exact bound
allows may (Clopper and Pearson 1934, Biometrika 26:404-413), each no better than chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from apps.labeling.agreement.distances import Distance, distance_matrix, masi_distance
from apps.labeling.agreement.figures import NO_PAIRS, ONE_VALUE, Figure, Interval, undefined
from apps.labeling.agreement.ratings import Codes, Floats, Ratings

Scale = Literal["nominal", "ordinal", "interval"]

DRAWS = 1000
_CELLS_AT_ONCE = 4_000_000
_DEAR_PATTERN = 8
"""Drawing how often a pattern occurs costs as much as drawing so many items."""
_MOST_UNDEFINED = 0.05
"""Above this share of draws in which alpha has no value, there is no honest interval."""
_FEWEST_ITEMS = 5


@dataclass(frozen=True, slots=True)
class _Patterns:
    """Items that got the same answers, whoever gave them, are one pattern that occurs several times."""

    counts: Codes
    of_item: Codes

    @property
    def items(self) -> int:
        return len(self.of_item)


def krippendorff_alpha(ratings: Ratings, scale: Scale = "nominal", *, draws: int = DRAWS) -> Figure:
    """Alpha for one answer an item and rater. The scale has no default in the mind of the reader, so name it:
    nominal compares for equality, ordinal by ranks in the order of `ratings.values`, interval by the numbers."""
    if scale == "nominal":
        return _alpha(ratings, _nominal, draws)
    if scale == "interval":
        numbers = np.array([float(value) for value in ratings.values])
        squared = (numbers[:, None] - numbers[None, :]) ** 2
        return _alpha(ratings, lambda counts: _fixed(counts, squared), draws)
    return _ordinal_alpha(ratings, draws)


def distance_alpha(ratings: Ratings, distance: Distance, *, draws: int = DRAWS) -> Figure:
    """Alpha with any distance of two values, taken as it is."""
    matrix = distance_matrix(ratings.values, distance)
    return _alpha(ratings, lambda counts: _fixed(counts, matrix), draws)


def masi_alpha(ratings: Ratings, *, draws: int = DRAWS) -> Figure:
    """Alpha for sets of labels, a distance for partly equal ones (Passonneau 2006). The values are frozensets."""
    return distance_alpha(ratings, masi_distance, draws=draws)


def label_alphas(ratings: Ratings) -> dict[object, Figure]:
    """For each value that was used: nominal alpha of this value against all others. Low ones are the confused ones."""
    return count_alphas(ratings.pairable, ratings.values, ratings.used)


def count_alphas(
    counts: Codes, values: Sequence[Any], wanted: Sequence[Any], sizes: Codes | None = None
) -> dict[object, Figure]:
    """Nominal alpha of each wanted value against its absence, all at once; `counts` is items × values.

    `sizes` is how many answered each item, where one answer can hold several values.
    """
    if not len(counts):
        return {value: undefined(NO_PAIRS) for value in wanted}
    people = (counts.sum(axis=1) if sizes is None else sizes)[:, None].astype(np.float64)
    answers, given = float(people.sum()), counts.sum(axis=0).astype(np.float64)
    observed = (2 * counts * (people - counts) / (people - 1)).sum(axis=0)
    alphas = _ratio(observed, 2 * given * (answers - given) / (answers - 1))
    found = dict(zip(values, alphas.tolist(), strict=False))
    return {
        value: undefined(ONE_VALUE, len(counts))
        if np.isnan(found[value])
        else Figure(found[value], len(counts))
        for value in wanted
    }


# The two parts of a coefficient: each pattern's own disagreement, and the expected one from totals of answers.
_Parts = tuple[Floats, Callable[[Floats], Floats]]


def _nominal(counts: Codes) -> _Parts:
    sizes = counts.sum(axis=1)
    within = (sizes**2 - (counts**2).sum(axis=1)) / (sizes - 1)

    def expected(totals: Floats) -> Floats:
        answers = totals.sum(axis=1)
        result: Floats = (answers**2 - (totals**2).sum(axis=1)) / (answers - 1)
        return result

    return within, expected


def _fixed(counts: Codes, distances: Floats) -> _Parts:
    sizes = counts.sum(axis=1)
    # A distance from a value to itself is 0, so pairing an answer with itself adds nothing.
    within = ((counts @ distances) * counts).sum(axis=1) / (sizes - 1)

    def expected(totals: Floats) -> Floats:
        result: Floats = ((totals @ distances) * totals).sum(axis=1) / (totals.sum(axis=1) - 1)
        return result

    return within, expected


def _alpha(ratings: Ratings, parts: Callable[[Codes], _Parts], draws: int) -> Figure:
    patterns = _patterns(ratings.pairable)
    if not patterns.items:
        return undefined(NO_PAIRS)
    within, expected = parts(patterns.counts)

    def alphas(weights: Floats) -> Floats:
        return _ratio(weights @ within, expected(weights @ patterns.counts))

    return _with_interval(patterns, alphas, draws)


def _ordinal_alpha(ratings: Ratings, draws: int) -> Figure:
    """The ordinal distance of c and k depends on how often the values between were given: (sum of n_g from c to k
    - (n_c + n_k) / 2) squared, so it is worked out anew in each draw."""
    patterns = _patterns(ratings.pairable)
    if not patterns.items:
        return undefined(NO_PAIRS)
    counts, width = patterns.counts, patterns.counts.shape[1]
    sizes = counts.sum(axis=1)
    pairs = counts[:, :, None] * counts[:, None, :] / (sizes - 1)[:, None, None]
    flat = pairs.reshape(len(counts), width * width)

    def alphas(weights: Floats) -> Floats:
        totals = weights @ counts
        middles = totals.cumsum(axis=1) - totals / 2
        squared = (middles[:, :, None] - middles[:, None, :]) ** 2
        observed = ((weights @ flat).reshape(squared.shape) * squared).sum(axis=(1, 2))
        chance = np.einsum("di,dij,dj->d", totals, squared, totals) / (totals.sum(axis=1) - 1)
        return _ratio(observed, chance)

    return _with_interval(patterns, alphas, draws)


def _ratio(observed: Floats, expected: Floats) -> Floats:
    result = np.full(len(observed), np.nan)
    np.divide(observed, expected, out=result, where=expected > 1e-12)
    return 1 - result


def _patterns(counts: Codes) -> _Patterns:
    if not len(counts):
        return _Patterns(counts, np.zeros(0, dtype=np.int64))
    unique, of_item = np.unique(counts, axis=0, return_inverse=True)
    return _Patterns(unique, of_item.reshape(-1))


def _with_interval(patterns: _Patterns, alphas: Callable[[Floats], Floats], draws: int) -> Figure:
    kinds, items = len(patterns.counts), patterns.items
    value = float(alphas(np.bincount(patterns.of_item, minlength=kinds)[None, :].astype(np.float64))[0])
    if np.isnan(value):
        return undefined(ONE_VALUE, items)
    if not draws:
        return Figure(value, items)
    if items < _FEWEST_ITEMS:
        return Figure(value, items, interval_reason=f"Too few items for an interval: {items}.")
    if np.isclose(value, 1.0):
        return Figure(value, items, interval=Interval(0.025 ** (1 / items), 1.0))
    drawn = np.concatenate([alphas(weights) for weights in _draws(patterns, draws)])
    known = drawn[~np.isnan(drawn)]
    if len(known) < draws * (1 - _MOST_UNDEFINED):
        return Figure(value, items, interval_reason="Too few different answers for an interval.")
    low, high = np.quantile(known, [0.025, 0.975])
    return Figure(value, items, interval=Interval(float(low), float(high)))


def _draws(patterns: _Patterns, draws: int) -> Iterator[Floats]:
    """How often each pattern occurs in each draw of as many items as there are, some draws at a time."""
    random = np.random.default_rng(20110125)
    kinds, items = len(patterns.counts), patterns.items
    shares = np.bincount(patterns.of_item, minlength=kinds) / items
    at_once = max(1, _CELLS_AT_ONCE // max(items, kinds, patterns.counts.shape[1] ** 2))
    for start in range(0, draws, at_once):
        size = min(at_once, draws - start)
        if kinds * _DEAR_PATTERN < items:
            yield random.multinomial(items, shares, size=size).astype(np.float64)
        else:  # the same draw, quicker where hardly two items are alike
            drawn = patterns.of_item[random.integers(0, items, (size, items))]
            places = drawn + np.arange(size)[:, None] * kinds
            counted = np.bincount(places.ravel(), minlength=size * kinds)
            yield counted.reshape(size, kinds).astype(np.float64)
