"""Kappas: agreement above what chance would give, for two raters (Cohen) and for a fixed number of them (Fleiss)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.labeling.agreement.figures import NO_PAIRS, ONE_VALUE, Figure, undefined
from apps.labeling.agreement.percent import item_agreement
from apps.labeling.agreement.ratings import Codes, Ratings

FEWEST_SHARED = 10
"""Under this many shared items a pair's kappa is hidden: it would say more about the items than about the pair."""


@dataclass(frozen=True, slots=True)
class PairFigure:
    """Two raters: on how many items both answered, how often they said the same, and their kappa."""

    first: Any
    second: Any
    shared: int
    same: int
    kappa: Figure

    @property
    def percent(self) -> float | None:
        return self.same / self.shared if self.shared else None


def cohen_kappa(first: Codes, second: Codes) -> Figure:
    """Cohen's kappa, (p_o - p_c) / (1 - p_c), chance by each rater's own shares (Cohen 1960, Educational and
    Psychological Measurement 20:37-46, formula 1)."""
    shared = len(first)
    if not shared:
        return undefined("These two people answered no item in common.")
    width = int(max(first.max(), second.max())) + 1
    observed = float((first == second).mean())
    shares = np.bincount(first, minlength=width) / shared, np.bincount(second, minlength=width) / shared
    chance = float(shares[0] @ shares[1])
    if np.isclose(chance, 1.0):
        return undefined(ONE_VALUE, shared)
    return Figure((observed - chance) / (1 - chance), shared)


def pair_kappas(ratings: Ratings, fewest: int = FEWEST_SHARED) -> tuple[PairFigure, ...]:
    """Every two raters who share an item; the kappa is undefined with the reason under `fewest` shared items."""
    found = []
    for first, second in ratings.pairs():
        one, other = ratings.pair(first, second)
        if not len(one):
            continue
        if len(one) < fewest:
            kappa = undefined(f"Hidden: only {len(one)} shared items, {fewest} are needed.", len(one))
        else:
            kappa = cohen_kappa(one, other)
        same = int((one == other).sum())
        found.append(PairFigure(ratings.raters[first], ratings.raters[second], len(one), same, kappa))
    return tuple(found)


def fleiss_kappa(ratings: Ratings) -> Figure:
    """Fleiss' kappa for items with the same number of answers, not necessarily from the same people (Fleiss
    1971, Psychological Bulletin 76:378-382, formulas 1 to 7).

    It has no place for missing answers: where items have different numbers of answers it is undefined rather
    than rescaled; alpha is the coefficient for that.
    """
    counts = ratings.pairable
    if not len(counts):
        return undefined(NO_PAIRS)
    totals = counts.sum(axis=1)
    if totals.min() != totals.max():
        return undefined(
            f"Undefined: items have from {totals.min()} to {totals.max()} answers, and Fleiss' kappa needs the "
            "same number for each. Read alpha instead.",
            len(counts),
        )
    shares = counts.sum(axis=0) / counts.sum()
    chance = float(shares @ shares)
    if np.isclose(chance, 1.0):
        return undefined(ONE_VALUE, len(counts))
    return Figure((float(item_agreement(counts).mean()) - chance) / (1 - chance), len(counts))
