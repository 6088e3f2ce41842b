"""Reading an uploaded file as a stream: check every line, stage the good rows, record what is wrong with the others.

A batch and the place it ends at are stored in one transaction. So a check that was killed goes on after its last
stored batch, and no line is ever staged twice.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct

from django.conf import settings
from django.db import DataError, connection, transaction

from apps.core.formatting import format_number
from apps.core.states import transition
from apps.datasets.formats import FileError, Record, recognise
from apps.datasets.import_files import blob_of, mapping_of, records_of, source_of
from apps.datasets.mapping import RowMapping, row_of
from apps.datasets.models import Import, ImportProblem, ImportRow, ImportState
from apps.datasets.problems import EXCERPT_CHARACTERS, RowProblem, excerpt
from apps.operations.models import Operation, OperationState
from apps.operations.progress import OperationSupersededError, Progress

BATCH_ROWS = 4000
BATCH_BYTES = 8_000_000
PROBLEM_LINES_KEPT = 2000
"""Lines whose problems are kept with their text. All are counted, and all are in the file of rejected lines."""
DUPLICATES_SHOWN = 100
REPORTED_BYTES = 1000
"""Progress is counted in kB."""


@dataclass
class _Batch:
    """What was read since the last transaction, and once it is staged what came of it."""

    records: list[Record]
    rows: int = 0
    """How many passed."""
    problems: list[tuple[Record, list[RowProblem]]] = field(default_factory=list)
    empty: int = 0


def import_check(*, import_record: Import, progress: Progress) -> None:
    """Check the whole file, or the rest of it. Without effect on an import that is past checking."""
    if import_record.state in (ImportState.RECEIVED, ImportState.FAILED):
        transition(import_record, ImportState.CHECKING, error="")
    if import_record.state != ImportState.CHECKING:
        return
    total = -(-blob_of(import_record).size // REPORTED_BYTES)
    progress.report(
        import_record.checked_bytes // REPORTED_BYTES,
        total=total,
        unit="kB",
        message="Reading the file",
    )
    if not import_record.reading and _whole_file_refused(import_record):
        return
    mapping = mapping_of(import_record)
    try:
        for batch in _batches(import_record):
            _store(import_record, batch, mapping)
            progress.report(
                import_record.checked_bytes // REPORTED_BYTES,
                message=f"{format_number(import_record.row_count)} rows passed,"
                f" {format_number(import_record.problem_count)} did not",
            )
    except FileError as error:
        _broken_off(import_record, error.problem)
    progress.report(total, message="Looking for duplicates")
    _finish(import_record)


def import_check_stopped(*, import_record: Import, operation: Operation) -> None:
    """After a cancelled or failed check: what is staged stays, and the check can go on from there."""
    if import_record.state not in (ImportState.RECEIVED, ImportState.CHECKING):
        return
    error = operation.error
    if operation.state == OperationState.CANCELLED:
        error = "The check was cancelled. It can go on where it stopped."
    transition(import_record, ImportState.FAILED, error=error)


def _batches(import_record: Import) -> Iterator[_Batch]:
    """What is left of the file, in batches. What came before a place that can't be read is handed on first."""
    records = records_of(import_record, after=import_record.line_count, offset=import_record.checked_bytes)
    read: list[Record] = []
    size = 0
    try:
        for record in records:
            read.append(record)
            size += len(record.raw)
            if len(read) >= BATCH_ROWS or size >= BATCH_BYTES:
                yield _Batch(read)
                read, size = [], 0
    except FileError:
        if read:
            yield _Batch(read)
        raise
    if read:
        yield _Batch(read)


def _whole_file_refused(import_record: Import) -> bool:
    """Recognise the file, or stop at the first sight with one problem for all of it."""
    try:
        reading = recognise(
            source_of(blob_of(import_record)), import_record.file_name, limit=settings.FTPORTAL_LINE_LIMIT
        )
    except FileError as error:
        _refuse(import_record, error.problem)
        return True
    fields = {"reading": reading.as_json(), "has_byte_order_mark": reading.has_byte_order_mark}
    Import.objects.filter(pk=import_record.pk).update(**fields)
    import_record.reading = fields["reading"]
    return False


