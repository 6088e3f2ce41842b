"""Fewer points of a long curve for the same picture, and smoothing.

Both methods choose among the given points and never invent one. The first and last point and the smallest
and largest value always stay; a gap (None or NaN) stays a gap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Method = Literal["minmax", "lttb"]
Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Series:
    """A curve as plain lists; None is a gap."""

    x: list[float]
    y: list[float | None]

    def __len__(self) -> int:
        return len(self.x)


def downsample(
    x: ArrayLike, y: ArrayLike | Sequence[float | None], points: int = 2000, method: Method = "minmax"
) -> Series:
    """At most `points` of the given points. `x` rises; infinite values count as gaps.

    "minmax" keeps the first, last, lowest and highest point of each of points / 4 equal stretches of x (the M4
    aggregation of Jugel et al. 2014, VLDB 7:797–808): the drawn line does not change as long as a stretch
    is no wider than a pixel. "lttb" keeps in each bucket the point that spans the largest triangle with its neighbours
    (Steinarsson 2013, University of Iceland): a calmer line from fewer points.
    """
    xs = np.asarray(x, dtype=np.float64)
    ys = np.array(y, dtype=np.float64)  # None becomes NaN
    ys[~np.isfinite(ys)] = np.nan
    if xs.shape != ys.shape:
        raise ValueError("A curve needs as many x as y values.")
    if points < 8:
        raise ValueError("A curve cannot be drawn with fewer than 8 points.")
    if len(xs) > points:
        chosen = _minmax(xs, ys, points) if method == "minmax" else _lttb_with_gaps(xs, ys, points)
        xs, ys = xs[chosen], ys[chosen]
    return Series(xs.tolist(), [None if math.isnan(value) else value for value in ys.tolist()])


def smooth(values: ArrayLike | Sequence[float | None], weight: float = 0.9) -> list[float | None]:
    """Exponential moving average with bias correction (Kingma and Ba 2015, section 3, as for Adam's moments).

    s_t = weight · s_(t-1) + (1 - weight) · v_t from s_0 = 0, divided by 1 - weight^t, so that the first values
    are not drawn towards zero. `weight` 0 changes nothing. Gaps stay gaps and the average goes on behind them.
    """
    if not 0 <= weight < 1:
        raise ValueError("The weight of smoothing lies between 0 and 1, 1 excluded.")
    result: list[float | None] = []
    average, remaining = 0.0, 1.0
    for value in np.array(values, dtype=np.float64).tolist():
        if not math.isfinite(value):
            result.append(None)
            continue
        average = weight * average + (1 - weight) * value
        remaining *= weight
        result.append(average / (1 - remaining))
    return result


def _minmax(x: Floats, y: Floats, points: int) -> Indices:
    """Indices of first, last, lowest, highest and one gap of each stretch of x."""
    gaps = np.isnan(y)
    stretches = max(1, points // (5 if gaps.any() else 4))
    span = x[-1] - x[0]
    if span > 0:
        stretch = np.minimum(((x - x[0]) * (stretches / span)).astype(np.intp), stretches - 1)
    else:
        stretch = np.arange(len(x)) * stretches // len(x)
    starts = np.flatnonzero(np.diff(stretch, prepend=-1))
    ends = np.append(starts[1:], len(x)) - 1
    chosen = [starts, ends, _first_where(gaps, stretch)]
    number = np.repeat(np.arange(len(starts)), ends - starts + 1)
    for reduce, missing in ((np.minimum, np.inf), (np.maximum, -np.inf)):
        extremes = reduce.reduceat(np.where(gaps, missing, y), starts)
        chosen.append(_first_where(~gaps & (y == extremes[number]), stretch))
    return np.unique(np.concatenate(chosen))


def _first_where(wanted: NDArray[np.bool_], stretch: Indices) -> Indices:
    """The index of the first wanted point of each stretch that has one."""
    found = np.flatnonzero(wanted)
    return found[np.flatnonzero(np.diff(stretch[found], prepend=-1))]


def _lttb_with_gaps(x: Floats, y: Floats, points: int) -> Indices:
    """LTTB in each run between gaps, with one gap point kept between runs; too many gaps fall back to min-max."""
    known = np.flatnonzero(~np.isnan(y))
    if not len(known):
        return np.array([0, len(x) - 1])
    runs = np.split(known, np.flatnonzero(np.diff(known) > 1) + 1)
    extremes = np.array([np.nanargmin(y), np.nanargmax(y), 0, len(x) - 1])
    gaps = np.array([run[-1] + 1 for run in runs[:-1]], dtype=np.intp)
    budget = points - len(extremes) - len(gaps)
    if budget < 4 * len(runs):
        return _minmax(x, y, points)
    # Two points of each run are certain; the rest is shared in proportion to the runs' lengths.
    spare = budget - 2 * len(runs)
    chosen = [run[_lttb(x[run], y[run], 2 + int(spare * len(run) / len(known)))] for run in runs]
    return np.unique(np.concatenate([*chosen, gaps, extremes]))


def _lttb(x: Floats, y: Floats, points: int) -> Indices:
    """Largest triangle three buckets over a run without gaps."""
    count = len(x)
    if count <= points or points < 3:
        return np.arange(count) if count <= points else np.array([0, count - 1])
    edges = np.linspace(1, count - 1, points - 1).astype(np.intp)
    sums = np.add.reduceat(np.stack([x, y]), edges[:-1], axis=1)
    # reduceat runs its last bucket to the end of the array: take the last point out of it again.
    sums[:, -1] -= (x[-1], y[-1])
    centres = np.column_stack([sums / np.diff(edges), (x[-1], y[-1])])
    chosen = np.zeros(points, dtype=np.intp)
    chosen[-1] = count - 1
    here = 0
    for bucket in range(points - 2):
        start, end = edges[bucket], edges[bucket + 1]
        to_x, to_y = centres[0, bucket + 1] - x[here], centres[1, bucket + 1] - y[here]
        areas = np.abs(to_x * (y[start:end] - y[here]) - to_y * (x[start:end] - x[here]))
        here = int(start + areas.argmax())
        chosen[bucket + 1] = here
    return chosen
