"""Finding the rows of a filter in pages by key, fast whether every row fits or three of a million.

No single plan is fast for every filter. What is common is found among the next few rows, in order; what is rare by its
own index, whose hits must then be sorted, but they are few. So the next rows are looked through first, in the order of
the index that fits best, and only if they don't fill the page the indexes are asked for all hits.
"""

from array import array
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

from apps.datasets.models import Dataset, Version, VersionRow
from apps.datasets.row_filters import NO_SPLIT, RowFilter

NEAR_ROWS = 3000
"""Rows looked through in order first. What fits one row of sixty fills a page of 50 from them."""
FEW_ROWS = 5000

ANSWER = r"btrim(e.payload #>> '{messages,-1,content}', E' \n\r\t')"
STANDS_NOT = """e.removed_at IS NOT NULL
AND NOT EXISTS (
    SELECT 1 FROM datasets_example s
    WHERE s.dataset_id = e.dataset_id AND s.key = e.key AND s.removed_at IS NULL
)
AND NOT EXISTS (SELECT 1 FROM datasets_example s WHERE s.row = e.key AND s.id > e.id)"""
"""Of a removed row its newest form."""
FOUND = """e.id IN (
    SELECT r.example_id FROM datasets_findingrow r JOIN datasets_finding f ON f.id = r.finding_id
    WHERE f.code = %s AND r.example_id IS NOT NULL AND f.report_id = (
        SELECT max(c.id) FROM datasets_checkreport c
        WHERE c.dataset_id = %s AND c.version_id IS NOT DISTINCT FROM %s::bigint AND c.state = 'done'
    )
)"""
"""The form in which the checks found the row: one that was mended since is no longer among them."""


@dataclass
class Where:
    """SQL conditions joined by AND, with their parameters in order."""

    parts: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def add(self, condition: str, *values: Any) -> None:
        self.parts.append(condition)
        self.values += values

    @property
    def sql(self) -> str:
        return " AND ".join(f"({part})" for part in self.parts) or "true"


@dataclass
class Rows:
    """Where rows come from: a table expression, the column that orders them, what the best index answers, the rest."""

    table: str
    place: str
    inside: Where
    """Answered in order by an index."""
    rest: Where
    of_version: Where = field(default_factory=Where)
    """What is asked of the place in a version; the others ask for nothing but the row itself."""

    @property
    def in_order(self) -> Where:
        """Everything that an index in the right order answers."""
        return Where(
            [*self.of_version.parts, *self.inside.parts], [*self.of_version.values, *self.inside.values]
        )

    @property
    def whole(self) -> Where:
        """All conditions together."""
        ordered = self.in_order
        return Where([*ordered.parts, *self.rest.parts], [*ordered.values, *self.rest.values])

    def count(self) -> int:
        """How many there are; looks at all of them."""
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {self.table} WHERE {self.whole.sql}", self.whole.values)  # noqa: S608
            return int(cursor.fetchone()[0])


def rows_of(dataset: Dataset, wanted: RowFilter, version: Version | None = None) -> Rows:
    inside, rest, of_version = Where(), Where(), Where()
    if version is not None:
        table = "datasets_versionrow v JOIN datasets_example e ON e.id = v.example_id"
        # A version's positions follow the keys of its rows, so what has an index in the order of keys is read by it.
        by_key = bool(wanted.answer) or wanted.source is not None
        place = "e.key" if by_key else "v.position"
        of_version.add("v.version_id = %s", version.pk)
        if by_key:
            inside.add("e.dataset_id = %s", dataset.pk)
        if wanted.split:
            of_version.add("v.split = %s", wanted.split)
    else:
        table, place = "datasets_example e", "e.key"
        inside.add("e.dataset_id = %s", dataset.pk)
        if wanted.removed:
            inside.add("e.removed_at IS NOT NULL")
            rest.add(STANDS_NOT)
        else:
            inside.add("e.removed_at IS NULL")
    if wanted.finding:
        rest.add(FOUND, wanted.finding, dataset.pk, version.pk if version else None)
    _narrow(wanted, inside, rest, is_version=version is not None)
    return Rows(table, place, inside, rest, of_version)


def _narrow(wanted: RowFilter, inside: Where, rest: Where, *, is_version: bool) -> None:
    """Each condition to where it belongs: at most one of those that have an ordered index goes inside."""
    ordered = rest if wanted.removed else inside
    if wanted.answer:
        ordered.add("e.answer_hash = hashtextextended(%s, 0)", wanted.answer)
        rest.add(f"{ANSWER} = %s", wanted.answer)
        ordered = rest
    if wanted.source is not None:
        ordered.add("e.source_id = %s", wanted.source)
        ordered = rest
    if wanted.split and not is_version:
        if wanted.split == NO_SPLIT:
            rest.add("e.split = ''")
        else:
            ordered.add("e.split = %s AND e.split <> ''", wanted.split)
    if wanted.tag:
        rest.add("e.tags @> ARRAY[%s]::varchar[]", wanted.tag)
    if wanted.shortest is not None:
        rest.add("e.characters >= %s", min(wanted.shortest, 2**31 - 1))
    if wanted.longest is not None:
        rest.add("e.characters <= %s", min(wanted.longest, 2**31 - 1))
    if wanted.rows:
        rest.add("e.key = ANY(%s)", list(wanted.rows))
    if wanted.text_query:
        rest.add("e.words @@ to_tsquery('simple', %s)", wanted.text_query)


