"""The facts of all rows of a report as columns, and the texts of a few rows where a check must see them."""

from array import array
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec
import numpy as np
from django.db import connection, transaction
from numpy.typing import NDArray

from apps.datasets.chat_lines import chat_line, made_payload
from apps.datasets.checks.columns import Counts, Hashes, Shared, Signatures
from apps.datasets.checks.facts import Facts
from apps.datasets.checks.texts import Parts, parts_of
from apps.datasets.models import CheckReport, Example
from apps.datasets.services.check_facts import rows_of

HASH_CHARACTERS = 24
TEXTS_KEPT = 5_000
READ_AT_ONCE = 5000
_NUMBERS = (
    "whole",
    "system",
    "asked",
    "answer",
    "rejected",
    "opening",
    "conversation",
    "asked_characters",
    "answer_characters",
)
_OTHERS = (
    "content",
    "answer_texts",
    "languages",
    "personal",
    "problems",
    "tokens",
    "answer_tokens",
    "splits",
    "groups",
    "word_signatures",
    "character_signatures",
)
_COLUMNS = {
    "content": Hashes,
    "tokens": Counts,
    "answer_tokens": Counts,
    "word_signatures": Signatures,
    "character_signatures": Signatures,
}
"""Those with another value in each row; of the others the same few come again and again."""


def columns_load(report: CheckReport) -> Facts:
    """Everything that the checks compare, read by one statement."""
    numbers = {name: array("q") for name in ("ids", *_NUMBERS)}
    others: dict[str, Any] = {name: _COLUMNS.get(name, Shared)() for name in _OTHERS}
    statement, subject = _statement(report)
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(statement, {"subject": subject})
        while rows := cursor.fetchmany(READ_AT_ONCE):
            columns = list(zip(*rows, strict=True))
            for number_column, values in zip(numbers.values(), columns, strict=False):
                number_column.extend(values)
            for name, values in zip(_OTHERS, columns[len(numbers) :], strict=True):
                others[name].extend(values)
    columns_read = {name: _as_column(column) for name, column in numbers.items()}
    return Facts(**(columns_read | others))


def _as_column(values: "array[int]") -> NDArray[np.int64]:
    column = np.frombuffer(values, dtype=np.int64) if values else np.empty(0, np.int64)
    # Most data have no pairs, no conversations or no system prompts: a column of nothing needs no memory.
    return column if column.any() else np.broadcast_to(np.int64(0), len(values))


def _statement(report: CheckReport) -> tuple[str, int]:
    source, subject = rows_of(report, "JOIN datasets_examplefacts f ON f.example_id = e.id")
    in_version = report.version_id is not None
    placed = 'r.split, r."group"' if in_version else "e.split, ''"
    columns = (
        "e.id",
        *(f"f.{name}" for name in _NUMBERS),
        f"left(e.content_hash, {HASH_CHARACTERS})",
        "f.answer_text, f.language, f.personal, f.problems, f.tokens, f.answer_tokens",
        placed,
        "f.word_signature, f.character_signature",
    )
    order = "r.position" if in_version else "e.id"
    return f"SELECT {', '.join(columns)} {source} ORDER BY {order}", subject  # noqa: S608 - constants only


class Texts:
    """Texts of rows by their places, read from the database as they are asked for; the last ones are kept."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._parts: dict[int, Parts] = {}

    def asked(self, places: Sequence[int]) -> dict[int, str]:
        return {place: parts.asked for place, parts in self._read(places).items()}

    def answers(self, places: Sequence[int]) -> dict[int, str]:
        return {place: parts.answer for place, parts in self._read(places).items()}

    def _read(self, places: Sequence[int]) -> dict[int, Parts]:
        missing = [place for place in places if place not in self._parts]
        if len(self._parts) + len(missing) > TEXTS_KEPT:
            self._parts.clear()
            missing = list(places)
        place_of = {int(self._facts.ids[place]): place for place in missing}
        rows = Example.objects.filter(pk__in=list(place_of)).annotate(made=made_payload())
        for pk, raw, made in rows.values_list("pk", "raw", "made"):
            self._parts[place_of[pk]] = parts_of(msgspec.json.decode(chat_line(raw, made)))
        return {place: self._parts[place] for place in places}


def answers_stream(facts: Facts) -> Iterator[tuple[int, str]]:
    """Every answer with its place; those that are short come from the facts, long ones are read."""
    long: list[int] = []
    for place, text in enumerate(facts.answer_texts):
        if text:
            yield place, text
        else:
            long.append(place)
    texts = Texts(facts)
    places = iter(long)
    while batch := list(islice(places, 1000)):
        yield from texts.answers(batch).items()
