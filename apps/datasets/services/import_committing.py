"""Moving staged rows into the dataset: all in one transaction, or none."""

from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from apps.audit.services import record
from apps.core.states import transition
from apps.datasets.models import Dataset, Import, ImportState
from apps.datasets.services.apart import reporting_apart
from apps.datasets.services.imports import staged_rows_delete
from apps.operations.models import Operation, OperationState
from apps.operations.progress import Progress

LINES_A_STEP = 20_000
ANALYSE_FROM = 5_000

_INSERT = """
INSERT INTO datasets_example (
    dataset_id, source_id, line, raw, raw_is_chat, split, payload, content_hash, text, created_at
)
SELECT %(dataset)s, r.import_id, r.line, r.raw, r.raw_is_chat, r.split, r.payload, r.content_hash, r.text, %(now)s
FROM datasets_importrow r
WHERE r.import_id = %(import)s AND r.line > %(after)s AND r.line <= %(until)s {kept}
ORDER BY r.line
"""
# Steps run in the order of lines, so whatever stands in the dataset by now came before this row; what is left to
# look for is an earlier line of the same step.
_NOT_A_DUPLICATE = """
AND NOT EXISTS (
    SELECT 1 FROM datasets_example e
    WHERE e.dataset_id = %(dataset)s AND e.content_hash = r.content_hash AND e.removed_at IS NULL
)
AND r.line IN (
    SELECT min(line) FROM datasets_importrow
    WHERE import_id = %(import)s AND line > %(after)s AND line <= %(until)s
    GROUP BY content_hash
)
"""


def import_commit(*, import_record: Import, progress: Progress) -> None:
    """Add the staged rows to the dataset. Without effect on an import that is committed already."""
    if import_record.state != ImportState.COMMITTING:
        return
    progress.report(0, total=import_record.row_count, unit="rows", message="Adding the rows")
    with reporting_apart(progress) as report, transaction.atomic():
        # The lock makes two files that hold the same rows see each other.
        Dataset.objects.select_for_update().get(pk=import_record.dataset_id)
        import_record.refresh_from_db()
        if import_record.state != ImportState.COMMITTING:
            return
        added = 0
        for after in range(0, import_record.line_count, LINES_A_STEP):
            added += _add_lines(import_record, after, after + LINES_A_STEP)
            share = min(1.0, (after + LINES_A_STEP) / import_record.line_count)
            report(int(share * import_record.row_count))
        _close(import_record, added, progress)
    if added >= ANALYSE_FROM:
        _prepare_for_search()


def _prepare_for_search() -> None:
    """What autovacuum would do in a minute: new words leave the index's waiting list, and plans know of them."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT gin_clean_pending_list('example_words')")
        cursor.execute("ANALYZE datasets_example")


def import_commit_stopped(*, import_record: Import, operation: Operation) -> None:
    """After a cancelled or failed commit: nothing was added, the rows are staged as before."""
    if import_record.state != ImportState.COMMITTING:
        return
    error = operation.error
    if operation.state == OperationState.CANCELLED:
        error = "The commit was cancelled. Nothing was added."
    transition(import_record, ImportState.CHECKED, error=error)


def _add_lines(import_record: Import, after: int, until: int) -> int:
    statement = _INSERT.format(kept="" if import_record.keep_duplicates else _NOT_A_DUPLICATE)
    parameters: dict[str, Any] = {
        "dataset": import_record.dataset_id,
        "import": import_record.pk,
        "after": after,
        "until": until,
        "now": timezone.now(),
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)


def _close(import_record: Import, added: int, progress: Progress) -> None:
    progress.check()  # an attempt that was given up must not commit after all
    dataset = import_record.dataset
    Dataset.objects.filter(pk=dataset.pk).update(
        example_count=F("example_count") + added, updated_at=timezone.now()
    )
    staged_rows_delete(import_record)
    transition(import_record, ImportState.COMMITTED, committed_at=timezone.now(), added_count=added, error="")
    record(
        workspace=dataset.project.workspace,
        actor=progress.operation.actor,
        action="import.committed",
        target=import_record,
        data={"dataset": dataset.pk, "added": added, "keep_duplicates": import_record.keep_duplicates},
    )
