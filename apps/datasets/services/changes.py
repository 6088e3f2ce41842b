"""Changes of many rows at once: asked for, carried out in the background in one transaction, undone as one."""

from typing import Any

from django.db import connection, transaction
from django.http import QueryDict
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import ConflictError, PortalError
from apps.core.states import transition
from apps.datasets.models import Change, ChangeAction, ChangeRow, ChangeState, Dataset, Version, VersionState
from apps.datasets.row_filters import RowFilter
from apps.datasets.row_finding import Where, rows_of
from apps.datasets.services.apart import reporting_apart
from apps.datasets.services.bulk_edits import Report, edit_rows
from apps.datasets.services.rows import tag_name, tag_names_add
from apps.operations.models import Operation, OperationState
from apps.operations.progress import Progress
from apps.operations.services import operation_start

CHANGE_KIND = "datasets.change_rows"
BULK_ACTIONS = (
    ChangeAction.REPLACE,
    ChangeAction.SET_SYSTEM,
    ChangeAction.STRIP_SYSTEM,
    ChangeAction.TAG,
    ChangeAction.UNTAG,
    ChangeAction.REMOVE,
    ChangeAction.BRING_BACK,
)
ANALYSE_FROM = 5_000


# --- What a person asks for ---------------------------------------------------------------------------------


def change_request(
    *, dataset: Dataset, action: str, wanted: RowFilter, parameters: dict[str, Any] | None = None, actor: User
) -> Change:
    """Queue an action on all rows that fit the filter by then."""
    parameters = dict(parameters or {})
    if action not in BULK_ACTIONS:
        raise PortalError("Choose what to do with the rows.", code="bad_action")
    if wanted.removed != (action == ChangeAction.BRING_BACK):
        raise PortalError("Removed rows can be brought back, and nothing else can be done with them.")
    if action in (ChangeAction.TAG, ChangeAction.UNTAG):
        parameters["tag"] = tag_name(str(parameters.get("tag", "")))
    parameters |= {"filter": wanted.query, "rows": wanted.description}
    return _request(dataset, action, parameters, actor)


def merge_request(*, dataset: Dataset, other: Dataset, keep_duplicates: bool, actor: User) -> Change:
    """Queue taking the rows that stand in another dataset of the project into this one."""
    if other.pk == dataset.pk or other.project_id != dataset.project_id:
        raise PortalError("Choose another dataset of this project.", code="bad_dataset")
    if not other.example_count:
        raise ConflictError(f"“{other.name}” has no rows to merge.")
    parameters = {"other": other.pk, "name": other.name, "keep_duplicates": keep_duplicates}
    return _request(dataset, ChangeAction.MERGE, parameters, actor)


def restore_request(*, version: Version, actor: User) -> Change:
    """Queue making the dataset hold what this version holds. The next freezing makes a new version of it."""
    if version.state != VersionState.FROZEN:
        raise ConflictError(f"{version} was never frozen, so there is nothing to restore.")
    parameters = {"version": version.pk, "number": version.number}
    return _request(version.dataset, ChangeAction.RESTORE, parameters, actor)


def change_undo_request(*, change: Change, actor: User) -> None:
    """Queue putting back what the change took away, and taking away what it put there."""
    if change.state != ChangeState.DONE:
        raise ConflictError(
            f"This change is “{change.get_state_display().lower()}”, so it can't be undone now."
        )
    with transaction.atomic():
        transition(change, ChangeState.UNDOING, undone_by=actor, error="")
        _start(change, f"Undo: {change}", actor)


def change_again(*, change: Change, actor: User) -> None:
    """Queue a change again that failed or was cancelled; nothing of it was done."""
    with transaction.atomic():
        transition(change, ChangeState.WAITING, error="")
        _start(change, str(change), actor)


def _request(dataset: Dataset, action: str, parameters: dict[str, Any], actor: User) -> Change:
    with transaction.atomic():
        change = Change.objects.create(
            dataset=dataset, action=action, parameters=parameters, created_by=actor
        )
        _start(change, str(change), actor)
    return change


def _start(change: Change, title: str, actor: User) -> None:
    operation_start(
        workspace=change.dataset.project.workspace,
        kind=CHANGE_KIND,
        subject=change,
        title=title,
        actor=actor,
        url=change.get_absolute_url(),
    )


# --- What the worker does -----------------------------------------------------------------------------------


