"""Finding rows by words, in pages by key, fast whether a word is in every row or in three of a million."""

import re
from collections.abc import Sequence
from typing import Any

from django.db import connection

from apps.datasets.models import Dataset

NEAR_ROWS = 3000
"""Rows looked through in order first. A word in one row of sixty fills a page of 50 from them."""
QUERY_CHARACTERS = 200
_TERMS = re.compile(r'"([^"]*)"|(\S+)')


def text_query(words: str) -> str:
    """What the person typed as a Postgres text query: all words, each by its beginning; "in quotes": one phrase.

    Empty when there is nothing to search for.
    """
    terms = []
    for phrase, word in _TERMS.findall(words.replace("\x00", "")[:QUERY_CHARACTERS]):
        text = phrase or word
        if not any(character.isalnum() for character in text):
            continue
        quoted = "'" + text.replace("\\", " ").replace("'", "''") + "'"
        terms.append(quoted if phrase else f"{quoted}:*")
    return " & ".join(terms)


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
    the word index, which must then sort all its hits, but these are few.
    """
    backwards = before is not None
    order, comparison = ("DESC", "<") if backwards else ("ASC", ">")
    bound = before if backwards else after
    conditions = ["dataset_id = %(dataset)s"]
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


def _ids(statement: str, parameters: dict[str, Any]) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        rows: Sequence[tuple[int]] = cursor.fetchall()
    return [row[0] for row in rows]
