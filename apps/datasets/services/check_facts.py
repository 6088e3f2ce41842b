"""Working out the facts of rows that no report has looked at before, a few thousand at a time.

Every batch is stored in a transaction of its own: a check that was stopped goes on behind the last one.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
from django.db import connection, transaction

from apps.core.chat_tokens import ChatLength, ChatTokenizer, ChatTokensError
from apps.datasets.checks.facts import FACTS_VERSION, RowFacts, facts_of
from apps.datasets.models import CheckReport, ExampleFacts

BATCH = 2000

_HEAD = "FROM datasets_example e {facts} WHERE e.dataset_id = %(subject)s AND e.removed_at IS NULL"
_VERSION = (
    "FROM datasets_versionrow r JOIN datasets_example e ON e.id = r.example_id {facts}"
    " WHERE r.version_id = %(subject)s"
)
_LINE = "CASE WHEN e.raw_is_chat THEN e.raw ELSE convert_to(e.payload::text, 'UTF8') END"
_MISSING = (
    " AND (f.example_id IS NULL OR f.facts_version <> %(facts_version)s OR f.tokenizer <> %(tokenizer)s)"
    " AND e.id > %(after)s ORDER BY e.id LIMIT %(limit)s"
)
_COLUMNS = (
    "example_id",
    "facts_version",
    "whole",
    "system",
    "asked",
    "answer",
    "rejected",
    "opening",
    "conversation",
    "answer_text",
    "asked_characters",
    "answer_characters",
    "turns",
    "language",
    "personal",
    "problems",
    "word_signature",
    "character_signature",
    "tokenizer",
    "tokens",
    "answer_tokens",
)


def rows_of(report: CheckReport, facts: str = "") -> tuple[str, int]:
    """The FROM clause of the rows that the report is about, and its subject."""
    if report.version_id is not None:
        return _VERSION.format(facts=facts), report.version_id
    return _HEAD.format(facts=facts), report.dataset_id


def facts_complete(
    report: CheckReport, tokenizer: ChatTokenizer | None, tokenizer_name: str, done: Callable[[int], None]
) -> int:
    """Work out what is missing; returns of how many rows. `done` is told how many after each batch."""
    source, subject = rows_of(report, "LEFT JOIN datasets_examplefacts f ON f.example_id = e.id")
    parameters: dict[str, Any] = {
        "subject": subject,
        "facts_version": FACTS_VERSION,
        "tokenizer": tokenizer_name,
        "after": 0,
        "limit": BATCH,
    }
    count = 0
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokens") as thread:
        while True:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT e.id, {_LINE} {source}{_MISSING}", parameters)  # noqa: S608 - constants only
                batch = cursor.fetchall()
            if not batch:
                return count
            _store(batch, tokenizer, tokenizer_name, thread)
            parameters["after"] = batch[-1][0]
            count += len(batch)
            done(count)


def _store(
    batch: Sequence[tuple[int, Any]],
    tokenizer: ChatTokenizer | None,
    tokenizer_name: str,
    thread: ThreadPoolExecutor,
) -> None:
    payloads = [msgspec.json.decode(raw) for _, raw in batch]
    # The tokenizer is native code and leaves Python to this thread meanwhile: the two run on two cores.
    counting = thread.submit(
        token_lengths, [payload.get("messages") or [] for payload in payloads], tokenizer
    )
    facts = facts_of(payloads)
    lengths = counting.result()
    with transaction.atomic():
        old = ExampleFacts.objects.filter(pk__in=[pk for pk, _ in batch])
        old._raw_delete(old.db)
        statement = f"COPY datasets_examplefacts ({', '.join(_COLUMNS)}) FROM STDIN"
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for (pk, _), row, length in zip(batch, facts, lengths, strict=True):
                copy.write_row(_values(pk, row, length, tokenizer_name))


def _values(pk: int, row: RowFacts, length: ChatLength | None, tokenizer_name: str) -> tuple[Any, ...]:
    return (
        pk,
        FACTS_VERSION,
        row.whole,
        row.system,
        row.asked,
        row.answer,
        row.rejected,
        row.opening,
        row.conversation,
        row.answer_text,
        row.asked_characters,
        row.answer_characters,
        row.turns,
        row.language,
        row.personal,
        row.problems,
        row.word_signature,
        row.character_signature,
        tokenizer_name,
        length.total if length else None,
        length.answers if length else None,
    )


def token_lengths(
    chats: list[list[dict[str, Any]]], tokenizer: ChatTokenizer | None
) -> list[ChatLength | None]:
    """None for a conversation that the model's chat template refuses, and for all without a tokenizer."""
    if tokenizer is None:
        return [None] * len(chats)
    try:
        return list(tokenizer.count(chats))
    except ChatTokensError:
        lengths: list[ChatLength | None] = []
        for chat in chats:
            try:
                lengths.extend(tokenizer.count([chat]))
            except ChatTokensError:
                lengths.append(None)
        return lengths
