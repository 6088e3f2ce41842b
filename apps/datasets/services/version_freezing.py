"""Freezing a version: read every row once, divide them, write down what is where, and close it for good.

One transaction: a freezing that is stopped leaves nothing behind, and running it again comes to the same result.
"""

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec
from django.db import connection, transaction
from django.utils import timezone

from apps.audit.services import record
from apps.core.chat_tokens import ChatLength, ChatTokenizer, ChatTokensError
from apps.core.states import transition
from apps.datasets.chat_rows import answer_of
from apps.datasets.groups import group_of
from apps.datasets.manifest import ManifestRow, manifest_hash
from apps.datasets.models import Version, VersionState
from apps.datasets.selectors import head_of, tested_rows_of
from apps.datasets.services.apart import reporting_apart
from apps.datasets.splits import SPLITS, SplitResult, SplitRow, assign_splits
from apps.datasets.statistics import duplicate_groups, frequent_ngrams, label_mix, summary
from apps.datasets.tokenizers import tokenizer_of
from apps.operations.models import Operation, OperationState
from apps.operations.progress import Progress

BATCH = 1000


@dataclass
class _Rows:
    """What is kept of every row while a version is made: no text but its answer, shared where it repeats."""

    ids: "array[int]" = field(default_factory=lambda: array("q"))
    answers: dict[str, str] = field(default_factory=dict)
    split_rows: list[SplitRow] = field(default_factory=list)
    raw_hashes: list[bytes] = field(default_factory=list)
    characters: "array[int]" = field(default_factory=lambda: array("q"))
    turns: "array[int]" = field(default_factory=lambda: array("q"))
    tokens: list[int | None] = field(default_factory=list)
    answer_tokens: list[int | None] = field(default_factory=list)
    system_prompts: set[int] = field(default_factory=set)
    sources: Counter[int | None] = field(default_factory=Counter)
    edited: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def origin(self) -> dict[str, Any]:
        """Rows by the import that they came with; those made by hand under None; and how many were edited since."""
        files = [{"import": source, "rows": count} for source, count in self.sources.most_common()]
        return {"files": files, "edited": self.edited}


def version_freeze(*, version: Version, progress: Progress) -> None:
    """Fill and freeze the version. Without effect on one that is frozen already."""
    if version.state != VersionState.FREEZING:
        return
    progress.report(
        0, total=version.dataset.example_count, unit="rows", message="Reading rows, counting tokens"
    )
    tokenizer, why_unknown = tokenizer_of(version.dataset.project.base_model)
    with reporting_apart(progress) as report, transaction.atomic():
        rows = _Rows()
        tested = _tested_before(version)
        for batch in _example_batches(version):
            _take(rows, batch, version.group_path, tokenizer, tested)
            report(len(rows))
        report(len(rows), total=len(rows), message="Dividing the rows")
        result = assign_splits(
            rows.split_rows,
            seed=version.seed,
            validation_share=version.validation_share,
            test_share=version.test_share,
        )
        report(len(rows), message="Writing the version")
        _write(version, rows, result)
        _close(version, rows, result, progress, why_unknown)


def version_freeze_stopped(*, version: Version, operation: Operation) -> None:
    if version.state != VersionState.FREEZING:
        return
    error = operation.error
    if operation.state == OperationState.CANCELLED:
        error = "The freezing was cancelled. Nothing was frozen."
    transition(version, VersionState.FAILED, error=error)


@dataclass(frozen=True)
class _Tested:
    """Rows that frozen versions of the dataset tested on: by their key, and by their content should they come again."""

    keys: set[int] = field(default_factory=set)
    contents: set[str] = field(default_factory=set)


def _tested_before(version: Version) -> _Tested:
    if version.test_release_reason:
        return _Tested()
    tested = _Tested()
    for key, content_hash in tested_rows_of(version.dataset).iterator(chunk_size=BATCH):
        tested.keys.add(key)
        tested.contents.add(content_hash)
    return tested


def _example_batches(version: Version) -> Iterator[Sequence[tuple[int, int, str, int | None, Any]]]:
    """All rows by one statement, so of one moment, in the order in which they came."""
    rows = (
        head_of(version.dataset)
        .order_by("key")
        .values_list("pk", "key", "content_hash", "source_id", "raw")
        .iterator(chunk_size=BATCH)
    )
    while batch := list(islice(rows, BATCH)):
        yield batch