def _refuse(import_record: Import, problem: RowProblem) -> None:
    with transaction.atomic():
        ImportProblem.objects.bulk_create([_problem_row(import_record, 1, 0, problem)], ignore_conflicts=True)
        transition(
            import_record,
            ImportState.CHECKED,
            problem_count=1,
            problem_counts={problem.code: 1},
            checked_bytes=blob_of(import_record).size,
        )


def _broken_off(import_record: Import, problem: RowProblem) -> None:
    """The rest of the file can't be read. What came before stays, unless the file was a bomb."""
    with transaction.atomic():
        place = import_record.line_count + 1
        ImportProblem.objects.bulk_create(
            [_problem_row(import_record, place, None, problem)], ignore_conflicts=True
        )
        counts = Counter(import_record.problem_counts) + Counter({problem.code: 1})
        fields = {
            "problem_count": import_record.problem_count + 1,
            "problem_counts": dict(counts),
            "checked_bytes": blob_of(import_record).size,
        }
        if problem.code == "expands_too_far":
            ImportRow.objects.filter(import_record=import_record).delete()
            fields["row_count"] = 0
        Import.objects.filter(pk=import_record.pk, state=ImportState.CHECKING).update(**fields)
        for name, value in fields.items():
            setattr(import_record, name, value)


def _store(import_record: Import, batch: _Batch, mapping: RowMapping) -> None:
    """Stage the good rows of a batch and move the mark behind it, in one transaction."""
    try:
        with transaction.atomic():
            _stage(import_record, batch, batch.records, mapping)
            _advance(import_record, batch)
    except DataError:
        # The checks know everything that Postgres is known to refuse; should it refuse more, only that row is lost.
        with transaction.atomic():
            _stage_one_by_one(import_record, batch, mapping)
            _advance(import_record, batch)


_COLUMNS = ("import_id", "line", "raw", "raw_is_chat", "split", "payload", "content_hash", "text")
_bigint = Struct(">q").pack
_JSONB = b"\x01"
"""A jsonb value in binary is the number of the format, and its text."""


def _stage(import_record: Import, batch: _Batch, records: list[Record], mapping: RowMapping) -> None:
    """Check the records and stage what passes. The server stores rows while the next ones are looked at."""
    batch.rows, batch.problems, batch.empty = 0, [], 0
    key = _bigint(import_record.pk)
    statement = f"COPY datasets_importrow ({', '.join(_COLUMNS)}) FROM STDIN (FORMAT binary)"
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        for record in records:
            if record.is_empty:
                batch.empty += 1
                continue
            found = row_of(record, mapping)
            if isinstance(found, list):
                batch.problems.append((record, found))
                continue
            chat = found.chat
            raw = record.raw if found.line is None else found.line
            payload = _JSONB + (raw if found.raw_is_chat else chat.json_text.encode())
            copy.write_row(
                (
                    key,
                    _bigint(record.number),
                    raw,
                    found.raw_is_chat,
                    found.split,
                    payload,
                    chat.content_hash,
                    chat.text,
                )
            )
            batch.rows += 1


def _stage_one_by_one(import_record: Import, batch: _Batch, mapping: RowMapping) -> None:
    whole = _Batch(batch.records)
    for record in batch.records:
        try:
            with transaction.atomic():
                _stage(import_record, batch, [record], mapping)
        except DataError as error:
            refused = RowProblem(
                "refused_by_database",
                f"The database can't store the row: {str(error).splitlines()[0]}.",
                excerpt=excerpt(record.raw[: 4 * EXCERPT_CHARACTERS].decode("utf-8", "replace")),
            )
            batch.rows, batch.problems, batch.empty = 0, [(record, [refused])], 0
        whole.rows += batch.rows
        whole.problems += batch.problems
        whole.empty += batch.empty
    batch.rows, batch.problems, batch.empty = whole.rows, whole.problems, whole.empty


