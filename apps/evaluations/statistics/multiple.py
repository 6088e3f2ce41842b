"""Several questions asked of the same data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the given order (Holm 1979, Scand J Statist 6:65–70).

    For many slices or many candidates. A verdict that asks for a win against *every* baseline is an
    intersection-union test and needs no adjustment (Berger 1982, Technometrics 24:295–300).
    """
    values = np.asarray(p_values, dtype=float)
    if not len(values):
        return []
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, stepped)
    return [float(value) for value in adjusted]
