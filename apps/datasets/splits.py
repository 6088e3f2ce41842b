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
from collections import Counter, defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import chain

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)
STRATA_LIMIT = 50
ROWS_A_STRATUM = 10
PARTS = 10_000
"""Shares are whole numbers of ten-thousandths."""


@dataclass(frozen=True, slots=True)
class SplitRow:
    content_hash: str
    answer: str
    group: str = ""
    """Empty: the row belongs to no group."""
    cluster: str = ""
    """Rows that ask nearly the same; empty: nothing does, or nothing was checked."""
    tested: bool = False
    """An earlier version tested on it, so it must not be trained on."""


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
    rows: Sequence[SplitRow],
    *,
    seed: int,
    validation_share: float,
    test_share: float,
    given: Sequence[str] = (),
) -> SplitResult:
    """The split of every row, by the rule above. `given`: for every row its split, or an empty text."""
    if not any(given):
        return _divided(rows, seed=seed, validation_share=validation_share, test_share=test_share)
    units = _units(rows)
    known = _with_given(rows, given, units)
    held = 0
    for members in units:
        if known[members[0]] and any(rows[member].tested for member in members):
            held += len(members)
            for member in members:
                known[member] = TEST
    left = [index for index, split in enumerate(known) if not split]
    rest = _divided(
        [rows[index] for index in left], seed=seed, validation_share=validation_share, test_share=test_share
    )
    for index, split in zip(left, rest.splits, strict=True):
        known[index] = split
    return SplitResult(splits=known, strata=rest.strata or 1, units=len(units), held=held + rest.held)


def _with_given(rows: Sequence[SplitRow], given: Sequence[str], units: Sequence[Sequence[int]]) -> list[str]:
    """The given splits, carried over to the other rows of a unit: from the same content, else group, else any."""
    splits = list(given)
    by_content: dict[str, str] = {}
    by_group: dict[str, str] = {}
    for row, split in zip(rows, given, strict=True):
        if split:
            by_content.setdefault(row.content_hash, split)
            if row.group:
                by_group.setdefault(row.group, split)
    for members in units:
        nearest = next((given[member] for member in members if given[member]), "")
        for member in members:
            if nearest and not splits[member]:
                row = rows[member]
                splits[member] = by_content.get(row.content_hash) or by_group.get(row.group) or nearest
    return splits


def _divided(
    rows: Sequence[SplitRow], *, seed: int, validation_share: float, test_share: float
) -> SplitResult:
    shares = shares_in_parts(validation_share, test_share)
    if min(shares) < 0:
        raise ValueError("The shares of validation and test exceed the whole.")
    strata_of_answers = _strata(rows)
    units = _units(rows)
    by_stratum: dict[str, list[tuple[bytes, list[int]]]] = defaultdict(list)
    for members in units:
        if len(members) == 1:
            stratum, key = strata_of_answers[rows[members[0]].answer], rows[members[0]].content_hash
        else:
            votes = Counter(strata_of_answers[rows[member].answer] for member in members)
            stratum = min(votes, key=lambda name: (-votes[name], name))
            key = min(rows[member].content_hash for member in members)
        by_stratum[stratum].append((hashlib.sha256(f"{seed}:{key}".encode()).digest(), members))
    splits = _deal(by_stratum, len(rows), shares)
    held = {
        id(members)
        for line in by_stratum.values()
        for _, members in line
        if any(rows[member].tested for member in members)
    }
    away = any(row.tested and split != TEST for row, split in zip(rows, splits, strict=True))
    if away:
        splits = _deal(by_stratum, len(rows), shares, held)
    held_rows = sum(len(members) for members in units if id(members) in held)
    return SplitResult(splits=splits, strata=len(by_stratum), units=len(units), held=held_rows)


def _deal(
    by_stratum: dict[str, list[tuple[bytes, list[int]]]],
    count: int,
    shares: tuple[int, int, int],
    held: Container[int] = (),
) -> list[str]:
    """The split of every row; units in `held` (by identity) go to test before the others are dealt out."""
    splits = [TRAIN] * count
    overall = _Quota(shares)
    in_test = {
        name: [members for _, members in line if id(members) in held] for name, line in by_stratum.items()
    }
    for members in chain.from_iterable(in_test.values()):
        overall.take(SPLITS.index(TEST), len(members))
        for member in members:
            splits[member] = TEST
    for name in sorted(by_stratum):
        stratum_quota = _Quota(shares)
        stratum_quota.take(SPLITS.index(TEST), sum(len(members) for members in in_test[name]))
        for _, members in sorted(by_stratum[name], key=lambda unit: unit[0]):
            if id(members) in held:
                continue
            size = len(members)
            behind = [
                in_stratum + in_all
                for in_stratum, in_all in zip(stratum_quota.behind(size), overall.behind(size), strict=True)
            ]
            chosen = behind.index(max(behind))
            stratum_quota.take(chosen, size)
            overall.take(chosen, size)
            for member in members:
                splits[member] = SPLITS[chosen]
    return splits


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


def _strata(rows: Sequence[SplitRow]) -> dict[str, str]:
    """The stratum of every answer. Rare answers share the stratum "", which no answer is called."""
    counts = Counter(row.answer for row in rows)
    if not 2 <= len(counts) <= STRATA_LIMIT:
        return dict.fromkeys(counts, "")
    return {answer: answer if count >= ROWS_A_STRATUM else "" for answer, count in counts.items()}


def _units(rows: Sequence[SplitRow]) -> list[list[int]]:
    """Rows joined by equal content, group or cluster, directly or through others (union-find)."""
    parent = list(range(len(rows)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    first_of: dict[tuple[str, str], int] = {}
    for index, row in enumerate(rows):
        for key in (("content", row.content_hash), ("group", row.group), ("cluster", row.cluster)):
            if not key[1]:
                continue
            first = first_of.setdefault(key, index)
            if first != index:
                parent[root(index)] = root(first)
    members: dict[int, list[int]] = defaultdict(list)
    for index in range(len(rows)):
        members[root(index)].append(index)
    return list(members.values())