def _advance(import_record: Import, batch: _Batch) -> None:
    kept = max(0, PROBLEM_LINES_KEPT - import_record.problem_count)
    ImportProblem.objects.bulk_create(
        [
            _problem_row(import_record, record.number, record.offset, problem)
            for record, problems in batch.problems[:kept]
            for problem in problems
        ],
        ignore_conflicts=True,  # the same problem twice in one place says nothing more
    )
    counts = Counter(import_record.problem_counts)
    for _, problems in batch.problems:
        counts.update({problem.code for problem in problems})
    before = import_record.line_count
    fields = {
        "checked_bytes": batch.records[-1].end,
        "line_count": batch.records[-1].last,
        "empty_line_count": import_record.empty_line_count + batch.empty,
        "row_count": import_record.row_count + batch.rows,
        "problem_count": import_record.problem_count + len(batch.problems),
        "problem_counts": dict(counts),
    }
    moved = Import.objects.filter(pk=import_record.pk, state=ImportState.CHECKING, line_count=before).update(
        **fields
    )
    if not moved:
        raise OperationSupersededError  # another attempt went on from here
    for name, value in fields.items():
        setattr(import_record, name, value)


def _problem_row(import_record: Import, line: int, offset: int | None, problem: RowProblem) -> ImportProblem:
    return ImportProblem(
        import_record=import_record,
        line=line,
        byte_offset=None if offset is None else offset + (problem.byte or 0),
        path=problem.path[:200],
        code=problem.code,
        message=problem.message[:300],
        excerpt=problem.excerpt[:300],
    )


# --- Duplicates ---------------------------------------------------------------------------------------------

_COUNTS = """
SELECT count(*) FILTER (WHERE in_dataset), count(*) FILTER (WHERE NOT in_dataset AND NOT is_first)
FROM (
    SELECT EXISTS (
               SELECT 1 FROM datasets_example e
               WHERE e.dataset_id = %(dataset)s AND e.content_hash = r.content_hash AND e.removed_at IS NULL
           ) AS in_dataset,
           row_number() OVER (PARTITION BY r.content_hash ORDER BY r.line) = 1 AS is_first
    FROM (SELECT line, content_hash FROM datasets_importrow WHERE import_id = %(import)s) AS r
) AS counted
"""

_SAMPLE = """
SELECT line, CASE WHEN example_id IS NULL THEN first_line END, example_id
FROM (
    SELECT r.line,
           first_value(r.line) OVER (PARTITION BY r.content_hash ORDER BY r.line) AS first_line,
           (SELECT min(e.id) FROM datasets_example e
            WHERE e.dataset_id = %(dataset)s AND e.content_hash = r.content_hash AND e.removed_at IS NULL
           ) AS example_id
    FROM (SELECT line, content_hash FROM datasets_importrow WHERE import_id = %(import)s) AS r
) AS sampled
WHERE example_id IS NOT NULL OR first_line < line
ORDER BY line LIMIT %(limit)s
"""


def _finish(import_record: Import) -> None:
    """Count the duplicates and open the report."""
    parameters = {
        "import": import_record.pk,
        "dataset": import_record.dataset_id,
        "limit": DUPLICATES_SHOWN,
    }
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE datasets_importrow (import_id, line, content_hash)")
            cursor.execute(_COUNTS, parameters)
            in_dataset, repeated = cursor.fetchone()
            sample = []
            if in_dataset or repeated:
                cursor.execute(_SAMPLE, parameters)
                sample = [
                    {"line": line, "example": example}
                    if example is not None
                    else {"line": line, "first_line": first}
                    for line, first, example in cursor.fetchall()
                ]
        transition(
            import_record,
            ImportState.CHECKED,
            already_in_dataset=in_dataset,
            repeated_in_file=repeated,
            duplicate_sample=sample,
        )
