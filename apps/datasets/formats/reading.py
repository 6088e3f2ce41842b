"""How a file is to be read, and the reader that does it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from apps.datasets.formats.csv_reader import read_csv
from apps.datasets.formats.export_reader import read_export
from apps.datasets.formats.json_reader import read_json
from apps.datasets.formats.parquet_reader import read_parquet
from apps.datasets.formats.records import UNREAD, Record
from apps.datasets.formats.source import Source
from apps.datasets.line_reader import Line, read_lines
from apps.datasets.problems import RowProblem, line_too_long

JSON_LINES, JSON, CSV, PARQUET, EXPORT = "jsonl", "json", "csv", "parquet", "export"
FORMAT_NAMES = {
    JSON_LINES: "JSON lines",
    JSON: "JSON",
    CSV: "CSV",
    PARQUET: "Parquet",
    EXPORT: "Export of a version",
}
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DELIMITER_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True)
class Reading:
    """What was recognised about a file before its rows are looked at."""

    format: str = JSON_LINES
    compression: str = ""
    delimiter: str = ""
    columns: tuple[str, ...] = ()
    """Of formats that name them once for all rows."""
    has_byte_order_mark: bool = False

    @property
    def counts_lines(self) -> bool:
        return self.format in (JSON_LINES, CSV)

    @property
    def resumes_by_offset(self) -> bool:
        """Others are read again from the start up to the row where reading stopped."""
        return self.format == JSON_LINES and not self.compression

    @property
    def name(self) -> str:
        parts = [FORMAT_NAMES[self.format]]
        if self.delimiter:
            parts.append(f"columns separated by {_DELIMITER_NAMES.get(self.delimiter, self.delimiter)}")
        if self.compression:
            parts.append(f"packed with {self.compression}")
        return ", ".join(parts)

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"columns": list(self.columns)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Reading":
        return cls(**data | {"columns": tuple(data.get("columns", ()))})


def read_records(
    source: Source, reading: Reading, *, limit: int, after: int = 0, offset: int = 0
) -> Iterator[Record]:
    """The rows behind the one numbered `after`, which in plain JSON lines ended at `offset`.

    `limit` is the most bytes that a row may have. Raises `FileError` where the rest can't be read.
    """
    if reading.resumes_by_offset:
        yield from _json_lines(source.read(offset), source, limit=limit, offset=offset, line=after)
        return
    match reading.format:
        case "csv":
            rows = read_csv(source, reading.compression, reading.delimiter, limit=limit)
        case "json":
            rows = read_json(source, reading.compression, limit=limit)
        case "parquet":
            rows = read_parquet(source, reading.compression, limit=limit)
        case "export":
            rows = read_export(source, limit=limit)
        case _:
            rows = _json_lines(source.unpacked(reading.compression), source, limit=limit, packed=True)
    for row in rows:
        if row.last > after:
            yield row


def _json_lines(
    chunks: Iterator[bytes],
    source: Source,
    *,
    limit: int,
    offset: int = 0,
    line: int = 0,
    packed: bool = False,
) -> Iterator[Record]:
    for found in read_lines(chunks, limit=limit, offset=offset, line_number=line):
        each = _without_mark(found) if found.offset == 0 else found
        number, data, over = each.number, each.data, each.over_limit
        yield Record(
            number,
            data,
            number,
            source.consumed if packed else each.end,
            UNREAD,
            each.offset,
            each.length,
            _too_long(each, limit) if over else None,
            not over and (not data or data.isspace()),
            over,
        )


def _without_mark(line: Line) -> Line:
    if not line.data.startswith(_BYTE_ORDER_MARK):
        return line
    size = len(_BYTE_ORDER_MARK)
    return Line(line.number, size, line.data[size:], line.length - size, line.end, line.over_limit)


def _too_long(line: Line, limit: int) -> RowProblem:
    return line_too_long(line.length, limit, line.data)
