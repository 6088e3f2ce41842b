"""Cutting the elements out of a JSON list, or out of the lists of a JSON object, byte for byte and as a stream.

`[row, row, …]` or `{"train": [row, …], "test": [row, …]}`; other values of such an object are passed over. The rows are
only cut out here: what is inside them is decoded, and refused, by the code that reads JSON lines.
"""

import re
from collections.abc import Iterator

from apps.core.formatting import format_number
from apps.datasets.formats.records import FileError, Record
from apps.datasets.formats.source import Source
from apps.datasets.problems import RowProblem, excerpt, line_too_long

HEAD_BYTES = 200
_NOT_WHITE = re.compile(rb"[^ \t\r\n]")
_TOKEN = re.compile(rb'["\[\]{}]')
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_SCALAR_END = re.compile(rb"[,\]}\s]")
_LINE_BREAKS = re.compile(rb"[\r\n]+[ \t\r\n]*")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_json(source: Source, compression: str, *, limit: int) -> Iterator[Record]:
    """The rows of the file in their order. Raises `FileError` where its outer brackets are broken."""
    text = _Text(source.unpacked(compression), limit)
    cutter = _Cutter(text, source, limit)
    text.skip(_BYTE_ORDER_MARK)
    first = text.next_character()
    if first == b"[":
        yield from cutter.elements("")
    elif first == b"{":
        yield from cutter.sections()
    else:
        raise FileError(RowProblem("not_json_lines", "The file is no JSON list.", excerpt=text.shown()))
    if text.peek():
        raise FileError(
            RowProblem("broken_list", "After the end of the JSON more text follows.", excerpt=text.shown())
        )


class _Text:
    """The part of the file that is being looked at; `at` is the offset of its first byte in the file."""

    def __init__(self, chunks: Iterator[bytes], limit: int) -> None:
        self._chunks = chunks
        self.data = bytearray()
        self.at = 0
        self.position = 0
        self.limit = limit

    @property
    def offset(self) -> int:
        return self.at + self.position

    def more(self) -> bool:
        """Read on, forgetting what lies before `position`; False at the end."""
        chunk = next(self._chunks, b"")
        if not chunk:
            return False
        del self.data[: self.position]
        self.at += self.position
        self.position = 0
        self.data += chunk
        return True

    def skip(self, prefix: bytes) -> None:
        while len(self.data) < len(prefix) and self.more():
            pass
        if self.data.startswith(prefix):
            self.position = len(prefix)

    def peek(self) -> bytes:
        """The next character that is no white space, without taking it; empty at the end."""
        while True:
            found = _NOT_WHITE.search(self.data, self.position)
            if found:
                self.position = found.start()
                return found.group()
            self.position = len(self.data)
            if not self.more():
                return b""

    def next_character(self) -> bytes:
        character = self.peek()
        self.position += len(character)
        return character

    def shown(self) -> str:
        self.peek()
        return excerpt(
            bytes(self.data[self.position : self.position + HEAD_BYTES]).decode("utf-8", "replace")
        )


