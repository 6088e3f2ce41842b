"""Bytes of a server's files, which some servers wrap in base64, and the table of a result file."""

import base64
import binascii
import csv
import io
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

LOOKED_AT = 1024
MOST_RESULT_BYTES = 32 * 1024 * 1024
_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\r\n")


def unwrapped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, decoded if they are base64: neither JSON lines nor a table with a comma ever look like it."""
    pieces = iter(chunks)
    head = b""
    for piece in pieces:
        head += piece
        if len(head) >= LOOKED_AT:
            break
    if not _is_wrapped(head):
        if head:
            yield head
        yield from pieces
        return
    rest = b""
    for piece in chain((head,), pieces):
        rest += piece.translate(None, b"\r\n")
        whole = len(rest) // 4 * 4
        yield base64.b64decode(rest[:whole])
        rest = rest[whole:]
    if rest:
        yield base64.b64decode(rest + b"=" * (-len(rest) % 4))


def _is_wrapped(head: bytes) -> bool:
    if len(head) < 8 or not _BASE64.issuperset(head):
        return False
    first = head.translate(None, b"\r\n")
    try:
        base64.b64decode(first[: len(first) // 4 * 4], validate=True)
    except binascii.Error:
        return False
    return True


def result_rows(content: bytes) -> list[dict[str, Any]]:
    """Lines of a result file: step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy, empty cells where
    nothing was measured. Lines without a step are left out."""
    table = csv.DictReader(io.StringIO(content.decode("utf-8-sig", errors="replace")))
    rows = []
    for line in table:
        cells = {name.strip(): cell for name, cell in line.items() if isinstance(name, str) and cell}
        try:
            step = int(float(cells["step"]))
        except (KeyError, ValueError, OverflowError):
            continue
        rows.append({**cells, "step": step})
    return rows
