"""Reading Parquet as a stream of batches. A row of Parquet has no bytes of its own: its `raw` is its JSON."""

import base64
import datetime
import decimal
import json
import math
import uuid
from collections.abc import Iterator
from typing import Any

from apps.core.formatting import format_bytes, format_number
from apps.datasets.formats.records import FileError, Record
from apps.datasets.formats.source import Source
from apps.datasets.problems import RowProblem, line_too_long

BATCH_BYTES = 4_000_000
BATCH_ROWS = 1000
BATCH_MEMORY = 64_000_000
"""What the texts of a batch may take in memory."""


def read_parquet(source: Source, compression: str, *, limit: int) -> Iterator[Record]:
    """The rows in their order. Raises `FileError` on a file that is damaged or unpacks too far."""
    import pyarrow

    try:
        yield from _rows(source, compression, limit)
    except (pyarrow.ArrowException, OSError) as error:
        detail = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FileError(
            RowProblem("damaged_archive", f"The Parquet file is damaged or cut off: {detail[:150]}")
        ) from None


def parquet_columns(source: Source, compression: str) -> list[str]:
    import pyarrow
    from pyarrow import parquet

    with source.unpacked_file(compression) as file:
        try:
            return list(parquet.ParquetFile(file, pre_buffer=False).schema_arrow.names)
        except (pyarrow.ArrowException, OSError) as error:
            raise FileError(
                RowProblem("damaged_archive", f"The Parquet file is damaged or cut off: {str(error)[:150]}")
            ) from None


def _rows(source: Source, compression: str, limit: int) -> Iterator[Record]:
    from pyarrow import parquet

    with source.unpacked_file(compression) as raw_file:
        file = parquet.ParquetFile(raw_file, pre_buffer=False)
        metadata = file.metadata
        unpacked = sum(metadata.row_group(group).total_byte_size for group in range(metadata.num_row_groups))
        if unpacked > source.expansion_limit:
            raise FileError(
                RowProblem(
                    "expands_too_far",
                    f"The file unpacks to {format_bytes(unpacked)}, more than the"
                    f" {format_bytes(source.expansion_limit)} that are read. Split it.",
                )
            )
        rows_a_batch = max(1, min(BATCH_ROWS, BATCH_BYTES * metadata.num_rows // max(unpacked, 1)))
        number, written = 0, 0
        for batch in _batches(raw_file, file, rows_a_batch):
            for value in batch.to_pylist():
                number += 1
                record = _record(number, value, limit, source.size * number // metadata.num_rows)
                written += len(record.raw)
                if written > source.expansion_limit:
                    raise FileError(
                        RowProblem(
                            "expands_too_far",
                            f"The first {format_number(number)} rows unpack to more than"
                            f" {format_bytes(source.expansion_limit)}, the most that is read. Split the file.",
                        )
                    )
                yield record


def _batches(raw_file: Any, file: Any, most_rows: int) -> Iterator[Any]:
    """Batches that stay small however often a long value repeats.

    A dictionary holds each different value once, so a megabyte that stands in every row costs the file nothing, and a
    batch a megabyte a row. The dictionaries of a row group are looked at first; they say how many rows fit.
    """
    from pyarrow import parquet

    schema = file.schema
    texts = [
        schema.column(index).path
        for index in range(len(schema))
        if schema.column(index).physical_type == "BYTE_ARRAY"
    ]
    probe = parquet.ParquetFile(raw_file, read_dictionary=texts, pre_buffer=False)
    for group in range(file.metadata.num_row_groups):
        widest = _delta_bytes(file.metadata.row_group(group))
        for first in probe.iter_batches(batch_size=1, row_groups=[group]):
            widest += sum(_widest(column) for column in first.columns)
            break
        rows = max(1, min(most_rows, BATCH_MEMORY // max(widest, 1)))
        yield from file.iter_batches(batch_size=rows, row_groups=[group])


def _delta_bytes(group: Any) -> int:
    """Of columns whose values repeat the start of the one before: what a value may grow to."""
    columns = (group.column(index) for index in range(group.num_columns))
    return sum(column.total_uncompressed_size for column in columns if "DELTA_BYTE_ARRAY" in column.encodings)


def _widest(array: Any) -> int:
    """Bytes of the longest value in any dictionary inside the array."""
    import pyarrow
    from pyarrow import compute

    if isinstance(array, pyarrow.DictionaryArray):
        return compute.max(compute.binary_length(array.dictionary)).as_py() or 0
    if isinstance(array, pyarrow.StructArray):
        return sum(_widest(array.field(index)) for index in range(array.type.num_fields))
    if isinstance(array, pyarrow.MapArray):
        return _widest(array.keys) + _widest(array.items)
    if isinstance(array, pyarrow.ListArray | pyarrow.LargeListArray | pyarrow.FixedSizeListArray):
        return _widest(array.values)
    return 0


def _record(number: int, value: dict[str, Any], limit: int, end: int) -> Record:
    columns = {name: plain(item) for name, item in value.items() if item is not None}
    raw = json.dumps(columns, ensure_ascii=False).encode("utf-8", "surrogatepass")
    over = len(raw) > limit
    return Record(
        number=number,
        raw=raw,
        last=number,
        end=end,
        value=columns,
        length=len(raw),
        problem=line_too_long(len(raw), limit, raw[:200]) if over else None,
        over_limit=over,
    )


def plain(value: Any) -> Any:  # noqa: PLR0911 - one line a type
    """The value as JSON. A struct gives every row all its fields, so those that are null are left out."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {str(name): plain(item) for name, item in value.items() if item is not None}
        case list():
            if value and all(isinstance(item, tuple) and len(item) == 2 for item in value):  # a map
                return {str(name): plain(item) for name, item in value}
            return [plain(item) for item in value]
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case bytes():
            try:
                return value.decode("utf-8")
            except UnicodeDecodeError:
                return base64.b64encode(value).decode()
        case decimal.Decimal() | datetime.timedelta() | uuid.UUID():
            return str(value)
        case _:
            return str(value)
