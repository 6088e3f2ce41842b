"""Editing the messages of many rows: each is read, changed, checked like a row of an import, stored as a new form."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
from django.db import connection
from django.db.models import F
from django.utils import timezone

from apps.accounts.models import User
from apps.core.errors import ConflictError
from apps.core.formatting import format_number
from apps.datasets.chat_lines import chat_line, made_payload
from apps.datasets.chat_rows import ChatRow, check_row
from apps.datasets.models import Change, ChangeAction, ChangeRow, ChangeState, Dataset, Example
from apps.datasets.row_edits import Edit, edit_of, encoded
from apps.datasets.row_filters import RowFilter
from apps.datasets.row_finding import Rows, ids_of, rows_of
from apps.datasets.services.rows import next_form

BATCH = 500
SAMPLE_READS = 2000

Report = Callable[..., None]


def silent(*_: object, **__: object) -> None:
    """A report to nobody."""


def edit_rows(change: Change, wanted: RowFilter, report: Report) -> dict[str, int]:
    """Apply the change's edit to every row of the filter; counts of changed, skipped and refused rows."""
    rows = _candidates(change, wanted)
    ids = ids_of(rows)
    edit = edit_of(change.action, change.parameters)
    changed = refused = 0
    report(0, total=len(ids), unit="rows", message="Changing the rows")
    for start in range(0, len(ids), BATCH):
        forms, broken = _edited(list(ids[start : start + BATCH]), edit, change)
        refused += broken
        changed += len(forms)
        store_forms(change, forms)
        report(start + len(forms))
    return {"row_count": changed, "skipped_count": len(ids) - changed, "refused_count": refused}


def clean_rows(
    *,
    dataset: Dataset,
    ids: Sequence[int],
    edit: Edit | None,
    parameters: dict[str, Any],
    actor: User,
    report: Report = silent,
) -> int:
    """Remove these forms, or put edited ones in their place, at once; how many rows that were.

    Like any other change it can be looked at and undone. Call it in a transaction that holds the dataset.
    """
    change = Change.objects.create(
        dataset=dataset,
        action=ChangeAction.REMOVE if edit is None else ChangeAction.REDACT,
        state=ChangeState.DONE,
        parameters=parameters,
        created_by=actor,
    )
    changed = 0
    for start in range(0, len(ids), BATCH):
        report(start, total=len(ids))
        part = list(ids[start : start + BATCH])
        if edit is None:
            changed += _remove(change, part)
            continue
        forms, broken = _edited(part, edit, change)
        if broken:
            raise ConflictError(
                f"{format_number(broken)} of these rows would not pass the checks of an import afterwards, so nothing"
                " was changed. Edit them by hand, and clean up the others.",
                code="rows_would_break",
            )
        store_forms(change, forms)
        changed += len(forms)
    report(len(ids), force=True)
    if changed:
        Change.objects.filter(pk=change.pk).update(row_count=changed)
        removed = changed if edit is None else 0
        Dataset.objects.filter(pk=dataset.pk).update(
            example_count=F("example_count") - removed, updated_at=timezone.now()
        )
    else:
        change.delete()
    return changed


def _remove(change: Change, ids: list[int]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH gone AS (
                UPDATE datasets_example SET removed_at = now()
                WHERE id = ANY(%s) AND removed_at IS NULL RETURNING id
            )
            INSERT INTO datasets_changerow (change_id, before_id) SELECT %s, id FROM gone
            """,
            [ids, change.pk],
        )
        return int(cursor.rowcount)


def edit_sample(
    change: Change, wanted: RowFilter, *, limit: int
) -> list[tuple[Example, dict[str, Any], bool]]:
    """The first rows that the edit would change: the row, what would come out, whether that would pass the checks."""
    edit = edit_of(change.action, change.parameters)
    found: list[tuple[Example, dict[str, Any], bool]] = []
    for example in _first_rows(_candidates(change, wanted)):
        edited = edit(msgspec.json.decode(chat_line(example.raw, example.made)))
        if edited is not None:
            passes = isinstance(check_row(encoded(edited)), ChatRow)
            found.append((example, edited, passes))
        if len(found) == limit:
            break
    return found


def candidates_count(change: Change, wanted: RowFilter) -> int:
    """How many rows the edit has to look at."""
    return _candidates(change, wanted).count()


def _candidates(change: Change, wanted: RowFilter) -> Rows:
    rows = rows_of(change.dataset, wanted)
    rows.rest.add("e.payload ? 'messages'")
    if change.action == ChangeAction.REPLACE:
        # What is in one message is in all of them joined.
        rows.rest.add("strpos(e.text, %s) > 0", change.parameters["find"])
    return rows


def _first_rows(rows: Rows) -> Iterator[Any]:
    """Examples with `made` beside: see `made_payload`."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH hits AS MATERIALIZED (
                SELECT e.id, {rows.place} AS place FROM {rows.table}
                WHERE {rows.inside.sql} AND {rows.rest.sql} LIMIT {SAMPLE_READS}
            )
            SELECT id FROM hits ORDER BY place
            """,  # noqa: S608
            [*rows.inside.values, *rows.rest.values],
        )
        ids = [row[0] for row in cursor.fetchall()]
    for start in range(0, len(ids), 50):
        batch = Example.objects.filter(pk__in=ids[start : start + 50]).annotate(made=made_payload())
        yield from batch.defer("payload", "text", "words").order_by("key")


def _edited(ids: list[int], edit: Edit, change: Change) -> tuple[list[Example], int]:
    """New forms of those of the rows that the edit changes, and how many it would have broken."""
    forms, broken = [], 0
    # Locked, and looked at again: somebody may have edited one by hand a moment ago.
    standing = Example.objects.select_for_update(of=("self",)).filter(pk__in=ids, removed_at=None)
    for old in standing.annotate(made=made_payload()).defer("payload", "text", "words").order_by("key"):
        edited = edit(msgspec.json.decode(chat_line(old.raw, old.made)))
        if edited is None:
            continue
        raw = encoded(edited)
        row = check_row(raw)
        if isinstance(row, ChatRow):
            forms.append(next_form(old, raw, row, change.created_by))
        else:
            broken += 1
    return forms, broken


def store_forms(change: Change, forms: list[Example]) -> None:
    """Put these forms in the place of what they replace, noted as part of the change."""
    Example.objects.filter(pk__in=[form.replaces_id for form in forms]).update(removed_at=timezone.now())
    stored = Example.objects.bulk_create(forms)
    ChangeRow.objects.bulk_create(
        [ChangeRow(change=change, before_id=form.replaces_id, after_id=form.pk) for form in stored]
    )
