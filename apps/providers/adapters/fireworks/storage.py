"""Fireworks' files lie in a store of their own, behind addresses that are signed for an hour.

These addresses come from the provider: they go through the same guard as all others, and get no key.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import httpx

PIECE = 1024 * 1024
MOST_READ = 16 * 1024 * 1024
"""Bytes of metrics that one poll reads; the next one goes on."""
_MAY_PASS = (408, 429)


def put(http: httpx.Client, url: str, path: Path) -> None:
    """Send a file, in pieces. Raises httpx's errors."""
    size = path.stat().st_size
    with path.open("rb") as file:
        answer = http.put(
            url,
            content=_pieces(file),
            # Both headers are part of what was signed; the length keeps it from going out in chunks.
            headers={
                "Content-Type": "application/octet-stream",
                "X-Goog-Content-Length-Range": f"{size},{size}",
                "Content-Length": str(size),
            },
        )
    answer.raise_for_status()


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def new_lines(http: httpx.Client, url: str, offset: int, *, whole: bool) -> tuple[list[bytes], int]:
    """Lines after `offset` bytes, and where the next reading starts. `whole`: the file grows no more, so that its last
    line counts, too, where no end of a line follows.

    Nothing, where there is no file yet. A file that was written anew is read from its beginning. Raises httpx's errors.
    """
    lines, after = _read(http, url, offset, whole)
    return _read(http, url, 0, whole) if offset and not after else (lines, after)


def _read(http: httpx.Client, url: str, offset: int, whole: bool) -> tuple[list[bytes], int]:
    # One byte before, so that there is always something to answer with, and the end of a line to find there.
    headers = {"Range": f"bytes={offset - 1}-"} if offset else {}
    with http.stream("GET", url, headers=headers) as answer:
        if answer.status_code == 416:
            return [], 0
        if answer.is_client_error and answer.status_code not in _MAY_PASS:
            return [], offset
        answer.raise_for_status()
        begun = offset - 1 if answer.status_code == 206 and offset else 0
        text = _bounded(answer, MOST_READ + offset - begun)
    if offset and text[offset - 1 - begun : offset - begun] != b"\n":
        return [], 0
    text = text[offset - begun :]
    end = len(text) if whole else text.rfind(b"\n") + 1
    return text[:end].splitlines(), offset + end


def _bounded(answer: httpx.Response, most: int) -> bytes:
    read = bytearray()
    for piece in answer.iter_bytes(PIECE):
        read += piece
        if len(read) >= most:
            break
    return bytes(read[:most])
