"""Which row goes into which split: a pure function of the rows, their order, the seed and the shares.

The rule, in integers only, so that every machine and every release of Python comes to the same result:

1. Rows with the same content, rows of the same group, and rows of one cluster of near-duplicates are joined into one
   unit. A unit is never taken apart, so neither duplicates nor rows of one group can stand on both sides of a split.
2. A unit's key is the smallest content hash in it; its place in the line is SHA-256 of `seed:key`.
3. Strata: if the rows have between 2 and `STRATA_LIMIT` different answers, every answer with at least
   `ROWS_A_STRATUM` rows is a stratum, and all rarer answers together are one. Otherwise all rows are one stratum. A
   unit belongs to the stratum of most of its rows (on a tie, the first by name).
4. Stratum by stratum, in the order of their names, each unit in line goes to the split that is furthest behind: by
   its share of the stratum so far and its share of all rows so far, added up; on a tie, train before validation before
   test.
5. If that sends a row away from test that an earlier version tested on, 4 is done again with all units that hold such
   rows sent to test first, whatever the shares say; the others make up for it. So the same rows, seed and shares give
   the same splits again, and what a model was measured by is never trained on.

Rows may come with a split that is given. It stays theirs, but for units that were tested on, which go to test; a row
without one that has the content, the group or the cluster of such a row goes where that row is, and the rule divides
what is left.

So each stratum is divided by the shares to within a unit or two, and what small strata round off is made up for in
others: the whole has its shares, too.
"""

import hashlib
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.datasets.split_rows import (
    NONE,
    SplitColumns,
    SplitRow,
    SplitRows,
    columns_of,
    each_of,
    first_places,
)

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)
STRATA_LIMIT = 200
ROWS_A_STRATUM = 10
PARTS = 10_000
"""Shares are whole numbers of ten-thousandths."""


@dataclass(frozen=True)
class SplitResult:
    splits: list[str]
    """One for each row, in the order of the rows."""
    strata: int
    """1: not stratified."""
    units: int
    held: int = 0
    """Rows that went to test because they, or rows that belong to them, were tested on before."""


def shares_in_parts(validation_share: float, test_share: float) -> tuple[int, int, int]:
    """Shares of train, validation and test in ten-thousandths."""
    validation, test = round(validation_share * PARTS), round(test_share * PARTS)
    return PARTS - validation - test, validation, test


def assign_splits(
    rows: Sequence[SplitRow] | SplitRows,
    *,
    seed: int,
    validation_share: float,
    test_share: float,
    given: Sequence[str] = (),
) -> SplitResult:
    """The split of every row, by the rule above. `given`: for every row its split, or an empty text."""
    shares = shares_in_parts(validation_share, test_share)
    if min(shares) < 0:
        raise ValueError("The shares of validation and test exceed the whole.")
    columns = columns_of(rows)
    units = _units(columns)
    if not any(given):
        splits, strata, held = _divided(columns, units, seed, shares)
        return SplitResult(_named(splits), strata, units.count, held)
    known = _with_given(columns, given, units)
    tested = units.any_of(columns.tested)[units.of_row] & (known != _NO_SPLIT)
    known[tested] = _TEST
    left = np.flatnonzero(known == _NO_SPLIT)
    rest = columns.take(left)
    splits, strata, held = _divided(rest, _units(rest), seed, shares)
    known[left] = splits
    return SplitResult(_named(known), strata or 1, units.count, held + int(tested.sum()))


_TEST = SPLITS.index(TEST)
_NO_SPLIT = -1


def _named(splits: NDArray[np.int8]) -> list[str]:
    return [SPLITS[split] for split in each_of(splits)]


