"""Reading an uploaded file as a stream: check every line, stage the good rows, record what is wrong with the others.

A batch and the place it ends at are stored in one transaction. So a check that was killed goes on after its last
stored batch, and no line is ever staged twice.
"""

import codecs
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from django.conf import settings
from django.db import DataError, connection, transaction

from apps.artifacts.storage import blob_read
from apps.core.formatting import format_bytes
from apps.core.states import transition
from apps.datasets.chat_rows import ChatRow, check_row
from apps.datasets.file_kinds import HEAD_BYTES, unusable_file
from apps.datasets.line_reader import Line, read_lines
from apps.datasets.models import Import, ImportProblem, ImportState
from apps.datasets.problems import RowProblem, excerpt
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
    """What was read since the last transaction."""

    rows: list[tuple[int, bytes, ChatRow]] = field(default_factory=list)
    problems: list[tuple[Line, list[RowProblem]]] = field(default_factory=list)
    size: int = 0
    lines: int = 0
    empty: int = 0
    end: int = 0

    @property
    def is_full(self) -> bool:
        return self.lines >= BATCH_ROWS or self.size >= BATCH_BYTES


def import_check(*, import_record: Import, progress: Progress) -> None:
    """Check the whole file, or the rest of it. Without effect on an import that is past checking."""
    if import_record.state in (ImportState.RECEIVED, ImportState.FAILED):
        transition(import_record, ImportState.CHECKING, error="")
    if import_record.state != ImportState.CHECKING:
        return
    total = import_record.blob.size
    progress.report(
        import_record.checked_bytes // REPORTED_BYTES,
        total=-(-total // REPORTED_BYTES),
        unit="kB",
        message="Reading the file",
    )
    if import_record.checked_bytes == 0 and _whole_file_refused(import_record):
        return
    for batch in _batches(import_record):
        _store(import_record, batch)
        progress.report(
            import_record.checked_bytes // REPORTED_BYTES,
            message=f"{import_record.row_count:,} rows passed, {import_record.problem_count:,} lines did not",
        )
    progress.report(total // REPORTED_BYTES, message="Looking for duplicates")
    _finish(import_record)


def import_check_stopped(*, import_record: Import, operation: Operation) -> None:
    """After a cancelled or failed check: what is staged stays, and the check can go on from there."""
    if import_record.state not in (ImportState.RECEIVED, ImportState.CHECKING):
        return
    error = operation.error
    if operation.state == OperationState.CANCELLED:
        error = "The check was cancelled. It can go on where it stopped."
    transition(import_record, ImportState.FAILED, error=error)


def import_rejected_lines(*, import_record: Import) -> Iterator[bytes]:
    """Every line that did not pass, as received, checked anew from the file; lines over the limit come whole."""
    head = next(blob_read(import_record.blob), b"")[:HEAD_BYTES]
    if unusable_file(head) is not None:
        yield from blob_read(import_record.blob)
        return
    for line in checked_lines(import_record):
        if line.over_limit:
            yield from _whole_line(import_record, line)
        elif line.data.strip() and not isinstance(check_row(line.data), ChatRow):
            yield line.data + b"\n"


def _whole_line(import_record: Import, line: Line) -> Iterator[bytes]:
    left = line.length
    for chunk in blob_read(import_record.blob, offset=line.offset):
        yield chunk[:left]
        left -= len(chunk)
        if left <= 0:
            break
    yield b"\n"


def checked_lines(import_record: Import, *, offset: int = 0, line_number: int = 0) -> Iterator[Line]:
    """The lines of the file from a place on, a byte order mark at its start left out."""
    limit = settings.FTPORTAL_LINE_LIMIT
    chunks = blob_read(import_record.blob, offset=offset)
    for line in read_lines(chunks, limit=limit, offset=offset, line_number=line_number):
        if line.offset == 0 and line.data.startswith(codecs.BOM_UTF8):
            size = len(codecs.BOM_UTF8)
            yield Line(line.number, size, line.data[size:], line.length - size, line.end, line.over_limit)
        else:
            yield line


def checked(line: Line) -> ChatRow | list[RowProblem]:
    """The row of a line or its problems; a pure function of the line and the limit."""
    if line.over_limit:
        return [
            RowProblem(
                "line_too_long",
                f"The line is {format_bytes(line.length)} long; the limit is"
                f" {format_bytes(settings.FTPORTAL_LINE_LIMIT)} a line.",
                excerpt=excerpt(line.data.decode("utf-8", "replace")),
            )
        ]
    return check_row(line.data)


def _batches(import_record: Import) -> Iterator[_Batch]:
    batch = _Batch()
    for line in checked_lines(
        import_record, offset=import_record.checked_bytes, line_number=import_record.line_count
    ):
        batch.lines += 1
        batch.end = line.end
        batch.size += len(line.data)
        if not line.data.strip() and not line.over_limit:
            batch.empty += 1
        else:
            found = checked(line)
            if isinstance(found, ChatRow):
                batch.rows.append((line.number, line.data, found))
            else:
                batch.problems.append((line, found))
        if batch.is_full:
            yield batch
            batch = _Batch()
    if batch.lines:
        yield batch


def _whole_file_refused(import_record: Import) -> bool:
    """Stop at the first sight of a file of another kind, with one problem for all of it."""
    head = next(blob_read(import_record.blob), b"")[:HEAD_BYTES]
    problem = unusable_file(head)
    has_mark = head.startswith(codecs.BOM_UTF8)
    if problem is None:
        Import.objects.filter(pk=import_record.pk).update(has_byte_order_mark=has_mark)
        return False
    with transaction.atomic():
        ImportProblem.objects.bulk_create([_problem_row(import_record, 1, 0, problem)], ignore_conflicts=True)
        transition(
            import_record,
            ImportState.CHECKED,
            problem_count=1,
            problem_counts={problem.code: 1},
            has_byte_order_mark=has_mark,
            checked_bytes=import_record.blob.size,
        )
    return True


def _store(import_record: Import, batch: _Batch) -> None:
    """Stage a batch and move the mark behind it, in one transaction."""
    try:
        with transaction.atomic():
            _copy(import_record, batch.rows)
            _advance(import_record, batch)
    except DataError:
        # The checks know everything that Postgres is known to refuse; should it refuse more, only that row is lost.
        batch = _without_refused(import_record, batch)
        with transaction.atomic():
            _copy(import_record, batch.rows)
            _advance(import_record, batch)


def _copy(import_record: Import, rows: list[tuple[int, bytes, ChatRow]]) -> None:
    if not rows:
        return
    statement = "COPY datasets_importrow (import_id, line, raw, payload, content_hash, text) FROM STDIN"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for number, data, row in rows:
            copy.write_row((import_record.pk, number, data, row.json_text, row.content_hash, row.text))


def _advance(import_record: Import, batch: _Batch) -> None:
    kept = max(0, PROBLEM_LINES_KEPT - import_record.problem_count)
    ImportProblem.objects.bulk_create(
        [
            _problem_row(import_record, line.number, line.offset, problem)
            for line, problems in batch.problems[:kept]
            for problem in problems
        ],
        ignore_conflicts=True,  # the same problem twice in one place says nothing more
    )
    counts = Counter(import_record.problem_counts)
    for _, problems in batch.problems:
        counts.update({problem.code for problem in problems})
    before = import_record.checked_bytes
    fields = {
        "checked_bytes": batch.end,
        "line_count": import_record.line_count + batch.lines,
        "empty_line_count": import_record.empty_line_count + batch.empty,
        "row_count": import_record.row_count + len(batch.rows),
        "problem_count": import_record.problem_count + len(batch.problems),
        "problem_counts": dict(counts),
    }
    moved = Import.objects.filter(
        pk=import_record.pk, state=ImportState.CHECKING, checked_bytes=before
    ).update(**fields)
    if not moved:
        raise OperationSupersededError  # another attempt went on from here
    for name, value in fields.items():
        setattr(import_record, name, value)


def _without_refused(import_record: Import, batch: _Batch) -> _Batch:
    accepted = []
    for number, data, row in batch.rows:
        try:
            with transaction.atomic():
                _copy(import_record, [(number, data, row)])
                transaction.set_rollback(True)
            accepted.append((number, data, row))
        except DataError as error:
            problem = RowProblem(
                "refused_by_database",
                f"The database can't store the row: {str(error).splitlines()[0]}.",
                excerpt=excerpt(row.json_text),
            )
            # The offset of a single line is known only to the reader; its number is what a person looks for.
            batch.problems.append((Line(number, batch.end, b"", len(data), batch.end), [problem]))
    batch.rows = accepted
    batch.problems.sort(key=lambda found: found[0].number)
    return batch


def _problem_row(import_record: Import, line: int, offset: int, problem: RowProblem) -> ImportProblem:
    return ImportProblem(
        import_record=import_record,
        line=line,
        byte_offset=offset + (problem.byte or 0),
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
