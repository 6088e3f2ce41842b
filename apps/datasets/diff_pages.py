"""Pages of what differs between two versions: slices of the lists that were worked out once."""

from dataclasses import dataclass
from typing import Literal

from django.db import connection

from apps.datasets.models import Version, VersionDiff, VersionRow

DiffKind = Literal["added", "removed", "changed", "moved"]
DIFF_PAGE = 20


@dataclass(frozen=True)
class DiffPage:
    """Some of the rows that differ: each the form before and the form after, as far as there is one."""

    pairs: list[tuple[int | None, int | None]]
    number: int
    pages: int

    @property
    def earlier(self) -> int | None:
        return self.number - 1 if self.number > 1 else None

    @property
    def later(self) -> int | None:
        return self.number + 1 if self.number < self.pages else None


def diff_page(diff: VersionDiff, kind: DiffKind, *, number: int = 1, row_id: int | None = None) -> DiffPage:
    """A page of the rows of one kind, or the one row whose form (on either side) has this id."""
    columns = {
        "added": ("NULL::bigint[]", "added"),
        "removed": ("removed", "NULL::bigint[]"),
        "changed": ("changed_from", "changed_to"),
        "moved": ("moved", "moved"),
    }[kind]
    total = int(diff.summary[kind])
    pages = max(1, -(-total // DIFF_PAGE))
    number = min(number, pages)
    start = (number - 1) * DIFF_PAGE + 1
    with connection.cursor() as cursor:
        if row_id is not None:
            cursor.execute(
                f"""
                SELECT coalesce(array_position({columns[0]}, %s), array_position({columns[1]}, %s))
                FROM datasets_versiondiff WHERE id = %s
                """,  # noqa: S608 - the columns are those above
                [row_id, row_id, diff.pk],
            )
            place = cursor.fetchone()[0]
            if place is None:
                return DiffPage([], 1, 1)
            start, pages, number = int(place), 1, 1
        end = start if row_id is not None else start + DIFF_PAGE - 1
        cursor.execute(
            f"""
            SELECT pair.before_id, pair.after_id
            FROM datasets_versiondiff d,
                 unnest(({columns[0]})[%s:%s], ({columns[1]})[%s:%s]) WITH ORDINALITY
                     AS pair (before_id, after_id, nth)
            WHERE d.id = %s ORDER BY pair.nth
            """,  # noqa: S608
            [start, end, start, end, diff.pk],
        )
        return DiffPage([(row[0], row[1]) for row in cursor.fetchall()], number, pages)


def splits_of_examples(version: Version, ids: list[int]) -> dict[int, str]:
    rows = VersionRow.objects.filter(version=version, example_id__in=ids)
    return {row.example_id: row.get_split_display() for row in rows.only("example_id", "split")}