def find_ids(
    dataset: Dataset,
    wanted: RowFilter,
    *,
    version: Version | None = None,
    after: int | None = None,
    before: int | None = None,
    limit: int,
) -> list[int]:
    """Ids of the first `limit` rows after a key, or of the last before one (then in falling order).

    The key is that of the row, in a version its position.
    """
    rows = rows_of(dataset, wanted, version)
    order = "ASC" if before is None else "DESC"
    bound = after if before is None else before
    side = ">" if before is None else "<"
    key_bound = bound
    if bound is not None and version is not None:
        key_bound = _key_at(version, bound, is_after=before is None)
    if rows.place == "v.position" and bound is not None:
        rows.of_version.add(f"v.position {side} %s", bound)
    elif key_bound is not None:
        rows.inside.add(f"e.key {side} %s", key_bound)
    # Rows that were picked by hand are few: there is nothing to look through.
    if not wanted.rows:
        near = _near(rows, order, limit)
        if len(near) >= limit or not rows.rest.parts:
            return near
    found = _among_few(rows, wanted, order, limit)
    if found is not None:
        return found
    if version is None:
        return _by_index(rows, order, limit)
    if rows.place == "v.position":
        rows.inside.add("e.dataset_id = %s", dataset.pk)
        if key_bound is not None:
            rows.inside.add(f"e.key {side} %s", key_bound)
    return _by_index_in_version(rows, order, limit)


def _key_at(version: Version, position: int, *, is_after: bool) -> int | None:
    """The key of the row at a position, or of the next one there is on the side that is left out."""
    rows = VersionRow.objects.filter(version=version)
    rows = (
        rows.filter(position__lte=position).order_by("-position")
        if is_after
        else rows.filter(position__gte=position).order_by("position")
    )
    return rows.values_list("example__key", flat=True).first()


def count_rows(dataset: Dataset, wanted: RowFilter, *more: tuple[str, Any]) -> int:
    """How many rows fit the filter and more SQL conditions, each with its parameter; looks at all that do."""
    rows = rows_of(dataset, wanted)
    for condition, value in more:
        rows.rest.add(condition, value)
    return rows.count()


def ids_of(rows: Rows) -> "array[int]":
    """Ids of all rows that fit, in order; eight bytes a row."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT e.id FROM {rows.table} WHERE {rows.whole.sql} ORDER BY {rows.place}",  # noqa: S608
            rows.whole.values,
        )
        return array("q", (row[0] for row in cursor.fetchall()))


# Every name and operator in these statements is written in this file; what a person typed is a parameter.


def _near(rows: Rows, order: str, limit: int) -> list[int]:
    inside = rows.in_order
    statement = f"""
        SELECT id FROM (
            SELECT e.id, {rows.place} AS place, ({rows.rest.sql}) AS fits
            FROM {rows.table} WHERE {inside.sql} ORDER BY {rows.place} {order} LIMIT {NEAR_ROWS}
        ) AS near
        WHERE fits ORDER BY place {order} LIMIT %s
    """  # noqa: S608
    return _ids(statement, [*rows.rest.values, *inside.values, limit])


def _by_index(rows: Rows, order: str, limit: int) -> list[int]:
    # Materialised, so that the planner doesn't walk the whole table in order after all in the hope of an early hit.
    statement = f"""
        WITH hits AS MATERIALIZED (
            SELECT e.id, {rows.place} AS place FROM {rows.table} WHERE {rows.inside.sql} AND {rows.rest.sql}
        )
        SELECT id FROM hits ORDER BY place {order} LIMIT %s
    """  # noqa: S608
    return _ids(statement, [*rows.inside.values, *rows.rest.values, limit])


def _by_index_in_version(rows: Rows, order: str, limit: int) -> list[int]:
    # All hits in the dataset in the order of their keys, which is that of the version, and of them the first that are
    # in the version: to look up a hundred thousand of them there would take longer than to find them.
    statement = f"""
        WITH hits AS MATERIALIZED (
            SELECT e.id, e.key FROM datasets_example e WHERE {rows.inside.sql} AND {rows.rest.sql}
        )
        SELECT hit.id FROM (SELECT id, key FROM hits ORDER BY key {order}) AS hit
        CROSS JOIN LATERAL (
            SELECT FROM datasets_versionrow v WHERE v.example_id = hit.id AND {rows.of_version.sql} LIMIT 1
        ) AS place
        ORDER BY hit.key {order} LIMIT %s
    """  # noqa: S608
    return _ids(statement, [*rows.inside.values, *rows.rest.values, *rows.of_version.values, limit])


def _among_few(rows: Rows, wanted: RowFilter, order: str, limit: int) -> list[int] | None:
    """The beginning of a common word beside a rare one is looked for in the rows of the rare one only.

    None where this doesn't apply or the other words are not rare.
    """
    query = wanted.text_query
    whole_words = query.rpartition(" & ")[0] if query.endswith(":*") else ""
    if not whole_words:
        return None
    *others, _ = rows.rest.parts  # the words come last
    inside = rows.in_order
    where = " AND ".join(f"({part})" for part in (*inside.parts, *others))
    statement = f"""
        WITH few AS MATERIALIZED (
            SELECT e.id, {rows.place} AS place, e.words FROM {rows.table}
            WHERE {where} AND e.words @@ to_tsquery('simple', %s) LIMIT {FEW_ROWS}
        )
        SELECT (SELECT count(*) FROM few), ARRAY(
            SELECT id FROM few WHERE words @@ to_tsquery('simple', %s) ORDER BY place {order} LIMIT %s
        )
    """  # noqa: S608
    values = [*inside.values, *rows.rest.values[:-1], whole_words, query, limit]
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        count, ids = cursor.fetchone()
    return list(ids) if count < FEW_ROWS else None


def _ids(statement: str, values: list[Any]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return [row[0] for row in cursor.fetchall()]
