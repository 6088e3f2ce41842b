"""How far two answers are from each other; alpha squares the metric ones itself where its definition says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from apps.labeling.agreement.ratings import Floats

Distance = Callable[[Any, Any], float]


def masi_distance(first: frozenset[Any], second: frozenset[Any]) -> float:
    """1 - Jaccard x monotonicity (Passonneau 2006, LREC, section 3): monotonicity is 1 for equal sets, 2/3 where
    one holds the other, 1/3 for a partial overlap, 0 for none. Two empty sets are equal."""
    if first == second:
        return 0.0
    common = len(first & second)
    if not common:
        return 1.0
    monotonicity = 2 / 3 if first <= second or second <= first else 1 / 3
    return 1 - common / len(first | second) * monotonicity


def ranking_distance(first: Sequence[Any], second: Sequence[Any]) -> float:
    """The share of pairs of candidates that two rankings put in another order; a tie in one of them is half.

    A ranking is a tuple of (candidate, rank) pairs with the same candidates: Kendall's tau distance with ties at
    one half (Fagin et al. 2006, SIAM Journal on Discrete Mathematics 20:628-648, K with p = 1/2), over all pairs.
    """
    one, other = dict(first), dict(second)
    both = sorted(set(one) & set(other), key=str)
    pairs = list(combinations(both, 2))
    if not pairs:
        return 0.0 if one == other else 1.0
    total = 0.0
    for a, b in pairs:
        before, after = np.sign(one[a] - one[b]), np.sign(other[a] - other[b])
        total += abs(float(before - after)) / 2
    return total / len(pairs)


def distance_matrix(values: Sequence[Any], distance: Distance) -> Floats:
    """The distance of every two values."""
    matrix = np.zeros((len(values), len(values)))
    for first, second in combinations(range(len(values)), 2):
        matrix[first, second] = matrix[second, first] = distance(values[first], values[second])
    return matrix
