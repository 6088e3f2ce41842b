"""What differs between two versions, or between a version and the dataset as it stands, worked out by the database.

Rows are told apart by their key first: a form that was replaced by another is a changed row. What is left over on both
sides is matched by content, so that rows which were removed and imported again are not taken for new ones.
"""

from typing import Any

from django.db import connection, transaction

from apps.core.errors import ConflictError, PortalError
from apps.datasets.models import Version, VersionDiff, VersionState
from apps.datasets.selectors_checks import head_mark

_OF_VERSION = "SELECT example_id, position, split FROM datasets_versionrow WHERE version_id = %s"
_OF_HEAD = """
SELECT id AS example_id, key AS position, NULL::varchar AS split FROM datasets_example
WHERE dataset_id = %s AND removed_at IS NULL
"""

# One pass over both sides; all that follows looks only at what differs.
_TOUCHED = """
CREATE TEMPORARY TABLE touched ON COMMIT DROP AS
SELECT a.example_id AS before_id, b.example_id AS after_id, a.split AS split_before, b.split AS split_after,
       coalesce(b.position, a.position) AS position
FROM ({before}) AS a FULL JOIN ({after}) AS b ON a.example_id = b.example_id
WHERE a.example_id IS NULL OR b.example_id IS NULL OR a.split <> b.split
"""
_GONE = """
CREATE TEMPORARY TABLE {name} ON COMMIT DROP AS
SELECT e.id, t.position, t.{split} AS split, e.key, e.content_hash
FROM touched t JOIN datasets_example e ON e.id = t.{side} WHERE t.{other} IS NULL
"""
_PAIRS = """
CREATE TEMPORARY TABLE pairs ON COMMIT DROP AS
SELECT g.id AS before_id, c.id AS after_id, g.split AS split_before, c.split AS split_after, c.position,
       true AS is_changed
FROM gone g JOIN came c ON c.key = g.key
"""
_SAME_CONTENT = """
INSERT INTO pairs
SELECT g.id, c.id, g.split, c.split, c.position, false
FROM (
    SELECT *, row_number() OVER (PARTITION BY content_hash ORDER BY position) AS nth FROM gone
    WHERE NOT EXISTS (SELECT 1 FROM pairs p WHERE p.before_id = gone.id)
) AS g
JOIN (
    SELECT *, row_number() OVER (PARTITION BY content_hash ORDER BY position) AS nth FROM came
    WHERE NOT EXISTS (SELECT 1 FROM pairs p WHERE p.after_id = came.id)
) AS c ON c.content_hash = g.content_hash AND c.nth = g.nth
"""
_LISTS = """
SELECT
    ARRAY(SELECT id FROM came WHERE NOT EXISTS (SELECT 1 FROM pairs p WHERE p.after_id = came.id) ORDER BY position),
    ARRAY(SELECT id FROM gone WHERE NOT EXISTS (SELECT 1 FROM pairs p WHERE p.before_id = gone.id) ORDER BY position),
    ARRAY(SELECT before_id FROM pairs WHERE is_changed ORDER BY position, after_id),
    ARRAY(SELECT after_id FROM pairs WHERE is_changed ORDER BY position, after_id),
    ARRAY(
        SELECT after_id FROM (
            SELECT after_id, position FROM touched WHERE split_before <> split_after
            UNION ALL SELECT after_id, position FROM pairs WHERE split_before <> split_after
        ) AS moved ORDER BY position
    )
"""
_STORE = f"""
INSERT INTO datasets_versiondiff
    (before_id, after_id, stamp, summary, created_at, added, removed, changed_from, changed_to, moved)
SELECT %s, %s, %s, '{{}}'::jsonb, now(), lists.*
FROM ({_LISTS}) AS lists (added, removed, changed_from, changed_to, moved)
RETURNING id, cardinality(added), cardinality(removed), cardinality(changed_to), cardinality(moved)
"""  # noqa: S608
_MOVES = """
SELECT split_before, split_after, count(*) FROM (
    SELECT split_before, split_after FROM touched WHERE split_before <> split_after
    UNION ALL SELECT split_before, split_after FROM pairs WHERE split_before <> split_after
) AS moves GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2
"""


def version_diff(*, before: Version, after: Version | None) -> VersionDiff:
    """The diff of two frozen versions of one dataset; `after` None: of a version and what stands in the dataset.

    Worked out at the first question; one against the dataset again when the dataset has changed.
    """
    if before.state != VersionState.FROZEN or (after and after.state != VersionState.FROZEN):
        raise ConflictError("Only frozen versions can be compared. Wait for the freezing to end.")
    if after is not None and after.dataset_id != before.dataset_id:
        raise PortalError("The versions belong to different datasets.", code="other_dataset")
    known = VersionDiff.objects.filter(before=before, after=after).defer(
        "added", "removed", "changed_from", "changed_to", "moved"
    )
    with transaction.atomic():
        # Two people who ask at once: the second waits for the answer of the first.
        Version.objects.select_for_update(of=("self",)).get(pk=before.pk)
        stamp = "" if after is not None else head_mark(before.dataset)
        found = known.first()
        if found is not None and found.stamp == stamp:
            return found
        if found is not None:
            found.delete()
        _work_out(before, after, stamp)
    return known.get()


def _work_out(before: Version, after: Version | None, stamp: str) -> None:
    other = _OF_VERSION if after is not None else _OF_HEAD
    with connection.cursor() as cursor:
        # What differs is looked up row by row: reading all rows, with their texts, costs far more.
        cursor.execute("SET LOCAL random_page_cost = 1.1")
        cursor.execute(
            _TOUCHED.format(before=_OF_VERSION, after=other),
            [before.pk, after.pk if after is not None else before.dataset_id],
        )
        cursor.execute("ANALYZE touched")
        cursor.execute(_GONE.format(name="gone", side="before_id", other="after_id", split="split_before"))
        cursor.execute(_GONE.format(name="came", side="after_id", other="before_id", split="split_after"))
        cursor.execute("ANALYZE gone, came")
        cursor.execute(_PAIRS)
        changed = cursor.rowcount
        cursor.execute("ANALYZE pairs")
        cursor.execute(_SAME_CONTENT)
        found_again = cursor.rowcount
        cursor.execute(_STORE, [before.pk, after.pk if after is not None else None, stamp])
        pk, added, removed, changed, moved = cursor.fetchone()
        cursor.execute(_MOVES)
        moves = [{"from": old, "to": new, "rows": count} for old, new, count in cursor.fetchall()]
        cursor.execute("DROP TABLE touched, gone, came, pairs")
    rows_after = after.row_count if after is not None else before.row_count + added - removed
    summary: dict[str, Any] = {
        "rows_before": before.row_count,
        "rows_after": rows_after,
        "added": added,
        "removed": removed,
        "changed": changed,
        "moved": moved,
        "found_again": found_again,
        "unchanged": before.row_count - removed - changed - found_again,
        "moves": moves,
    }
    VersionDiff.objects.filter(pk=pk).update(summary=summary)