def change_run(*, change: Change, progress: Progress) -> None:
    """Carry out the change, or undo it. Without effect on one that is done."""
    if change.state not in (ChangeState.WAITING, ChangeState.UNDOING):
        return
    is_undoing = change.state == ChangeState.UNDOING
    with reporting_apart(progress) as report, transaction.atomic():
        # The lock keeps an import and another change of the same dataset out until this one has ended.
        Dataset.with_deleted.select_for_update().get(pk=change.dataset_id)
        change.refresh_from_db()
        if change.state not in (ChangeState.WAITING, ChangeState.UNDOING):
            return
        counts = _undo(change, report) if is_undoing else _apply(change, report)
        progress.check()  # an attempt that was given up must not change anything after all
        _count_rows(change.dataset_id)
        fields = counts | ({"undone_at": timezone.now()} if is_undoing else {})
        transition(change, ChangeState.UNDONE if is_undoing else ChangeState.DONE, error="", **fields)
        record(
            workspace=change.dataset.project.workspace,
            actor=progress.operation.actor,
            action="rows.change_undone" if is_undoing else "rows.changed",
            target=change.dataset,
            data={"change": change.pk, "action": change.action} | change.parameters | counts,
        )
    if change.row_count >= ANALYSE_FROM:
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE datasets_example")


def change_stopped(*, change: Change, operation: Operation) -> None:
    """After a cancelled or failed change: all rows are as they were before it."""
    error = operation.error
    if operation.state == OperationState.CANCELLED:
        error = "It was cancelled. No row was changed."
    if change.state == ChangeState.WAITING:
        transition(change, ChangeState.FAILED, error=error)
    elif change.state == ChangeState.UNDOING:
        transition(change, ChangeState.DONE, error=error, undone_by=None)


def _apply(change: Change, report: Report) -> dict[str, int]:
    parameters = change.parameters
    if change.action == ChangeAction.MERGE:
        return {"row_count": _merge(change)}
    if change.action == ChangeAction.RESTORE:
        return {"row_count": _restore(change)}
    wanted = RowFilter.of(QueryDict(parameters["filter"]))
    if change.action == ChangeAction.REMOVE:
        return {"row_count": _update(change, wanted, "removed_at = now()", before=True)}
    if change.action == ChangeAction.BRING_BACK:
        return {"row_count": _update(change, wanted, "removed_at = NULL", after=True)}
    if change.is_tagging:
        return {"row_count": _tag(change, wanted, parameters["tag"])}
    return edit_rows(change, wanted, report)


def _update(
    change: Change,
    wanted: RowFilter,
    assignment: str,
    *values: Any,
    before: bool = False,
    after: bool = False,
    only: Where | None = None,
) -> int:
    """Change all rows of the filter by one statement, and note each; how many there were."""
    rows = rows_of(change.dataset, wanted)
    where = [*rows.inside.parts, *rows.rest.parts, *(only.parts if only else [])]
    statement = f"""
        WITH touched AS (
            UPDATE {rows.table} SET {assignment} WHERE {" AND ".join(f"({part})" for part in where)} RETURNING e.id
        )
        INSERT INTO datasets_changerow (change_id, before_id, after_id)
        SELECT %s, {"id" if before else "NULL"}, {"id" if after else "NULL"} FROM touched
    """  # noqa: S608 - all parts are written in this file and in row_finding
    return _run(
        statement,
        [*values, *rows.inside.values, *rows.rest.values, *(only.values if only else []), change.pk],
    )


def _tag(change: Change, wanted: RowFilter, tag: str) -> int:
    only = Where()
    if change.action == ChangeAction.TAG:
        only.add("NOT e.tags @> ARRAY[%s]::varchar[]", tag)
        tag_names_add(change.dataset, [tag])
        return _update(
            change, wanted, "tags = array_append(tags, %s)", tag, before=True, after=True, only=only
        )
    only.add("e.tags @> ARRAY[%s]::varchar[]", tag)
    return _update(change, wanted, "tags = array_remove(tags, %s)", tag, before=True, after=True, only=only)


_MERGE = """
WITH added AS (
    INSERT INTO datasets_example
        (dataset_id, source_id, line, split, tags, raw, raw_is_chat, payload, content_hash, text,
         created_at, created_by_id)
    SELECT %(dataset)s, source_id, line, split, tags, raw, raw_is_chat, payload, content_hash, text,
           now(), created_by_id
    FROM (
        SELECT e.*, row_number() OVER (PARTITION BY content_hash ORDER BY key) AS nth
        FROM datasets_example e WHERE dataset_id = %(other)s AND removed_at IS NULL
    ) AS o
    WHERE %(keep)s OR (nth = 1 AND NOT EXISTS (
        SELECT 1 FROM datasets_example e
        WHERE e.dataset_id = %(dataset)s AND e.content_hash = o.content_hash AND e.removed_at IS NULL
    ))
    ORDER BY o.key
    RETURNING id
)
INSERT INTO datasets_changerow (change_id, after_id) SELECT %(change)s, id FROM added
"""


