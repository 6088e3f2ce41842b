"""Where a reader gets its bytes from, and unpacking that can't be blown up."""

import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import zstandard

from apps.core.formatting import format_bytes
from apps.datasets.formats.records import FileError
from apps.datasets.problems import RowProblem

GZIP, ZSTANDARD = "gzip", "zstd"
SIGNATURES = {b"\x1f\x8b": GZIP, b"\x28\xb5\x2f\xfd": ZSTANDARD}
PIECE = 1024 * 1024
ZSTANDARD_PIECE = 1024
"""A block of 4 bytes can unpack to 128 kB, so no more than this is given to the decompressor at once."""
ZSTANDARD_WINDOW = 128 * 1024 * 1024
RATIO_LIMIT = 200
"""Rows of text shrink to a tenth or a fiftieth; only bombs and blank files to less."""
RATIO_FROM = 64 * 1024 * 1024


@dataclass
class Source:
    """A stored file. `expansion_limit` bounds what it may unpack to."""

    chunks: Callable[[int], Iterator[bytes]]
    """The bytes from an offset on."""
    open: Callable[[], BinaryIO]
    """The file to read and seek in."""
    size: int
    expansion_limit: int
    consumed: int = field(default=0, init=False)
    """Bytes of the stored file that were read so far."""

    def read(self, offset: int = 0) -> Iterator[bytes]:
        self.consumed = offset
        for chunk in self.chunks(offset):
            self.consumed += len(chunk)
            yield chunk

    def unpacked(self, compression: str) -> Iterator[bytes]:
        """All bytes, unpacked."""
        chunks = self.read()
        return unpacked(chunks, compression, limit=self.expansion_limit) if compression else chunks

    def unpacked_file(self, compression: str) -> BinaryIO:
        """The file to seek in; a packed one is unpacked to a temporary file first."""
        if not compression:
            return self.open()
        spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed by its reader
        for chunk in self.unpacked(compression):
            spool.write(chunk)
        spool.seek(0)
        return spool


def unpacked(chunks: Iterable[bytes], compression: str, *, limit: int) -> Iterator[bytes]:
    """The unpacked bytes, in pieces of bounded size. Raises `FileError` on damage and when they get too many."""
    read = written = 0

    def counted() -> Iterator[bytes]:
        nonlocal read
        for chunk in chunks:
            read += len(chunk)
            yield chunk

    pieces = _gunzipped(counted()) if compression == GZIP else _unzstandard(counted())
    for piece in pieces:
        written += len(piece)
        if written > limit:
            raise FileError(
                RowProblem(
                    "expands_too_far",
                    f"The file unpacks to more than {format_bytes(limit)}, the most that is read. Split it.",
                )
            )
        if written > RATIO_FROM and written > RATIO_LIMIT * read:
            raise FileError(
                RowProblem(
                    "expands_too_far",
                    f"{format_bytes(read)} of the file unpack to {format_bytes(written)}, more than {RATIO_LIMIT} times"
                    " as much. No data shrinks so far; reading was stopped.",
                )
            )
        yield piece


def _damaged(detail: str) -> FileError:
    return FileError(
        RowProblem(
            "damaged_archive", f"The compressed file is damaged: {detail}. Pack it and upload it again."
        )
    )


_CUT = "it ends in the middle"


def _gunzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """All members of a gzip file, one after another."""
    engine = zlib.decompressobj(wbits=31)
    fresh = True
    for chunk in chunks:
        data = chunk
        while data:
            if fresh and not data.lstrip(b"\x00"):
                break  # padding behind the last member
            try:
                piece = engine.decompress(data, PIECE)
            except zlib.error as error:
                raise _damaged(str(error)) from None
            if piece:
                yield piece
            fresh = engine.eof
            data = engine.unused_data if fresh else engine.unconsumed_tail
            if fresh:
                engine = zlib.decompressobj(wbits=31)
    if not fresh:
        raise _damaged(_CUT)


def _unzstandard(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """All frames of a Zstandard file, one after another."""
    context = zstandard.ZstdDecompressor(max_window_size=ZSTANDARD_WINDOW)
    engine = context.decompressobj()
    fresh = True
    for chunk in chunks:
        for start in range(0, len(chunk), ZSTANDARD_PIECE):
            data = chunk[start : start + ZSTANDARD_PIECE]
            while data:
                try:
                    piece = engine.decompress(data)
                except zstandard.ZstdError as error:
                    raise _damaged(str(error)) from None
                if piece:
                    yield piece
                fresh = engine.eof
                data = engine.unused_data if fresh else b""
                if fresh:
                    engine = context.decompressobj()
    if not fresh:
        raise _damaged(_CUT)
