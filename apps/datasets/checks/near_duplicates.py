"""Texts that are nearly the same: locality-sensitive hashing proposes pairs, true Jaccard similarity decides.

Signatures are cut into 21 bands of 6; two texts are a candidate pair when they agree in a whole band. At a similarity
of 0.8 that misses one pair in 600 (1 - (1 - 0.8^6)^21 = 0.998), at 0.3 it proposes one in 66. Candidates whose
signatures agree too little are passed over, and what is left is verified on the texts themselves.

Why so: docs/adr/0010-checks-of-data.md.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.datasets.checks.signatures import PERMUTATIONS

THRESHOLD = 0.8
BAND = 6
BANDS = PERMUTATIONS // BAND
SLACK = 0.13
"""An estimate this far below the threshold is passed over: 3.5 standard deviations at 0.8."""
BUCKET_LIMIT = 200
"""Larger buckets are not compared pair by pair, but each text with the next few in the order of signatures."""
NEXT_IN_BUCKET = 20
COMPARED_AT_ONCE = 20_000
PAIRS_AT_ONCE = 200_000
VERIFIED_AT_ONCE = 1000

Pairs = NDArray[np.int64]


@dataclass(frozen=True)
class Proposal:
    pairs: Pairs
    """Two columns of places, the lower one first; no pair twice, in rising order."""
    large_buckets: int
    """Buckets that were not compared pair by pair."""


def propose(
    matrix: NDArray[np.uint8],
    *,
    threshold: float = THRESHOLD,
    boundary: int | None = None,
    of: NDArray[np.int64] | None = None,
) -> Proposal:
    """Pairs of texts whose similarity may reach the threshold; with a boundary, only pairs of a text below it and one
    from it on. `of` says which row of the matrix is the signature of each text; without it they stand in order."""
    of = np.arange(len(matrix)) if of is None else of
    count = len(of)
    kept: list[NDArray[np.int64]] = []
    large = 0
    for band in range(BANDS):
        keys = np.zeros(count, dtype=np.uint64)
        for column in range(band * BAND, (band + 1) * BAND):
            keys <<= np.uint64(8)
            keys |= matrix[of, column]
        order, starts, sizes = _buckets(keys)
        large += int((sizes > BUCKET_LIMIT).sum())
        for block in _bucket_pairs(order, starts, sizes, matrix=matrix, of=of):
            crossing = block if boundary is None else block[(block < boundary).sum(axis=1) == 1]
            codes = _agreeing(crossing, matrix, of, threshold)
            if len(codes):
                kept.append(codes)
    if not kept:
        return Proposal(np.empty((0, 2), dtype=np.int64), large)
    codes_all = np.unique(np.concatenate(kept))
    return Proposal(np.stack([codes_all // count, codes_all % count], axis=1), large)


def _buckets(keys: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Texts bucket by bucket, and where each bucket starts and how many it holds; what has a key alone is left out."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    like_the_last = ordered[1:] == ordered[:-1]
    del ordered
    shared = np.flatnonzero(np.r_[False, like_the_last] | np.r_[like_the_last, False])
    order = order[shared]
    keys = keys[order]
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]]) if len(keys) else np.empty(0, np.int64)
    return order, starts, np.diff(np.r_[starts, len(keys)])


def _bucket_pairs(
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    *,
    matrix: NDArray[np.uint8],
    of: NDArray[np.int64],
) -> Iterator[Pairs]:
    """All pairs of each bucket, some at a time."""
    for size in np.unique(sizes):
        of_size = starts[sizes == size]
        if size <= BUCKET_LIMIT:
            first, second = np.triu_indices(int(size), 1)
            step = max(1, PAIRS_AT_ONCE // len(first))
            for start in range(0, len(of_size), step):
                part = order[of_size[start : start + step, None] + np.arange(size)]
                yield np.stack([part[:, first].ravel(), part[:, second].ravel()], axis=1)
            continue
        for start in of_size:
            bucket = order[start : start + size]
            sorted_bucket = bucket[np.lexsort(matrix[of[bucket]].T[::-1])]
            for distance in range(1, NEXT_IN_BUCKET + 1):
                yield np.stack([sorted_bucket[:-distance], sorted_bucket[distance:]], axis=1)


def _agreeing(
    pairs: Pairs, matrix: NDArray[np.uint8], of: NDArray[np.int64], threshold: float
) -> NDArray[np.int64]:
    """Pairs as single numbers, those that agree in too few places left out."""
    low, high = pairs.min(axis=1), pairs.max(axis=1)
    codes = []
    for start in range(0, len(pairs), COMPARED_AT_ONCE):
        one, other = low[start : start + COMPARED_AT_ONCE], high[start : start + COMPARED_AT_ONCE]
        agreement = (matrix[of[one]] == matrix[of[other]]).mean(axis=1)
        close = agreement >= threshold - SLACK
        codes.append(one[close] * len(of) + other[close])
    return np.concatenate(codes) if codes else np.empty(0, dtype=np.int64)


def verify(
    pairs: Pairs,
    shingles_of: Callable[[Sequence[int]], dict[int, set[str]]],
    *,
    threshold: float = THRESHOLD,
) -> Iterator[tuple[int, int, float]]:
    """The pairs that are similar in truth, with their similarity. `shingles_of` is asked for a few thousand rows at a
    time."""
    from apps.datasets.checks.shingles import jaccard

    for start in range(0, len(pairs), VERIFIED_AT_ONCE):
        part = pairs[start : start + VERIFIED_AT_ONCE]
        shingles = shingles_of([int(row) for row in np.unique(part)])
        for one, other in part.tolist():
            similar = jaccard(shingles[one], shingles[other])
            if similar >= threshold:
                yield one, other, similar
