"""Labels made with other tools: read into one shape, bad records with the reason. Nothing is stored."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from apps.labeling.label_files import argilla, doccano, label_studio, prodigy
from apps.labeling.label_files.records import (
    FoundLabel,
    LabelFile,
    ReadingProblem,
    RecordError,
    checked_storable,
    excerpt,
    parsed_records,
)

__all__ = ["FORMATS", "FoundLabel", "LabelFile", "ReadingProblem", "UnknownFormat", "read_labels"]

# In the order in which they are tried: the least particular one is the last.
FORMATS: dict[str, ModuleType] = {
    "label_studio": label_studio,
    "prodigy": prodigy,
    "argilla": argilla,
    "doccano": doccano,
}
MOST_UNPACKED_BYTES = 256 * 1024 * 1024
_RECORDS_LOOKED_AT = 20


class UnknownFormat(ValueError):
    """The file is in none of the known shapes; the message says what they are."""


def read_labels(data: bytes, name: str = "", format: str = "") -> LabelFile:
    """Every label of a file, whatever tool wrote it. `name` is the file's: doccano names files after people.

    Raises `UnknownFormat` where nothing can be made of it.
    """
    members = list(_members(data, name))
    records = [(stem, list(_records(content))) for stem, content in members]
    reader = FORMATS[format] if format else _recognised([record for _, found in records for record in found])
    result = LabelFile(reader.NAME)
    for stem, found in records:
        for number, record in found:
            result.records += 1
            try:
                labels = _labels(reader, number, record, stem)
            except RecordError as error:
                shown = "" if isinstance(record, RecordError) else excerpt(record)
                result.problems.append(ReadingProblem(number, str(error), shown))
                continue
            kept = [label for label in labels if label is not None]
            result.left_out += labels.count(None)
            result.labels += kept
    return result


def _labels(reader: ModuleType, number: int, record: Any, stem: str) -> list[FoundLabel | None]:
    if isinstance(record, RecordError):
        raise record
    if not isinstance(record, Mapping):
        raise RecordError("The record is no object with fields.")
    try:
        labels: list[FoundLabel | None] = list(reader.labels_of(number, record, stem))
    except RecordError:
        raise
    except (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError):
        # A field holds something that its tool never writes there: this record is left out, not the whole file.
        raise RecordError(f"A field of it is not as {reader.NAME} has it.") from None
    return [label and checked_storable(label) for label in labels]


def _members(data: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    """The file itself, or the files in a zip, with the part of their names before the ending."""
    if not data.startswith(b"PK\x03\x04"):
        yield _stem(name), data
        return
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [
                member
                for member in archive.infolist()
                if not member.is_dir() and not _is_left_over(member.filename)
            ]
            if sum(member.file_size for member in members) > MOST_UNPACKED_BYTES:
                raise UnknownFormat("The zip file holds more than 256 MB. Import its files one at a time.")
            for member in members:
                yield _stem(member.filename), archive.read(member)
    except zipfile.BadZipFile:
        raise UnknownFormat("The zip file is damaged. Export it again.") from None
    except (RuntimeError, NotImplementedError):
        raise UnknownFormat(
            "The zip file has a password, or is packed in a way that can't be read."
        ) from None


def _is_left_over(name: str) -> bool:
    """What a Mac puts beside the files that it packs."""
    return name.startswith("__MACOSX/") or name.rsplit("/", 1)[-1].startswith(".")


def _stem(name: str) -> str:
    return name.rsplit("/", 1)[-1].split(".", maxsplit=1)[0]


def _records(data: bytes) -> Iterator[tuple[int, Any]]:
    if data.startswith(b"PAR1"):
        import pyarrow.parquet

        try:
            yield from enumerate(pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist(), start=1)
        except (OSError, ValueError) as error:
            yield 1, RecordError(f"The Parquet file can't be read: {error}")
        return
    yield from parsed_records(data)


def _recognised(records: list[tuple[int, Any]]) -> ModuleType:
    for _, record in records[:_RECORDS_LOOKED_AT]:
        if isinstance(record, Mapping):
            for reader in FORMATS.values():
                if reader.recognises(record):
                    return reader
    known = ", ".join(reader.NAME for reader in FORMATS.values())
    raise UnknownFormat(f"These are no labels in a known format: {known}. Nothing was imported.")
