"""Who answered what: the table that the coefficients read, with empty cells where somebody did not answer."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

MISSING = -1

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ratings:
    """Answers as a table, items × raters, of positions in `values`; -1 where there is no answer."""

    items: tuple[Hashable, ...]
    raters: tuple[Hashable, ...]
    values: tuple[Any, ...]
    codes: Codes

    @classmethod
    def of(
        cls,
        triples: Iterable[tuple[Hashable, Hashable, Hashable]],
        values: Sequence[Hashable] | None = None,
    ) -> Ratings:
        """From (item, rater, value). `values` fixes the order of the values, as ordinal data need; values that
        are not among them come after, in the order in which they were seen."""
        items: dict[Hashable, int] = {}
        raters: dict[Hashable, int] = {}
        known: dict[Hashable, int] = {value: number for number, value in enumerate(values or ())}
        cells: dict[tuple[int, int], int] = {}
        for item, rater, value in triples:
            cell = (items.setdefault(item, len(items)), raters.setdefault(rater, len(raters)))
            if cell in cells:
                raise ValueError(
                    f"{rater!r} answered {item!r} twice; only one answer a person and item counts."
                )
            cells[cell] = known.setdefault(value, len(known))
        codes = np.full((len(items), len(raters)), MISSING, dtype=np.int64)
        if cells:
            rows, columns = np.array(list(cells)).T
            codes[rows, columns] = list(cells.values())
        return cls(tuple(items), tuple(raters), tuple(known), codes)

    @cached_property
    def counts(self) -> Codes:
        """Items × values: how often each value was given to each item."""
        width = max(1, len(self.values))
        rows = np.repeat(np.arange(len(self.items)), len(self.raters))
        given = self.codes.ravel()
        places = rows[given != MISSING] * width + given[given != MISSING]
        return np.bincount(places, minlength=len(self.items) * width).reshape(len(self.items), width)

    @cached_property
    def pairable(self) -> Codes:
        """The counts of the items with at least two answers; the others say nothing about agreement."""
        kept: Codes = self.counts[self.counts.sum(axis=1) >= 2]
        return kept

    @property
    def used(self) -> tuple[Any, ...]:
        """The values that somebody gave, in their order."""
        return tuple(
            value for value, given in zip(self.values, self.counts.sum(axis=0), strict=False) if given
        )

    def mapped(self, values: Sequence[Hashable]) -> Ratings:
        """The same table with each value replaced by the one at its place in `values`."""
        known: dict[Hashable, int] = {}
        places = np.array([known.setdefault(value, len(known)) for value in values], dtype=np.int64)
        codes = np.where(self.codes == MISSING, MISSING, places[self.codes]) if len(places) else self.codes
        return Ratings(self.items, self.raters, tuple(known), codes)

    def one_against_rest(self, value: Hashable) -> Ratings:
        """Whether each answer was this value or another one."""
        return self.mapped([each == value for each in self.values])

    def pair(self, first: int, second: int) -> tuple[Codes, Codes]:
        """The answers of two raters, by their positions, to the items that both answered."""
        both = (self.codes[:, first] != MISSING) & (self.codes[:, second] != MISSING)
        return self.codes[both, first], self.codes[both, second]

    def pairs(self) -> Iterable[tuple[int, int]]:
        """Every two raters, by their positions."""
        return combinations(range(len(self.raters)), 2)