def _take(
    rows: _Rows,
    batch: Sequence[tuple[int, int, str, int | None, Any]],
    group_path: str,
    tokenizer: ChatTokenizer | None,
    tested: _Tested,
) -> None:
    chats = []
    for pk, key, content_hash, source_id, raw in batch:
        payload = msgspec.json.decode(raw)
        messages = payload["messages"]
        answer = answer_of(payload)
        rows.ids.append(pk)
        rows.sources[source_id] += 1
        rows.edited += pk != key
        rows.split_rows.append(
            SplitRow(
                content_hash,
                rows.answers.setdefault(answer, answer),
                group_of(payload, group_path),
                key in tested.keys or content_hash in tested.contents,
            )
        )
        rows.raw_hashes.append(hashlib.sha256(raw).digest())
        rows.characters.append(sum(len(message.get("content") or "") for message in messages))
        rows.turns.append(sum(message["role"] == "assistant" for message in messages))
        first = messages[0]
        rows.system_prompts.add(hash(first["content"]) if first["role"] in ("system", "developer") else 0)
        chats.append(messages)
    for length in _lengths(chats, tokenizer):
        rows.tokens.append(length.total if length else None)
        rows.answer_tokens.append(length.answers if length else None)


def _lengths(chats: list[list[dict[str, Any]]], tokenizer: ChatTokenizer | None) -> list[ChatLength | None]:
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


def _write(version: Version, rows: _Rows, result: SplitResult) -> None:
    statement = (
        "COPY datasets_versionrow"
        ' (version_id, example_id, position, split, token_count, answer_token_count, "group") FROM STDIN'
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for index, example in enumerate(rows.ids):
            copy.write_row(
                (
                    version.pk,
                    example,
                    index + 1,
                    result.splits[index],
                    rows.tokens[index],
                    rows.answer_tokens[index],
                    rows.split_rows[index].group,
                )
            )


def _close(version: Version, rows: _Rows, result: SplitResult, progress: Progress, why_unknown: str) -> None:
    identity = manifest_hash(
        ManifestRow(index + 1, row.content_hash, rows.raw_hashes[index].hex(), result.splits[index])
        for index, row in enumerate(rows.split_rows)
    )
    sizes = {split: result.splits.count(split) for split in SPLITS}
    progress.check()  # an attempt that was given up must not freeze after all
    transition(
        version,
        VersionState.FROZEN,
        manifest_hash=identity,
        statistics=_statistics(rows, result, why_unknown),
        tokenizer="" if why_unknown else version.dataset.project.base_model,
        row_count=len(rows),
        train_count=sizes["train"],
        validation_count=sizes["validation"],
        test_count=sizes["test"],
        frozen_at=timezone.now(),
        error="",
    )
    record(
        workspace=version.dataset.project.workspace,
        actor=progress.operation.actor,
        action="version.frozen",
        target=version,
        data={"manifest_hash": identity, "rows": len(rows), "seed": version.seed}
        | ({"test_released": version.test_release_reason} if version.test_release_reason else {})
        | sizes,
    )


def _statistics(rows: _Rows, result: SplitResult, why_unknown: str) -> dict[str, Any]:
    distinct = len({row.content_hash for row in rows.split_rows})
    refused = 0 if why_unknown else rows.tokens.count(None)
    return {
        "tokens": {
            "total": _by_split(rows.tokens, result.splits),
            "answers": _by_split(rows.answer_tokens, result.splits),
            "unknown_because": why_unknown
            or (f"The model's chat template refuses {refused:,} of the rows." if refused else ""),
        },
        "lengths": {
            "tokens": _known_summary(rows.tokens),
            "answer_tokens": _known_summary(rows.answer_tokens),
            "characters": summary(rows.characters),
            "turns": summary(rows.turns),
        },
        "answers": label_mix([row.answer for row in rows.split_rows], result.splits),
        "duplicate_rows": len(rows) - distinct,
        "duplicates": duplicate_groups([row.content_hash for row in rows.split_rows], rows.ids),
        "ngrams": frequent_ngrams(Counter(row.answer for row in rows.split_rows)),
        "origin": rows.origin,
        "groups": len({row.group for row in rows.split_rows if row.group}),
        "rows_in_groups": sum(1 for row in rows.split_rows if row.group),
        "units": result.units,
        "held_in_test": result.held,
        "strata": result.strata,
        "system_prompts": len(rows.system_prompts - {0}),
    }


def _by_split(counts: list[int | None], splits: list[str]) -> dict[str, int] | None:
    """Sums in all and a split; None as soon as one row is unknown."""
    sums = dict.fromkeys(("all", *SPLITS), 0)
    for count, split in zip(counts, splits, strict=True):
        if count is None:
            return None
        sums["all"] += count
        sums[split] += count
    return sums


def _known_summary(counts: list[int | None]) -> dict[str, Any] | None:
    """None unless every row is known: a summary of the rest would be taken for one of all."""
    known = [count for count in counts if count is not None]
    return summary(known) if len(known) == len(counts) else None
