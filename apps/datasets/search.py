"""Finding rows by words, in pages by key, fast whether a word is in every row or in three of a million."""

import re
from collections.abc import Sequence
from typing import Any

from django.db import connection

from apps.datasets.models import Dataset

NEAR_ROWS = 3000
"""Rows looked through in order first. A word in one row of sixty fills a page of 50 from them."""
QUERY_CHARACTERS = 200
FEW_ROWS = 5000
_TERMS = re.compile(r'"([^"]*)"|(\S+)')


def text_query(words: str) -> str:
    """What the person typed as a Postgres text query: all words, the last one by its beginning; "in quotes": a phrase.

    Empty when there is nothing to search for. The beginning of a word costs the index all words that begin so, which
    for several words at once is too slow over a million rows; the last one is that which is still being typed.
    """
    terms = []
    for phrase, word in _TERMS.findall(words.replace("\x00", "")[:QUERY_CHARACTERS]):
        text = phrase or word
        if not any(character.isalnum() for character in text):
            continue
        terms.append((bool(phrase), "'" + text.replace("\\", " ").replace("'", "''") + "'"))
    if not terms:
        return ""
    is_phrase, last = terms.pop()
    return " & ".join([*(quoted for _, quoted in terms), last if is_phrase else f"{last}:*"])


def find_ids(
    dataset: Dataset,
    query: str,
    *,
    source_id: int | None = None,
    after: int | None = None,
    before: int | None = None,
    limit: int,
) -> list[int]:
    """Ids of the first `limit` rows after a key, or of the last before one (then in falling order).

    No single plan is fast for every word. A common word is found among the next few rows, in order; a rare one by
    the word index, which must then sort all its hits, but these are few. The beginning of a common word beside a rare
    one is looked for in the rows of the rare one only.
    """
    backwards = before is not None
    order, comparison = ("DESC", "<") if backwards else ("ASC", ">")
    bound = before if backwards else after
    conditions = ["dataset_id = %(dataset)s", "removed_at IS NULL"]
    if bound is not None:
        conditions.append(f"id {comparison} %(bound)s")
    if source_id is not None:
        conditions.append("source_id = %(source)s")
    where = " AND ".join(conditions)
    parameters = {
        "dataset": dataset.pk,
        "bound": bound,
        "source": source_id,
        "query": query,
        "near": NEAR_ROWS,
        "limit": limit,
    }
    near = _ids(_NEAR.format(where=where, order=order), parameters)
    if len(near) >= limit:
        return near
    whole_words = query.rpartition(" & ")[0] if query.endswith(":*") else ""
    if whole_words:
        statement = _FEW.format(where=where, order=order)
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters | {"whole_words": whole_words, "few": FEW_ROWS})
            count, ids = cursor.fetchone()
        if count < FEW_ROWS:
            return list(ids)
    return _ids(_BY_INDEX.format(where=where, order=order), parameters)


_NEAR = """
SELECT id FROM (
    SELECT id, words FROM datasets_example WHERE {where} ORDER BY id {order} LIMIT %(near)s
) AS near
WHERE words @@ to_tsquery('simple', %(query)s)
ORDER BY id {order} LIMIT %(limit)s
"""
# Materialised, so that the planner doesn't walk the whole table in order after all in the hope of an early hit.
_BY_INDEX = """
WITH hits AS MATERIALIZED (
    SELECT id FROM datasets_example WHERE {where} AND words @@ to_tsquery('simple', %(query)s)
)
SELECT id FROM hits ORDER BY id {order} LIMIT %(limit)s
"""

_FEW = """
WITH few AS MATERIALIZED (
    SELECT id, words FROM datasets_example
    WHERE {where} AND words @@ to_tsquery('simple', %(whole_words)s) LIMIT %(few)s
)
SELECT (SELECT count(*) FROM few), ARRAY(
    SELECT id FROM few WHERE words @@ to_tsquery('simple', %(query)s) ORDER BY id {order} LIMIT %(limit)s
)
"""


def _ids(statement: str, parameters: dict[str, Any]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        rows: Sequence[tuple[int]] = cursor.fetchall()
    return [row[0] for row in rows]