class _Cutter:
    def __init__(self, text: _Text, source: Source, limit: int) -> None:
        self.text = text
        self.source = source
        self.limit = limit
        self.number = 0

    def sections(self) -> Iterator[Record]:
        text = self.text
        if text.peek() == b"}":
            text.next_character()
            return
        while True:
            if text.peek() != b'"':
                raise self._broken("A key in quotes is expected")
            raw, _ = self._element()
            key = raw[1:-1].decode("utf-8", "replace")
            if text.next_character() != b":":
                raise self._broken(f"After the key “{excerpt(key)}” a colon is expected")
            if text.peek() == b"[":
                text.next_character()
                yield from self.elements(key)
            else:
                self._element()
            follows = text.next_character()
            if follows == b"}":
                return
            if follows != b",":
                raise self._broken(f"After the values of “{excerpt(key)}” a comma or brace is expected")

    def elements(self, section: str) -> Iterator[Record]:
        """Those of a list whose opening bracket was taken already."""
        text = self.text
        if text.peek() == b"]":
            text.next_character()
            return
        while True:
            if text.peek() in (b",", b"]", b"}", b":"):
                raise self._broken("A row is missing")
            offset = text.offset
            raw, length = self._element()
            over = length > self.limit
            self.number += 1
            yield Record(
                number=self.number,
                raw=raw if over else _LINE_BREAKS.sub(b" ", raw),
                last=self.number,
                end=self.source.consumed,
                offset=offset,
                length=length,
                problem=line_too_long(length, self.limit, raw) if over else None,
                over_limit=over,
                section=section,
            )
            follows = text.next_character()
            if follows == b"]":
                return
            if follows != b",":
                raise self._broken(f"After row {format_number(self.number)} a comma or bracket is expected")

    def _broken(self, expected: str) -> FileError:
        found = self.text.shown()
        return FileError(
            RowProblem(
                "broken_list",
                f"{expected}, at byte {format_number(self.text.offset)} of the file; "
                + ("something else follows" if found else "the file ends there")
                + ". The rest can't be read.",
                excerpt=found,
            )
        )

    def _element(self) -> tuple[bytes, int]:
        """The next value as it stands, and its length. Of one over the limit only the beginning is kept."""
        text = self.text
        first = text.peek()
        scan, depth = text.position, 0
        dropped, head = 0, b""
        in_string = False
        while True:
            ended, scan, depth, in_string = _advance(text.data, scan, depth, in_string, first)
            length = scan - text.position
            if ended:
                raw = bytes(text.data[text.position : scan]) if not dropped else head
                text.position = scan
                return raw, dropped + length
            if dropped + length > self.limit:  # too long to be a row: go on without keeping it
                head = head or bytes(text.data[text.position : text.position + HEAD_BYTES])
                dropped += length
                text.position = scan
            before = text.position
            if not text.more():
                if first not in (b"{", b"[", b'"'):
                    continue_at = len(text.data)
                    raw = bytes(text.data[text.position : continue_at])
                    text.position = continue_at
                    return raw, len(raw)
                raise FileError(
                    RowProblem(
                        "cut_json",
                        f"The file ends in the middle of row {format_number(self.number + 1)}. It was cut off.",
                        excerpt=excerpt(
                            (head or bytes(text.data[text.position :])).decode("utf-8", "replace")
                        ),
                    )
                )
            scan -= before


def _advance(
    data: bytearray, scan: int, depth: int, in_string: bool, first: bytes
) -> tuple[bool, int, int, bool]:
    """Go on through a value from `scan`: whether it ended, where, and the state there."""
    if first not in (b"{", b"[", b'"'):
        found = _SCALAR_END.search(data, scan)
        return (True, found.start(), 0, False) if found else (False, len(data), 0, False)
    while True:
        if in_string:
            scan, in_string = _through_string(data, scan)
            if in_string:
                return False, scan, depth, True
            if depth == 0:
                return True, scan, 0, False
            continue
        token = _TOKEN.search(data, scan)
        if token is None:
            return False, len(data), depth, False
        scan = token.end()
        character = token.group()
        if character == b'"':
            whole = _STRING.match(data, token.start())
            if whole is None:
                in_string = True
                continue
            scan = whole.end()
            if depth == 0:
                return True, scan, 0, False
        elif character in b"[{":
            depth += 1
        else:
            depth -= 1
            if depth <= 0:
                return True, scan, 0, False


_IN_STRING = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)


def _through_string(data: bytearray, scan: int) -> tuple[int, bool]:
    """From inside a string to behind its end, or as far as the data go (never into a pair of `\\` and what follows)."""
    found = _IN_STRING.match(data, scan)
    assert found is not None
    end = found.end()
    if end < len(data) and data[end] == ord('"'):
        return end + 1, False
    return end, True
