"""Rows with the same value, found by sorting."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Indexes = NDArray[np.int64]


def groups_of_equal(values: NDArray[np.int64]) -> Iterator[Indexes]:
    """The places of every value that stands more than once, in rising order, group by group."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    starts = (
        np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(ordered) else np.empty(0, np.int64)
    )
    ends = np.r_[starts[1:], len(ordered)]
    repeated = ends - starts > 1
    for start, end in zip(starts[repeated], ends[repeated], strict=True):
        yield order[start:end]
