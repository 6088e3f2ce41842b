"""Recognising from its first bytes what a file is, and naming those that hold no rows with one sentence."""

import codecs
import csv
import itertools
import json
import re
from collections.abc import Iterable

from apps.datasets.file_kinds import HEAD_BYTES, unusable_file
from apps.datasets.formats.csv_reader import csv_header
from apps.datasets.formats.export_reader import is_export
from apps.datasets.formats.parquet_reader import parquet_columns
from apps.datasets.formats.reading import CSV, EXPORT, JSON, JSON_LINES, PARQUET, Reading
from apps.datasets.formats.records import FileError
from apps.datasets.formats.source import SIGNATURES, Source
from apps.datasets.problems import RowProblem

DELIMITERS = (",", "\t", ";", "|")
ROW_KEYS = frozenset({"messages", "conversations", "conversation", "prompt", "chosen", "rejected", "tools"})
"""Keys whose value is a list inside one row; a file {"messages": […]} is one row, not a section of rows."""
_LINES_LOOKED_AT = 10
_TEXT = rb'"(?:[^"\\]|\\.)*+"'
_PASSED_OVER = rb"(?:" + _TEXT + rb"|-?\d[\d.eE+-]*+|true|false|null|\[\s*\])"
_SECTION = re.compile(
    rb"\s*\{\s*(?:" + _TEXT + rb"\s*:\s*" + _PASSED_OVER + rb"\s*,\s*)*+(" + _TEXT + rb")\s*:\s*\[\s*[\[{]"
)
"""An object of lists of rows; before the first of them may stand other values, such as a version."""
_ENDINGS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}


def recognise(source: Source, file_name: str, *, limit: int) -> Reading:
    """What the file is. Raises `FileError` with the sentence for a file that can't hold rows."""
    head = _head(source.read())
    if not head:
        raise FileError(RowProblem("empty_file", "The file is empty: it has no bytes at all."))
    compression = next((name for start, name in SIGNATURES.items() if head.startswith(start)), "")
    if compression:
        head = _head(source.unpacked(compression))
    if head.startswith(b"PAR1"):
        return Reading(PARQUET, compression, columns=tuple(parquet_columns(source, compression)))
    if head.startswith(b"PK\x03\x04") and not compression and is_export(source):
        return Reading(EXPORT)
    return _text(head, source, compression, file_name, limit)


def _text(head: bytes, source: Source, compression: str, file_name: str, limit: int) -> Reading:
    has_mark = head.startswith(codecs.BOM_UTF8)
    text = head.removeprefix(codecs.BOM_UTF8)
    problem = unusable_file(head)
    if problem is not None and problem.code in ("compressed_file", "not_text", "utf16_file", "empty_file"):
        raise FileError(problem)
    start = text.lstrip()[:1]
    if start == b"[":
        return Reading(JSON, compression, has_byte_order_mark=has_mark)
    if start == b"{" and _has_sections(text):
        return Reading(JSON, compression, has_byte_order_mark=has_mark)
    if problem is not None and problem.code == "indented_json_file":
        raise FileError(problem)
    delimiter = _delimiter(text, file_name) if start != b"{" else ""
    if delimiter and (problem is not None or _ending(file_name) in _ENDINGS):
        names, _ = csv_header(source, compression, delimiter, limit=limit)
        return Reading(CSV, compression, delimiter, tuple(names), has_mark)
    if problem is not None:
        raise FileError(problem)
    return Reading(JSON_LINES, compression, has_byte_order_mark=has_mark)


def _head(chunks: Iterable[bytes]) -> bytes:
    head = bytearray()
    for chunk in chunks:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    return bytes(head[:HEAD_BYTES])


def _has_sections(text: bytes) -> bool:
    """Whether the object that the file begins with holds lists of rows: {"train": [[…], …], …}."""
    found = _SECTION.match(text)
    if found is None or found.group(1)[1:-1].decode("utf-8", "replace") in ROW_KEYS:
        return False
    first, _, rest = text.strip().partition(b"\n")
    try:
        whole = json.loads(first)
    except ValueError:
        return True  # it goes on behind the line, or behind what was read
    return not rest.strip() and ROW_KEYS.isdisjoint(whole)


def _ending(file_name: str) -> str:
    name = file_name.lower()
    for packed in (".gz", ".gzip", ".zst", ".zstd"):
        name = name.removesuffix(packed)
    return f".{name.rpartition('.')[2]}"


def _delimiter(text: bytes, file_name: str) -> str:
    """The delimiter that cuts the first lines into the same number of columns, at least two."""
    shown = text.decode("utf-8", "replace").splitlines(keepends=True)
    if len(text) >= HEAD_BYTES - len(codecs.BOM_UTF8) and len(shown) > 1:
        shown = shown[:-1]  # it may be cut
    best, most = "", 1
    for delimiter in DELIMITERS:
        try:
            rows = [
                row
                for row in itertools.islice(csv.reader(shown, delimiter=delimiter), _LINES_LOOKED_AT)
                if row
            ]
        except csv.Error:
            continue
        if not rows or len(rows[0]) < 2:
            continue
        even = sum(len(row) == len(rows[0]) for row in rows)
        if even * 2 > len(rows) and len(rows[0]) > most:
            best, most = delimiter, len(rows[0])
    return best or _ENDINGS.get(_ending(file_name), "")
