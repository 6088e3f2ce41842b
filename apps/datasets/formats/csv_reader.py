"""Reading CSV and TSV as a stream: every row with its bytes as they stand in the file, its line and its columns.

The first line names the columns. Quotes may hold delimiters, line breaks and doubled quotes (RFC 4180); the splitting
is done by the `csv` module, line by line, so that it is known which lines made a row.
"""

import csv
from collections import deque
from collections.abc import Iterator

from apps.core.formatting import format_number
from apps.datasets.formats.records import FileError, Record
from apps.datasets.formats.source import Source
from apps.datasets.line_reader import Line, read_lines
from apps.datasets.problems import RowProblem, excerpt, line_too_long

QUOTES_MENDED = 100
"""How often reading starts again behind a quote that never closes; then the rest counts as one row."""
SHOWN_COLUMNS = 12
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class _NotUtf8Error(Exception):
    def __init__(self, line: Line, byte: int) -> None:
        super().__init__()
        self.line, self.byte = line, byte


class _TooLongError(Exception):
    pass


def read_csv(source: Source, compression: str, delimiter: str, *, limit: int) -> Iterator[Record]:
    """The rows behind the header. Raises `FileError` when there is no usable header."""
    rows = _Rows(source, compression, delimiter, limit)
    header = rows.header()
    for row in rows:
        if row.problem is not None or row.is_empty:
            yield row.as_record(source, None)
        elif len(row.cells) != len(header):
            yield row.as_record(source, None, _ragged(row.cells, header))
        else:
            yield row.as_record(source, dict(zip(header, row.cells, strict=True)))


def csv_header(source: Source, compression: str, delimiter: str, *, limit: int) -> tuple[list[str], bytes]:
    """The names of the columns, and their line as it stands in the file."""
    rows = _Rows(source, compression, delimiter, limit)
    return rows.header(), rows.header_line


def _ragged(cells: list[str], header: list[str]) -> RowProblem:
    names = ", ".join(header[:SHOWN_COLUMNS])
    return RowProblem(
        "ragged_row",
        f"The row has {format_number(len(cells))} field{'' if len(cells) == 1 else 's'}, but the first line names"
        f" {format_number(len(header))} columns ({names[:120]}). Is a delimiter missing, or not in quotes?",
        excerpt=excerpt(" | ".join(cells)),
    )


class _Row:
    """The lines of one row, and what the csv module made of them."""

    __slots__ = ("cells", "is_empty", "lines", "over_limit", "problem")

    def __init__(self, lines: list[Line], cells: list[str], problem: RowProblem | None = None) -> None:
        self.lines = lines
        self.cells = cells
        self.problem = problem
        self.over_limit = any(line.over_limit for line in lines)
        self.is_empty = problem is None and not any(line.data.strip() for line in lines)

    def as_record(
        self, source: Source, value: dict[str, str] | None, problem: RowProblem | None = None
    ) -> Record:
        first, last = self.lines[0], self.lines[-1]
        raw = _joined(self.lines) if len(self.lines) > 1 else first.data
        return Record(
            number=first.number,
            raw=raw,
            last=last.number,
            end=source.consumed,
            value=value,
            offset=first.offset,
            length=last.offset + last.length - first.offset,
            problem=self.problem or problem,
            is_empty=self.is_empty,
            over_limit=self.over_limit,
        )


def _line_end(line: Line) -> bytes:
    return b"\r\n" if line.end - line.offset - line.length == 2 else b"\n"


def _joined(lines: list[Line]) -> bytes:
    """The lines as they stand in the file, without the last line end."""
    return b"".join(line.data + _line_end(line) for line in lines[:-1]) + lines[-1].data


