"""Rows that another part of the product rewrites, each in its own way, and rows that it adds: as one change each."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import record
from apps.datasets.chat_lines import chat_line, made_payload
from apps.datasets.chat_rows import ChatRow, check_row
from apps.datasets.models import Change, ChangeAction, ChangeRow, ChangeState, Dataset, Example
from apps.datasets.row_edits import Edit, encoded
from apps.datasets.services.bulk_edits import BATCH, Report, store_forms
from apps.datasets.services.rows import next_form


@dataclass(frozen=True)
class Rewritten:
    """What became of the rows. `gone`: forms that do not stand any more, as somebody edited or removed them."""

    change: Change | None
    changed: int
    refused: int
    gone: int


def rows_rewrite(
    *,
    dataset: Dataset,
    edits: Mapping[int, Edit],
    parameters: dict[str, Any],
    actor: User | None,
    report: Report | None = None,
) -> Rewritten:
    """Edit each of these forms in its own way; together they can be looked at and undone.

    A row that would not pass the checks of an import stays as it was. Call it in a transaction that holds the dataset.
    """
    change = _change(dataset, ChangeAction.EDIT, parameters, actor)
    ids = sorted(edits)
    changed = refused = seen = 0
    for start in range(0, len(ids), BATCH):
        forms, standing, broken = _edited(ids[start : start + BATCH], edits, change)
        store_forms(change, forms)
        changed += len(forms)
        seen += standing
        refused += broken
        if report is not None:
            report(start + standing)
    return Rewritten(_finish(change, dataset, changed), changed, refused, len(ids) - seen)


def rows_add(
    *, dataset: Dataset, rows: Iterable[Mapping[str, Any]], parameters: dict[str, Any], actor: User | None
) -> Rewritten:
    """Add these rows at the end, leaving out those that stand there already."""
    with transaction.atomic():
        locked = Dataset.objects.select_for_update().get(pk=dataset.pk)
        change = _change(locked, ChangeAction.ADD, parameters, actor)
        checked = [(encoded(row), check_row(encoded(row))) for row in rows]
        found = {row.content_hash: (raw, row) for raw, row in checked if isinstance(row, ChatRow)}
        standing = set(
            Example.objects.filter(dataset=locked, removed_at=None, content_hash__in=found).values_list(
                "content_hash", flat=True
            )
        )
        added = [
            Example(
                dataset=locked,
                raw=raw,
                payload=row.payload,
                content_hash=row.content_hash,
                text=row.text,
                created_by=actor,
            )
            for key, (raw, row) in found.items()
            if key not in standing
        ]
        stored = Example.objects.bulk_create(added, batch_size=BATCH)
        ChangeRow.objects.bulk_create(
            [ChangeRow(change=change, after_id=example.pk) for example in stored], batch_size=BATCH
        )
        Dataset.objects.filter(pk=locked.pk).update(
            example_count=locked.example_count + len(stored), updated_at=timezone.now()
        )
        refused = sum(not isinstance(row, ChatRow) for _, row in checked)
        return Rewritten(_finish(change, locked, len(stored)), len(stored), refused, len(standing))


def _edited(ids: Sequence[int], edits: Mapping[int, Edit], change: Change) -> tuple[list[Example], int, int]:
    """New forms, how many of the rows stand, and how many the edit would have broken."""
    forms, standing, broken = [], 0, 0
    rows = Example.objects.select_for_update(of=("self",)).filter(
        pk__in=ids, dataset=change.dataset_id, removed_at=None
    )
    for old in rows.annotate(made=made_payload()).defer("payload", "text", "words").order_by("key"):
        standing += 1
        edited = edits[old.pk](msgspec.json.decode(chat_line(old.raw, old.made)))
        if edited is None:
            continue
        raw = encoded(edited)
        row = check_row(raw)
        if isinstance(row, ChatRow):
            forms.append(next_form(old, raw, row, change.created_by))
        else:
            broken += 1
    return forms, standing, broken


def _change(dataset: Dataset, action: str, parameters: dict[str, Any], actor: User | None) -> Change:
    return Change.objects.create(
        dataset=dataset, action=action, state=ChangeState.DONE, parameters=parameters, created_by=actor
    )


def _finish(change: Change, dataset: Dataset, count: int) -> Change | None:
    if not count:
        change.delete()
        return None
    Change.objects.filter(pk=change.pk).update(row_count=count)
    Dataset.objects.filter(pk=dataset.pk).update(updated_at=timezone.now())
    record(
        workspace=dataset.project.workspace,
        actor=change.created_by,
        action="rows.changed",
        target=dataset,
        data={"change": change.pk, "action": change.action, "row_count": count} | change.parameters,
    )
    return change
