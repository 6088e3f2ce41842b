"""Working out the facts of rows that no report has looked at before, a few thousand at a time, by several workers.

Every part is stored in a transaction of its own: a check that was stopped goes on with those that are left.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from django.db import IntegrityError, OperationalError, connection, transaction
from django.db.models import Max, QuerySet, Sum
from django.db.models.functions import Coalesce

from apps.core.chat_tokens import Chat, ChatLength, ChatTokenizer, ChatTokensError
from apps.datasets.checks.row_facts import RowFacts, facts_of, facts_version, forget_words
from apps.datasets.models import CheckPart, CheckReport, CheckState, ExampleFacts
from apps.datasets.tokenizers import tokenizer_key, tokenizer_of

BATCH = 2000
WAIT = "2s"
"""How long a check waits for another worker before it looks whether it was cancelled."""
HELP_SECONDS = 10.0
"""After that a helping worker does what else is waiting, and comes back."""

_HEAD = "FROM datasets_example e {facts} WHERE e.dataset_id = %(subject)s AND e.removed_at IS NULL"
_VERSION = (
    "FROM datasets_versionrow r JOIN datasets_example e ON e.id = r.example_id {facts}"
    " WHERE r.version_id = %(subject)s"
)
_WITH_FACTS = "LEFT JOIN datasets_examplefacts f ON f.example_id = e.id"
_LINE = "CASE WHEN e.raw_is_chat THEN e.raw ELSE convert_to(e.payload::text, 'UTF8') END"
_MISSING = "(f.example_id IS NULL OR f.facts_version <> %(facts_version)s OR f.tokenizer <> %(tokenizer)s)"
_PARTS = """
INSERT INTO datasets_checkpart (report_id, number, first, last, row_count, tokenizer)
SELECT %(report)s, %(from)s + part, min(id), max(id), count(*), %(tokenizer)s
FROM (SELECT e.id, (row_number() OVER (ORDER BY e.id) - 1) / %(size)s AS part {source} AND {missing}) AS missing
GROUP BY part
"""
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


def facts_divide(report: CheckReport) -> tuple[int, int]:
    """Divide the rows that nobody has looked at into parts; how many parts there are to do, and how many rows are in
    them and in those that an earlier attempt has done."""
    parts = CheckPart.objects.filter(report=report)
    source, subject = rows_of(report, _WITH_FACTS)
    with transaction.atomic():
        # Rows may have come and gone since an earlier attempt. A part that somebody still works on is waited for.
        parts.filter(done=False).delete()
        values: dict[str, Any] = {
            "subject": subject,
            "facts_version": facts_version(),
            "tokenizer": _tokenizer_key(report),
            "report": report.pk,
            "size": BATCH,
            "from": parts.aggregate(next=Coalesce(Max("number") + 1, 0))["next"],
        }
        with connection.cursor() as cursor:
            cursor.execute(_PARTS.format(source=source, missing=_MISSING), values)
    rows: int = parts.aggregate(rows=Coalesce(Sum("row_count"), 0))["rows"]
    return parts.filter(done=False).count(), rows


def facts_complete(report: CheckReport, done: Callable[[int], None]) -> None:
    """Work out what is missing, part by part, beside whoever does the same; `done` is told how many rows are ready.

    A part is held by the lock on its row: whoever dies lets go of it, and another takes it.
    """
    while _work_on_one(report) or _wait_for_others(report):
        done(
            CheckPart.objects.filter(report=report, done=True).aggregate(n=Coalesce(Sum("row_count"), 0))["n"]
        )
    forget_words()  # what comes next needs the memory


def facts_help(*, report: CheckReport) -> bool:
    """Take parts of a check that another worker runs, for a while; whether there may be more to do."""
    # The same model may have another tokenizer, or none, on this machine.
    tokenizer = _tokenizer_key(report)
    end = time.monotonic() + HELP_SECONDS
    while time.monotonic() < end:
        if not (_is_checking(report) and _work_on_one(report, tokenizer=tokenizer)):
            return False
    return True


def _is_checking(report: CheckReport) -> bool:
    return CheckReport.objects.filter(pk=report.pk, state=CheckState.CHECKING).exists()


def _work_on_one(report: CheckReport, **condition: str) -> bool:
    """Do a part that is free; False when there is none."""
    try:
        with transaction.atomic():
            part = _left(report).filter(**condition).select_for_update(skip_locked=True).first()
            if part is None:
                return False
            _work_on(report, part)
    except IntegrityError:
        pass  # another report looked at the same rows at the same time: what is missing by now, the next look finds
    return True


def _wait_for_others(report: CheckReport) -> bool:
    """Until whoever has the first part is through with it, or gone, or for a while; False when all are done."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [WAIT])
            return _left(report).select_for_update().first() is not None
    except OperationalError:
        return True


def _left(report: CheckReport) -> QuerySet[CheckPart]:
    return CheckPart.objects.filter(report=report, done=False).order_by("number")


def _work_on(report: CheckReport, part: CheckPart) -> None:
    source, subject = rows_of(report, _WITH_FACTS)
    statement = (
        f"SELECT e.id, {_LINE} {source} AND {_MISSING} AND e.id BETWEEN %(first)s AND %(last)s ORDER BY e.id"  # noqa: S608 - constants only
    )
    values: dict[str, Any] = {
        "subject": subject,
        "facts_version": facts_version(),
        "tokenizer": part.tokenizer,
        "first": part.first,
        "last": part.last,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        batch = cursor.fetchall()
    if batch:
        base_model = report.dataset.project.base_model
        _store(batch, tokenizer_of(base_model)[0] if part.tokenizer else None, part.tokenizer)
    CheckPart.objects.filter(pk=part.pk).update(done=True)


def _tokenizer_key(report: CheckReport) -> str:
    base_model = report.dataset.project.base_model
    tokenizer, _ = tokenizer_of(base_model)
    return "" if tokenizer is None else tokenizer_key(base_model)


def _store(batch: Sequence[tuple[int, Any]], tokenizer: ChatTokenizer | None, tokenizer_name: str) -> None:
    payloads = [msgspec.json.decode(raw) for _, raw in batch]
    facts = facts_of(payloads)
    lengths = token_lengths([Chat.of(payload) for payload in payloads], tokenizer)
    old = ExampleFacts.objects.filter(pk__in=[pk for pk, _ in batch])
    old._raw_delete(old.db)
    statement = f"COPY datasets_examplefacts ({', '.join(_COLUMNS)}) FROM STDIN"
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        for (pk, _), row, length in zip(batch, facts, lengths, strict=True):
            copy.write_row(_values(pk, row, length, tokenizer_name))


def _values(pk: int, row: RowFacts, length: ChatLength | None, tokenizer_name: str) -> tuple[Any, ...]:
    return (
        pk,
        facts_version(),
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


def token_lengths(chats: Sequence[Chat], tokenizer: ChatTokenizer | None) -> list[ChatLength | None]:
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