class _Rows:
    """Feeds lines to the csv module and keeps those that the current row is made of."""

    def __init__(self, source: Source, compression: str, delimiter: str, limit: int) -> None:
        csv.field_size_limit(max(limit * 2, 131_072))
        self._limit = limit
        self._delimiter = delimiter
        self._lines = read_lines(source.unpacked(compression), limit=limit)
        self._again: deque[Line] = deque()
        self._taken: list[Line] = []
        self._size = 0
        self._mended = 0
        self._reader = self._new_reader()
        self.header_line = b""

    def header(self) -> list[str]:
        for row in self:
            if row.is_empty:
                continue
            if row.problem is not None:
                raise FileError(row.problem)
            self.header_line = _joined(row.lines)
            names = [
                name.strip() or f"column {place}" if any(row.cells) else ""
                for place, name in enumerate(row.cells, start=1)
            ]
            problem = _header_problem(names)
            if problem is not None:
                raise FileError(problem)
            return names
        raise FileError(RowProblem("empty_file", "The file holds only empty lines."))

    def __iter__(self) -> Iterator[_Row]:
        while True:
            row = self._next()
            if row is None:
                return
            yield row

    def _new_reader(self) -> Iterator[list[str]]:
        return csv.reader(self._feed(), delimiter=self._delimiter, strict=True)

    def _feed(self) -> Iterator[str]:
        while True:
            line = self._again.popleft() if self._again else next(self._lines, None)
            if line is None:
                return
            if line.offset == 0 and line.data.startswith(_BYTE_ORDER_MARK):
                size = len(_BYTE_ORDER_MARK)
                line = Line(
                    line.number, size, line.data[size:], line.length - size, line.end, line.over_limit
                )
            self._taken.append(line)
            self._size += line.length
            if self._size > self._limit:
                raise _TooLongError
            try:
                text = line.data.decode("utf-8")
            except UnicodeDecodeError as error:
                raise _NotUtf8Error(line, error.start) from None
            yield text + _line_end(line).decode()

    def _next(self) -> _Row | None:
        self._taken, self._size = [], 0
        try:
            cells = next(self._reader)
        except StopIteration:
            return None
        except (csv.Error, _NotUtf8Error, _TooLongError) as error:
            self._reader = self._new_reader()
            return self._bad(error)
        return _Row(self._taken, cells)

    def _bad(self, error: Exception) -> _Row:
        """The row at which reading failed. Of several lines only the first is given up: the others may be fine."""
        if len(self._taken) > 1 and self._mended < QUOTES_MENDED:
            self._mended += 1
            self._again.extendleft(reversed(self._taken[1:]))
            first = self._taken[0]
            return _Row([first], [], self._unclosed(first))
        first = self._taken[0]
        if isinstance(error, _NotUtf8Error):
            shown = excerpt(error.line.data.decode("utf-8", "replace"), around=error.byte)
            byte = error.line.offset - first.offset + error.byte
            line = format_number(error.line.number)
            message = f"Byte {error.byte + 1} of line {line} is not UTF-8. Save the file as UTF-8."
            return _Row(self._taken, [], RowProblem("not_utf8", message, excerpt=shown, byte=byte))
        if isinstance(error, _TooLongError):
            return _Row(self._taken, [], line_too_long(self._size, self._limit, first.data))
        if "unexpected end" in str(error):
            return _Row(self._taken, [], self._unclosed(first))
        return _Row(
            self._taken,
            [],
            RowProblem(
                "bad_quotes",
                'After a closing quote comes text. A quote inside a field must be doubled: "".',
                excerpt=excerpt(first.data.decode("utf-8", "replace")),
            ),
        )

    def _unclosed(self, first: Line) -> RowProblem:
        return RowProblem(
            "unclosed_quote",
            f"A quote that is opened in line {format_number(first.number)} is not closed properly."
            ' A quote inside a field must be doubled: "".',
            excerpt=excerpt(first.data.decode("utf-8", "replace")),
        )


def _header_problem(names: list[str]) -> RowProblem | None:
    shown = excerpt(" | ".join(names))
    if any(not name for name in names):
        return RowProblem(
            "bad_header", f"Column {names.index('') + 1} of the first line has no name.", excerpt=shown
        )
    doubled = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if doubled is not None:
        return RowProblem(
            "bad_header", f"The first line names two columns “{excerpt(doubled)}”.", excerpt=shown
        )
    return None
