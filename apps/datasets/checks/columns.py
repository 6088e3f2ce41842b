"""Columns of a million rows in little memory: no Python object a row."""

from array import array
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from apps.datasets.checks.signatures import PERMUTATIONS

UNKNOWN = -1
T = TypeVar("T", bound=Hashable | list[str])


class Hashes(Sequence[str]):
    """Texts of hexadecimal digits that are all equally long."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._width = 0
        self._data = bytearray()
        self.extend(texts)

    def extend(self, texts: Iterable[str]) -> None:
        for text in texts:
            data = bytes.fromhex(text)
            self._width = self._width or len(data)
            if len(data) != self._width:
                raise ValueError(f"{text!r} has not the {2 * self._width} digits of the others.")
            self._data += data

    def __len__(self) -> int:
        return len(self._data) // self._width if self._width else 0

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> list[str]: ...
    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        if not -len(self) <= place < len(self):
            raise IndexError(place)
        start = (place % len(self)) * self._width
        return self._data[start : start + self._width].hex()


class Shared(Sequence[T]):
    """Values of which many are the same, each kept once."""

    def __init__(self, values: Iterable[T] = ()) -> None:
        self._codes = array("i")
        self._values: list[T] = []
        self._code_of: dict[Hashable, int] = {}
        self.extend(values)

    def extend(self, values: Iterable[T]) -> None:
        for value in values:
            key = tuple(value) if isinstance(value, list) else value
            code = self._code_of.setdefault(key, len(self._values))
            if code == len(self._values):
                self._values.append(value)
            self._codes.append(code)

    def __len__(self) -> int:
        return len(self._codes)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> list[T]: ...
    def __getitem__(self, place: int | slice) -> T | list[T]:
        if isinstance(place, slice):
            return [self._values[code] for code in self._codes[place]]
        return self._values[self._codes[place]]

    def __iter__(self) -> Iterator[T]:
        return (self._values[code] for code in self._codes)


class Counts(Sequence[int | None]):
    """Numbers from 0 on, some of them unknown."""

    def __init__(self, values: Iterable[int | None] = ()) -> None:
        self._data = array("i")
        self.extend(values)

    def extend(self, values: Iterable[int | None]) -> None:
        self._data.extend(UNKNOWN if value is None else value for value in values)

    def __len__(self) -> int:
        return len(self._data)

    @overload
    def __getitem__(self, place: int) -> int | None: ...
    @overload
    def __getitem__(self, place: slice) -> list[int | None]: ...
    def __getitem__(self, place: int | slice) -> int | None | list[int | None]:
        if isinstance(place, slice):
            return [None if value == UNKNOWN else value for value in self._data[place]]
        value = self._data[place]
        return None if value == UNKNOWN else value

    def __iter__(self) -> Iterator[int | None]:
        return (None if value == UNKNOWN else value for value in self._data)


class Signatures(Sequence[bytes]):
    """Signatures of those rows that have one, the others are empty."""

    def __init__(self, signatures: Iterable[bytes] = ()) -> None:
        self._data = bytearray()
        self._rows = array("i")
        self.extend(signatures)

    def extend(self, signatures: Iterable[bytes | memoryview]) -> None:
        for signature in signatures:
            if signature:
                self._rows.append(len(self._data) // PERMUTATIONS)
                self._data += signature
            else:
                self._rows.append(UNKNOWN)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> list[bytes]: ...
    def __getitem__(self, place: int | slice) -> bytes | list[bytes]:
        if isinstance(place, slice):
            return [self[each] for each in range(*place.indices(len(self)))]
        row = self._rows[place]
        return b"" if row == UNKNOWN else bytes(self._data[row * PERMUTATIONS : (row + 1) * PERMUTATIONS])

    def among(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the places that have a signature."""
        rows = np.frombuffer(self._rows, dtype=np.intc)
        return np.asarray(places[rows[places] != UNKNOWN], dtype=np.int64)

    def matrix(self, places: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """One row of 126 bytes for each signature, and which of the rows is that of each place; nothing is copied."""
        matrix = np.frombuffer(self._data, dtype=np.uint8).reshape(-1, PERMUTATIONS)
        return matrix, np.frombuffer(self._rows, dtype=np.intc)[places].astype(np.int64)
