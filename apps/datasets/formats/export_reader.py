"""Reading an export of a version back: a ZIP with `manifest.jsonl` and one file of rows a split.

The manifest gives the order over all splits, so that a version frozen from the import is the version exported.
"""

import json
import zipfile
from collections.abc import Iterator

from apps.core.formatting import format_number
from apps.datasets.formats.records import FileError, Record
from apps.datasets.formats.source import Source
from apps.datasets.line_reader import Line, read_lines
from apps.datasets.problems import RowProblem, line_too_long

MANIFEST = "manifest.jsonl"
SPLIT_FILES = {"train": "data/train.jsonl", "validation": "data/validation.jsonl", "test": "data/test.jsonl"}
PIECE = 256 * 1024
MANIFEST_LINE_LIMIT = 4096


def is_export(source: Source) -> bool:
    try:
        with source.open() as file, zipfile.ZipFile(file) as archive:
            return MANIFEST in archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return False


def read_export(source: Source, *, limit: int) -> Iterator[Record]:
    """The rows in the order of the manifest, each with its split."""
    try:
        with source.open() as file, zipfile.ZipFile(file) as archive:
            yield from _rows(archive, source, limit)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise _damaged(str(error)) from None


def _damaged(detail: str) -> FileError:
    return FileError(RowProblem("damaged_archive", f"The export is damaged: {detail[:200]}."))


def _rows(archive: zipfile.ZipFile, source: Source, limit: int) -> Iterator[Record]:
    names = set(archive.namelist())
    budget = _Budget(source.expansion_limit)
    total = max(1, sum(archive.getinfo(name).file_size for name in names if name.startswith("data/")))
    lines = {
        split: read_lines(budget.read(archive, name), limit=limit)
        for split, name in SPLIT_FILES.items()
        if name in names
    }
    number = read = 0
    for entry in read_lines(budget.read(archive, MANIFEST), limit=MANIFEST_LINE_LIMIT):
        if not entry.data.strip():
            continue
        split = _split_of(entry)
        line = next(lines[split], None) if split in lines else None
        number += 1
        if line is None:
            raise _damaged(
                f"{SPLIT_FILES[split]} has fewer rows than {MANIFEST} says (row {format_number(number)})"
            )
        read += line.length
        yield Record(
            number=number,
            raw=line.data,
            last=number,
            end=min(source.size, source.size * read // total),
            offset=line.offset,
            length=line.length,
            problem=line_too_long(line.length, limit, line.data) if line.over_limit else None,
            is_empty=not line.over_limit and not line.data.strip(),
            over_limit=line.over_limit,
            split=split,
        )
    for split, rest in lines.items():
        if any(line.data.strip() for line in rest):
            raise _damaged(f"{SPLIT_FILES[split]} has more rows than {MANIFEST} says")


def _split_of(entry: Line) -> str:
    try:
        split = json.loads(entry.data)["split"]
    except (ValueError, TypeError, KeyError):
        raise _damaged(f"line {format_number(entry.number)} of {MANIFEST} can't be read") from None
    if split not in SPLIT_FILES:
        raise _damaged(f"line {format_number(entry.number)} of {MANIFEST} names a split that is none")
    return str(split)


class _Budget:
    """What all members together may unpack to."""

    def __init__(self, limit: int) -> None:
        self._left = limit

    def read(self, archive: zipfile.ZipFile, name: str) -> Iterator[bytes]:
        with archive.open(name) as member:
            while piece := member.read(PIECE):
                self._left -= len(piece)
                if self._left < 0:
                    raise FileError(
                        RowProblem(
                            "expands_too_far", "The export unpacks to more than is read from one file."
                        )
                    )
                yield piece
