"""What the rule of the split needs to know of every row, for a million rows in little memory."""

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

NONE = -1
HASH_BYTES = 32
READ_AT_ONCE = 10_000


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


def first_places(values: NDArray[Any]) -> NDArray[np.int64]:
    """For each value the place where the same one stands first."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    begins = np.r_[True, ordered[1:] != ordered[:-1]] if len(values) else np.empty(0, np.bool_)
    del ordered
    places = np.empty(len(values), dtype=np.int64)
    places[order] = order[np.flatnonzero(begins)][np.cumsum(begins) - 1]
    return places


def each_of(values: NDArray[Any]) -> Iterator[int]:
    """The numbers one after another: as objects all at once, a million of them take up more room than all else."""
    for start in range(0, len(values), READ_AT_ONCE):
        yield from values[start : start + READ_AT_ONCE].tolist()


class _Names:
    """Texts of which many are the same, each kept once."""

    def __init__(self) -> None:
        self.codes = array("i")
        self.names: list[str] = []
        self._code_of: dict[str, int] = {}

    def append(self, name: str) -> None:
        code = self._code_of.get(name)
        if code is None:
            code = self._code_of[name] = len(self.names)
            self.names.append(name)
        self.codes.append(code)

    def append_or_none(self, name: str) -> None:
        if name:
            self.append(name)
        else:
            self.codes.append(NONE)

    def as_column(self) -> NDArray[np.int64]:
        return np.array(self.codes, dtype=np.int64)

    def __getitem__(self, row: int) -> str:
        code = self.codes[row]
        return "" if code == NONE else self.names[code]


class SplitRows:
    """Rows with content hashes of 64 hexadecimal digits, added one by one."""

    def __init__(self) -> None:
        self._hashes = bytearray()
        self.answers, self.groups, self.clusters = _Names(), _Names(), _Names()
        self._tested = bytearray()

    def append(self, row: SplitRow) -> None:
        digest = bytes.fromhex(row.content_hash)
        if len(digest) != HASH_BYTES:
            raise ValueError(f"{row.content_hash!r} is no SHA-256.")
        self._hashes += digest
        self.answers.append(row.answer)
        self.groups.append_or_none(row.group)
        self.clusters.append_or_none(row.cluster)
        self._tested.append(row.tested)

    def __len__(self) -> int:
        return len(self._tested)

    def content(self, row: int) -> str:
        return self._hashes[row * HASH_BYTES : (row + 1) * HASH_BYTES].hex()

    def content_codes(self) -> NDArray[np.int64]:
        """The same number for the same content."""
        hashes = np.frombuffer(self._hashes, dtype=f"V{HASH_BYTES}")
        # Two of 2^64 beginnings are all but never the same; where they are, the whole hashes are compared.
        beginnings = np.frombuffer(self._hashes, dtype=np.uint64).reshape(-1, HASH_BYTES // 8)[:, 0]
        codes = first_places(beginnings)
        if (hashes[codes] != hashes).any():
            return first_places(np.array([self.content(row) for row in range(len(self))]))
        return codes

    def columns(self) -> "SplitColumns":
        return SplitColumns(
            self.content_codes(),
            self.groups.as_column(),
            self.clusters.as_column(),
            self.answers.as_column(),
            np.frombuffer(bytes(self._tested), dtype=np.bool_),
            self.answers.names,
            self.content,
        )


@dataclass(frozen=True)
class SplitColumns:
    """Numbers instead of texts: the same for the same text, `NONE` for none."""

    contents: NDArray[np.int64]
    groups: NDArray[np.int64]
    clusters: NDArray[np.int64]
    answers: NDArray[np.int64]
    tested: NDArray[np.bool_]
    answer_names: list[str]
    content: Callable[[int], str]
    """The content hash of a row."""

    def take(self, rows: NDArray[np.int64]) -> "SplitColumns":
        return SplitColumns(
            self.contents[rows],
            self.groups[rows],
            self.clusters[rows],
            self.answers[rows],
            self.tested[rows],
            self.answer_names,
            lambda row: self.content(int(rows[row])),
        )


def columns_of(rows: Sequence[SplitRow] | SplitRows) -> SplitColumns:
    if isinstance(rows, SplitRows):
        return rows.columns()
    contents, groups, clusters, answers = _Names(), _Names(), _Names(), _Names()
    for row in rows:
        contents.append(row.content_hash)
        groups.append_or_none(row.group)
        clusters.append_or_none(row.cluster)
        answers.append(row.answer)
    return SplitColumns(
        contents.as_column(),
        groups.as_column(),
        clusters.as_column(),
        answers.as_column(),
        np.array([row.tested for row in rows], dtype=np.bool_),
        answers.names,
        contents.__getitem__,
    )
