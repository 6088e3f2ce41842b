"""Reading a file of lines as a stream: however long a line is, memory stays within the limit and one chunk."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

HEAD_BYTES = 200
"""How much of a line over the limit is kept, to show what it was."""


@dataclass(slots=True)
class Line:
    number: int
    """1, 2, … in the file, empty lines included."""
    offset: int
    """Where its first byte stands in the file."""
    data: bytes
    """Without its line end (LF or CRLF). Of a line over the limit only the first bytes."""
    length: int
    """Bytes without the line end, also of a line over the limit."""
    end: int
    """Offset of the first byte after the line end."""
    over_limit: bool = False


def read_lines(
    chunks: Iterable[bytes], *, limit: int, offset: int = 0, line_number: int = 0
) -> Iterator[Line]:
    """Cut `chunks`, which begin at `offset` of the file after `line_number` lines, into lines.

    A line of more than `limit` bytes comes with its length and its first bytes only.
    """
    pending = bytearray()  # the line being read, or its head once it is over the limit
    skipped = 0  # bytes of the line that were not kept
    carriage_return = False  # whether the last byte that was not kept is CR
    for chunk in chunks:
        pieces = chunk.split(b"\n")
        for piece in pieces[:-1]:
            line_number += 1
            if not pending and not skipped and len(piece) <= limit:
                data = piece[:-1] if piece.endswith(b"\r") else piece
                ends_at = offset + len(piece) + 1
                yield Line(line_number, offset, data, len(data), ends_at)
                offset = ends_at
                continue
            raw = len(pending) + skipped + len(piece)
            pending += piece
            if piece or not skipped:
                carriage_return = pending.endswith(b"\r")
            length, ends_at = raw - carriage_return, offset + raw + 1
            over = length > limit
            data = bytes(pending[: HEAD_BYTES if over else length])
            yield Line(line_number, offset, data, length, ends_at, over)
            offset = ends_at
            pending.clear()
            skipped, carriage_return = 0, False
        last = pieces[-1]
        pending += last
        if len(pending) + skipped > limit + 1:  # a CR of the line end may still follow
            carriage_return = pending.endswith(b"\r")
            skipped += max(0, len(pending) - HEAD_BYTES)
            del pending[HEAD_BYTES:]
    if pending or skipped:
        length = len(pending) + skipped
        over = length > limit
        data = bytes(pending[: HEAD_BYTES if over else length])
        yield Line(line_number + 1, offset, data, length, offset + length, over)