@dataclass(frozen=True)
class _Units:
    """Rows that are never taken apart, numbered by the first row of each."""

    of_row: NDArray[np.int64]
    members: NDArray[np.int64]
    """All rows, unit by unit, in rising order within each."""
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @property
    def count(self) -> int:
        return len(self.starts)

    def any_of(self, marks: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which units have a row that is marked."""
        return np.bincount(self.of_row[marks], minlength=self.count) > 0

    def rows(self, unit: int) -> list[int]:
        start = self.starts[unit]
        return [int(row) for row in self.members[start : start + self.sizes[unit]]]


def _units(columns: SplitColumns) -> _Units:
    """Rows joined by equal content, group or cluster, directly or through others (union-find)."""
    count = len(columns.tested)
    parent = array("q", range(count))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for codes in (columns.contents, columns.groups, columns.clusters):
        first_of_row = first_places(codes)
        later = np.flatnonzero((codes != NONE) & (first_of_row != np.arange(count)))
        for row, earlier in zip(each_of(later), each_of(first_of_row[later]), strict=True):
            one, other = root(row), root(earlier)
            parent[max(one, other)] = min(one, other)
        del first_of_row, later
    roots = np.array(parent, dtype=np.int64)
    while not np.array_equal(above := roots[roots], roots):
        roots = above
    _, of_row, sizes = np.unique(roots, return_inverse=True, return_counts=True)
    members = np.argsort(of_row, kind="stable")
    return _Units(of_row, members, np.cumsum(sizes) - sizes, sizes)


def _with_given(columns: SplitColumns, given: Sequence[str], units: _Units) -> NDArray[np.int8]:
    """The given splits, carried over to the other rows of a unit: from the same content, else group, else any."""
    splits = np.array([SPLITS.index(split) if split else _NO_SPLIT for split in given], dtype=np.int8)
    by_content: dict[int, int] = {}
    by_group: dict[int, int] = {}
    by_unit: dict[int, int] = {}
    for row in np.flatnonzero(splits != _NO_SPLIT).tolist():
        split = int(splits[row])
        by_content.setdefault(int(columns.contents[row]), split)
        by_unit.setdefault(int(units.of_row[row]), split)
        if columns.groups[row] != NONE:
            by_group.setdefault(int(columns.groups[row]), split)
    for row in np.flatnonzero(splits == _NO_SPLIT).tolist():
        nearest = by_unit.get(int(units.of_row[row]), _NO_SPLIT)
        if nearest != _NO_SPLIT:
            by_others = by_group.get(int(columns.groups[row]), nearest)
            splits[row] = by_content.get(int(columns.contents[row]), by_others)
    return splits


def _divided(
    columns: SplitColumns, units: _Units, seed: int, shares: tuple[int, int, int]
) -> tuple[NDArray[np.int8], int, int]:
    """The split of every row, how many strata there are, and how many rows were held in test."""
    stratum_of_answer = _strata(columns)
    stratum_of_row = stratum_of_answer[columns.answers]
    strata = stratum_of_row[units.members[units.starts]]
    digests = bytearray()
    for unit, (start, size) in enumerate(zip(each_of(units.starts), each_of(units.sizes), strict=True)):
        if size == 1:
            key = columns.content(int(units.members[start]))
        else:
            rows = units.rows(unit)
            votes = Counter(stratum_of_row[rows].tolist())
            # Strata are numbered in the order of their names.
            strata[unit] = min(votes, key=lambda stratum: (-votes[stratum], stratum))
            key = min(map(columns.content, rows))
        digests += hashlib.sha256(f"{seed}:{key}".encode()).digest()
    # In big-endian words, so that numbers are in the order of the bytes.
    words = np.frombuffer(digests, dtype=">u8").reshape(-1, 4)
    line = np.lexsort((words[:, 3], words[:, 2], words[:, 1], words[:, 0], strata))
    held = units.any_of(columns.tested)
    nothing = np.zeros(units.count, dtype=np.bool_)
    splits = _deal(line, strata, units.sizes, shares, nothing)[units.of_row]
    if (columns.tested & (splits != _TEST)).any():
        splits = _deal(line, strata, units.sizes, shares, held)[units.of_row]
    return splits, len(set(strata.tolist())), int(units.sizes[held].sum())


def _deal(
    line: NDArray[np.int64],
    strata: NDArray[np.int64],
    sizes: NDArray[np.int64],
    shares: tuple[int, int, int],
    held: NDArray[np.bool_],
) -> NDArray[np.int8]:
    """The split of every unit; those that are held go to test before the others are dealt out."""
    splits = np.zeros(len(sizes), dtype=np.int8)
    splits[held] = _TEST
    overall = _Quota(shares)
    overall.take(_TEST, int(sizes[held].sum()))
    stratum, quota = -1, overall
    for unit in each_of(line):
        if strata[unit] != stratum:
            stratum = int(strata[unit])
            quota = _Quota(shares)
            quota.take(_TEST, int(sizes[held & (strata == stratum)].sum()))
        if held[unit]:
            continue
        size = int(sizes[unit])
        behind = [
            in_stratum + in_all
            for in_stratum, in_all in zip(quota.behind(size), overall.behind(size), strict=True)
        ]
        chosen = behind.index(max(behind))
        quota.take(chosen, size)
        overall.take(chosen, size)
        splits[unit] = chosen
    return splits


def _strata(columns: SplitColumns) -> NDArray[np.int64]:
    """The number of the stratum of each answer, in the order of their names. Rare answers share the stratum
    "", which no answer is called."""
    counts = np.bincount(columns.answers, minlength=len(columns.answer_names))
    used = np.flatnonzero(counts)
    name_of = [""] * len(counts)
    if 2 <= len(used) <= STRATA_LIMIT:
        for code in used.tolist():
            name_of[code] = columns.answer_names[code] if counts[code] >= ROWS_A_STRATUM else ""
    names = sorted({name_of[code] for code in used.tolist()})
    number = {name: place for place, name in enumerate(names)}
    return np.array([number.get(name, 0) for name in name_of], dtype=np.int64)


class _Quota:
    """How far each split is behind its share, in ten-thousandths of a row."""

    def __init__(self, shares: tuple[int, int, int]) -> None:
        self._shares = shares
        self._seen = 0
        self._taken = [0, 0, 0]

    def behind(self, size: int) -> list[int]:
        seen = self._seen + size
        return [
            # A split without a share never gets a row, however far the others are ahead.
            share * seen - PARTS * taken if share else -PARTS * (seen + 1)
            for share, taken in zip(self._shares, self._taken, strict=True)
        ]

    def take(self, split: int, size: int) -> None:
        self._seen += size
        self._taken[split] += size
