"""The rows that did not pass, as received, in a file of the same format: to be mended and imported again."""

from collections.abc import Iterator
from pathlib import PurePath

from django.conf import settings

from apps.core.canonical import canonical_json
from apps.datasets.formats import FileError, Reading, Record
from apps.datasets.formats.csv_reader import csv_header
from apps.datasets.import_files import blob_of, mapping_of, reading_of, records_of, source_of
from apps.datasets.mapping import MappedRow, row_of
from apps.datasets.models import Import

_ENDINGS = {"jsonl": ".jsonl", "json": ".json", "csv": ".csv", "parquet": ".jsonl", "export": ".jsonl"}


def import_rejected_rows(*, import_record: Import) -> Iterator[bytes]:
    """The file of rejected rows, checked anew. A file that could not be read at all comes whole."""
    source = source_of(blob_of(import_record))
    try:
        reading = reading_of(import_record)
    except FileError:
        yield from source.read()
        return
    if reading.format == "json":
        yield from _as_json(import_record, reading)
        return
    if reading.format == "csv":
        _, header = csv_header(
            source, reading.compression, reading.delimiter, limit=settings.FTPORTAL_LINE_LIMIT
        )
        yield header + b"\n"
    for record in _rejected(import_record):
        yield from _whole(import_record, reading, record)
        yield b"\n"


def rejected_file_name(import_record: Import) -> str:
    """Named after the file that was imported, without its compression."""
    reading = Reading.from_json(import_record.reading)
    name = import_record.file_name
    if reading.compression:
        name = PurePath(name).stem if PurePath(name).suffix in (".gz", ".gzip", ".zst", ".zstd") else name
    ending = _ENDINGS[reading.format] if import_record.reading else ""
    if ending and not (reading.format == "csv" and PurePath(name).suffix == ".tsv"):
        name = PurePath(name).stem + ending
    return f"rejected-{name}"


def _rejected(import_record: Import) -> Iterator[Record]:
    mapping = mapping_of(import_record)
    try:
        for record in records_of(import_record):
            if not record.is_empty and not isinstance(row_of(record, mapping), MappedRow):
                yield record
    except FileError:
        return  # what lies behind can't be told apart into rows


def _whole(import_record: Import, reading: Reading, record: Record) -> Iterator[bytes]:
    """The row, also one over the limit, of which only the beginning was kept."""
    if not record.over_limit or record.offset is None or reading.format not in ("jsonl", "json"):
        yield record.raw
        return
    source = source_of(blob_of(import_record))
    skip, left = record.offset, record.length
    for chunk in source.unpacked(reading.compression):
        piece = chunk[skip : skip + left]
        skip = max(0, skip - len(chunk))
        left -= len(piece)
        yield piece
        if left <= 0:
            return


def _as_json(import_record: Import, reading: Reading) -> Iterator[bytes]:
    """A JSON list, or an object with the same keys as the file."""
    section: str | None = None
    for record in _rejected(import_record):
        if section is None:
            yield b"{" if record.section else b"["
            yield from _key(record.section)
        elif record.section != section:
            yield b"\n],\n"
            yield from _key(record.section)
        else:
            yield b","
        section = record.section
        yield b"\n"
        yield from _whole(import_record, reading, record)
    if section is None:
        yield b"[]\n"
    else:
        yield b"\n]}\n" if section else b"\n]\n"


def _key(section: str) -> Iterator[bytes]:
    if section:
        yield canonical_json(section) + b": ["