def _merge(change: Change) -> int:
    other = Dataset.objects.filter(pk=change.parameters["other"], project=change.dataset.project_id).first()
    if other is None:
        raise ConflictError(f"“{change.parameters['name']}” is gone. Nothing was merged.")
    tag_names_add(change.dataset, other.tag_names)
    return _run(
        _MERGE,
        {
            "dataset": change.dataset_id,
            "other": other.pk,
            "keep": bool(change.parameters["keep_duplicates"]),
            "change": change.pk,
        },
    )


_RESTORE = (
    """
    WITH gone AS (
        UPDATE datasets_example e SET removed_at = now()
        WHERE e.dataset_id = %(dataset)s AND e.removed_at IS NULL AND NOT EXISTS (
            SELECT 1 FROM datasets_versionrow v WHERE v.version_id = %(version)s AND v.example_id = e.id
        )
        RETURNING e.id
    )
    INSERT INTO datasets_changerow (change_id, before_id) SELECT %(change)s, id FROM gone
    """,
    """
    WITH back AS (
        UPDATE datasets_example e SET removed_at = NULL FROM datasets_versionrow v
        WHERE v.version_id = %(version)s AND v.example_id = e.id AND e.removed_at IS NOT NULL
        RETURNING e.id
    )
    INSERT INTO datasets_changerow (change_id, after_id) SELECT %(change)s, id FROM back
    """,
)


def _restore(change: Change) -> int:
    values = {
        "dataset": change.dataset_id,
        "version": change.parameters["version"],
        "change": change.pk,
    }
    return sum(_run(statement, values) for statement in _RESTORE)


# --- Undoing ------------------------------------------------------------------------------------------------

# A row that was changed again since then is left alone: what stands there now is newer than what would come back.
_TAKE_AWAY = """
UPDATE datasets_example e SET removed_at = now() FROM datasets_changerow c
WHERE c.change_id = %(change)s AND c.after_id = e.id AND e.removed_at IS NULL
"""
_FORGET_CHANGED = """
CREATE TEMPORARY TABLE undoable ON COMMIT DROP AS
SELECT c.before_id, c.after_id FROM datasets_changerow c LEFT JOIN datasets_example a ON a.id = c.after_id
WHERE c.change_id = %(change)s AND (c.after_id IS NULL OR a.removed_at IS NULL)
"""
_BRING_BACK = """
UPDATE datasets_example e SET removed_at = NULL FROM undoable u
WHERE u.before_id = e.id AND e.removed_at IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM datasets_example s
    WHERE s.dataset_id = e.dataset_id AND s.key = e.key AND s.removed_at IS NULL
)
"""
_TAGS = {
    ChangeAction.TAG: "array_remove(e.tags, %(tag)s)",
    ChangeAction.UNTAG: "array_append(array_remove(e.tags, %(tag)s), %(tag)s)",
}


def _undo(change: Change, report: Report) -> dict[str, int]:
    rows = ChangeRow.objects.filter(change=change).count()
    report(0, total=rows, unit="rows", message="Putting the rows back")
    if change.is_tagging:
        return {"kept_count": rows - _undo_tags(change)}
    values = {"change": change.pk}
    _run(_FORGET_CHANGED, values)
    taken = _run(_TAKE_AWAY, values)
    back = _run(_BRING_BACK, {})
    both = _run("SELECT 1 FROM undoable WHERE before_id IS NOT NULL AND after_id IS NOT NULL", {})
    _run("DROP TABLE undoable", {})
    return {"kept_count": max(0, rows - (taken + back - both))}


def _undo_tags(change: Change) -> int:
    parameters = change.parameters
    values = {"change": change.pk, **parameters}
    if "tag" in parameters:
        tags, condition = _TAGS[ChangeAction(change.action)], "true"
    else:  # those of a single row, set by hand
        tags, condition = "%(old)s::varchar[]", "e.tags = %(new)s::varchar[]"
    return _run(
        f"""
        UPDATE datasets_example e SET tags = {tags} FROM datasets_changerow c
        WHERE c.change_id = %(change)s AND c.before_id = e.id AND {condition} AND e.removed_at IS NULL
        """,  # noqa: S608
        values,
    )


def _run(statement: str, values: Any) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return int(cursor.rowcount)


def _count_rows(dataset_id: int) -> None:
    _run(
        """
        UPDATE datasets_dataset SET updated_at = now(), example_count = (
            SELECT count(*) FROM datasets_example WHERE dataset_id = %(dataset)s AND removed_at IS NULL
        ) WHERE id = %(dataset)s
        """,
        {"dataset": dataset_id},
    )
