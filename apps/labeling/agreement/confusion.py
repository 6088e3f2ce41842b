"""Which values are taken for each other, and on which items."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.labeling.agreement.ratings import Codes, Ratings


@dataclass(frozen=True)
class Confusion:
    """`cells[i, j]` is how many pairs of answers to one item said values[i] and values[j]; it is symmetric, as
    nobody is the reference. The diagonal holds the pairs that agreed."""

    values: tuple[Any, ...]
    cells: Codes

    def most_confused(self, limit: int = 10) -> list[tuple[Any, Any, int]]:
        """The pairs of different values that stand in one item most often."""
        upper = np.triu(self.cells, 1)
        order = np.argsort(-upper, axis=None, kind="stable")[:limit]
        rows, columns = np.unravel_index(order, upper.shape)
        return [
            (self.values[row], self.values[column], int(upper[row, column]))
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
            if upper[row, column]
        ]


def confusion(ratings: Ratings) -> Confusion:
    """Count the pairs of answers of each item by their two values."""
    counts = ratings.pairable
    if not len(counts):
        return Confusion((), np.zeros((0, 0), dtype=np.int64))
    kept = counts.sum(axis=0) > 0
    used = counts[:, kept]
    cells = used.T @ used
    # A value given n times makes n (n - 1) / 2 pairs with itself.
    np.fill_diagonal(cells, ((used * (used - 1)) // 2).sum(axis=0))
    values = tuple(value for value, keep in zip(ratings.values, kept, strict=True) if keep)
    return Confusion(values, cells)


def items_with_both(ratings: Ratings, first: Hashable, second: Hashable) -> list[Any]:
    """The items to which one person said the first value and another the second."""
    places = [ratings.values.index(value) for value in (first, second) if value in ratings.values]
    if len(places) < 2:
        return []
    one, other = ratings.counts[:, places[0]], ratings.counts[:, places[1]]
    chosen = (one >= 2) if places[0] == places[1] else (one > 0) & (other > 0)
    return [ratings.items[place] for place in np.flatnonzero(chosen)]
