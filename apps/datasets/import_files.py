"""The file of an import as something to read rows from."""

import contextlib
from collections.abc import Iterator
from typing import Any

from django.conf import settings

from apps.artifacts.models import Blob
from apps.artifacts.storage import blob_open_seekable, blob_read
from apps.datasets.formats import FileError, Reading, Record, Source, read_records, recognise
from apps.datasets.formats.records import UNREAD
from apps.datasets.json_text import UnreadableJsonError, decoded_json
from apps.datasets.mapping import RowMapping, columns_of
from apps.datasets.models import Import
from apps.datasets.presets import Suggestion, suggest

ROWS_LOOKED_AT = 200


def source_of(blob: Blob) -> Source:
    return Source(
        chunks=lambda offset: blob_read(blob, offset=offset),
        open=lambda: blob_open_seekable(blob),
        size=blob.size,
        expansion_limit=settings.FTPORTAL_EXPANSION_LIMIT,
    )


def blob_of(import_record: Import) -> Blob:
    """The file itself; an import that is past fetching has one."""
    assert import_record.blob is not None
    return import_record.blob


def reading_of(import_record: Import) -> Reading:
    """What was recognised about the file, or is now. Raises `FileError`."""
    if import_record.reading:
        return Reading.from_json(import_record.reading)
    return recognise(
        source_of(blob_of(import_record)), import_record.file_name, limit=settings.FTPORTAL_LINE_LIMIT
    )


def mapping_of(import_record: Import) -> RowMapping:
    return RowMapping.from_json(import_record.mapping)


def records_of(import_record: Import, *, after: int = 0, offset: int = 0) -> Iterator[Record]:
    """The rows behind the one numbered `after`. Raises `FileError` where the rest can't be read."""
    return read_records(
        source_of(blob_of(import_record)),
        reading_of(import_record),
        limit=settings.FTPORTAL_LINE_LIMIT,
        after=after,
        offset=offset,
    )


def first_records(import_record: Import, count: int) -> list[Record]:
    """The first rows, those that can't be read among them; fewer where the file breaks off."""
    found: list[Record] = []
    with contextlib.suppress(FileError):
        for record in records_of(import_record):
            if not record.is_empty:
                found.append(record)
            if len(found) == count:
                break
    return found


def columns_in(record: Record) -> dict[str, Any] | None:
    """The columns of a row; None when it can't be read."""
    if record.problem is not None:
        return None
    try:
        value = decoded_json(record.raw) if record.value is UNREAD else record.value
    except UnreadableJsonError:
        return None
    return columns_of(value, record.section)


def suggestion_for(import_record: Import) -> Suggestion:
    """The mapping that the first rows ask for."""
    return suggest([columns_in(record) for record in first_records(import_record, ROWS_LOOKED_AT)])
