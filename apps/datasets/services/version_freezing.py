"""Freezing a version: read every row once, divide them, write down what is where, and close it for good.

One transaction: a freezing that is stopped leaves nothing behind, and running it again comes to the same result.
"""

import hashlib
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from sys import intern
from typing import Any, NamedTuple

import msgspec
import numpy as np
from django.db import connection, transaction
from django.utils import timezone

from apps.audit.services import record
from apps.core.chat_tokens import Chat, ChatTokenizer
from apps.core.formatting import format_number
from apps.core.states import transition
from apps.datasets.chat_lines import chat_line, made_payload
from apps.datasets.chat_rows import answer_of, rejected_of
from apps.datasets.checks.columns import Counts
from apps.datasets.groups import group_of
from apps.datasets.manifest import ManifestRow, manifest_hash
from apps.datasets.models import ExampleFacts, Version, VersionState
from apps.datasets.provider_formats import features_of
from apps.datasets.selectors import head_of, tested_rows_of
from apps.datasets.selectors_checks import clusters_for_freezing, is_current, latest_done_report, length_rule
from apps.datasets.services.apart import reporting_apart
from apps.datasets.services.check_facts import token_lengths
from apps.datasets.services.checks import checks_request
from apps.datasets.split_rows import HASH_BYTES, NONE, SplitRow, SplitRows
from apps.datasets.splits import SPLITS, SplitResult, assign_splits
from apps.datasets.statistics import duplicate_groups, frequent_ngrams, label_mix, summary
from apps.datasets.tokenizers import tokenizer_key, tokenizer_of
from apps.operations.models import Operation, OperationState
from apps.operations.progress import Progress

BATCH = 1000


@dataclass
class _Rows:
    """What is kept of every row while a version is made: no text but its answer and its group, once each, and no
    object."""

    ids: "array[int]" = field(default_factory=lambda: array("q"))
    split_rows: SplitRows = field(default_factory=SplitRows)
    given_splits: list[str] = field(default_factory=list)
    raw_hashes: bytearray = field(default_factory=bytearray)
    characters: "array[int]" = field(default_factory=lambda: array("q"))
    turns: "array[int]" = field(default_factory=lambda: array("q"))
    tokens: Counts = field(default_factory=Counts)
    answer_tokens: Counts = field(default_factory=Counts)
    system_prompts: set[int] = field(default_factory=set)
    clusters: dict[int, str] = field(default_factory=dict)
    """Example -> the cluster of nearly the same questions that it is in, where the checks know it."""
    pairs: bytearray = field(default_factory=bytearray)
    """A byte a row: 1 where it is a preference pair."""
    features: list[str] = field(default_factory=list)
    """What each row holds that not every format can carry."""
    sources: Counter[int | None] = field(default_factory=Counter)
    edited: int = 0

    def __len__(self) -> int:
        return len(self.ids)

    def raw_hash(self, index: int) -> str:
        return self.raw_hashes[index * HASH_BYTES : (index + 1) * HASH_BYTES].hex()

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
        checked = latest_done_report(version.dataset)
        was_checked = checked is not None and is_current(checked)
        rows = _Rows(clusters=clusters_for_freezing(version.dataset))
        tested = _tested_before(version)
        for batch in _example_batches(version):
            _take(rows, batch, version, tokenizer, tested)
            report(len(rows))
        report(len(rows), total=len(rows), message="Dividing the rows")
        result = assign_splits(
            rows.split_rows,
            given=rows.given_splits if version.keeps_splits else (),
            seed=version.seed,
            validation_share=version.validation_share,
            test_share=version.test_share,
        )
        report(len(rows), message="Writing the version")
        _write(version, rows, result)
        _close(version, rows, result, progress, why_unknown)
        if was_checked:  # its own report, whose leakage is that of its splits; every row is known by now
            checks_request(dataset=version.dataset, version=version, actor=progress.operation.actor)


def version_freeze_stopped(*, version: Version, operation: Operation) -> None:
    """The operation ended before the version was frozen: the version says why."""
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


class _Read(NamedTuple):
    pk: int
    key: int
    content_hash: str
    source: int | None
    split: str
    raw: Any
    made: str | None


def _example_batches(version: Version) -> Iterator[list[_Read]]:
    """All rows by one statement, so of one moment, in the order in which they came."""
    rows = (
        head_of(version.dataset)
        .order_by("key")
        .annotate(made=made_payload())
        .values_list("pk", "key", "content_hash", "source_id", "split", "raw", "made")
        .iterator(chunk_size=BATCH)
    )
    while batch := [_Read(*row) for row in islice(rows, BATCH)]:
        yield batch


def _take(
    rows: _Rows,
    batch: Sequence[_Read],
    version: Version,
    tokenizer: ChatTokenizer | None,
    tested: _Tested,
) -> None:
    counted = {} if tokenizer is None else _counted_before(version, [row.pk for row in batch])
    chats = []
    for pk, key, content_hash, source, split, raw, made in batch:
        line = chat_line(raw, made)
        payload = msgspec.json.decode(line)
        messages = payload["messages"]
        answer = answer_of(payload)
        rows.ids.append(pk)
        rows.sources[source] += 1
        rows.edited += pk != key
        rows.split_rows.append(
            SplitRow(
                content_hash,
                answer,
                group_of(payload, version.group_path),
                rows.clusters.get(pk, ""),
                key in tested.keys or content_hash in tested.contents,
            )
        )
        rows.given_splits.append(intern(split))
        rows.raw_hashes += hashlib.sha256(line).digest()
        rows.characters.append(sum(len(message.get("content") or "") for message in messages))
        rows.turns.append(sum(message["role"] == "assistant" for message in messages))
        rows.pairs.append(rejected_of(payload) is not None)
        rows.features.append(intern(features_of(payload)))
        first = messages[0]
        rows.system_prompts.add(hash(first["content"]) if first["role"] in ("system", "developer") else 0)
        if pk not in counted:
            chats.append(Chat.of(payload))
    new = (
        (length.total, length.answers) if length else (None, None)
        for length in token_lengths(chats, tokenizer)
    )
    lengths = [counted[row.pk] if row.pk in counted else next(new) for row in batch]
    rows.tokens.extend(total for total, _ in lengths)
    rows.answer_tokens.extend(answers for _, answers in lengths)


def _counted_before(version: Version, ids: list[int]) -> dict[int, tuple[int | None, int | None]]:
    """What the checks have counted already, with the same tokenizer."""
    facts = ExampleFacts.objects.filter(
        pk__in=ids, tokenizer=tokenizer_key(version.dataset.project.base_model)
    )
    return {pk: (total, answers) for pk, total, answers in facts.values_list("pk", "tokens", "answer_tokens")}


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
                    rows.split_rows.groups[index],
                )
            )


def _close(version: Version, rows: _Rows, result: SplitResult, progress: Progress, why_unknown: str) -> None:
    identity = manifest_hash(
        ManifestRow(index + 1, rows.split_rows.content(index), rows.raw_hash(index), split)
        for index, split in enumerate(result.splits)
    )
    sizes = {split: result.splits.count(split) for split in SPLITS}
    progress.check()  # an attempt that was given up must not freeze after all
    transition(
        version,
        VersionState.FROZEN,
        manifest_hash=identity,
        statistics=_statistics(rows, result, why_unknown),
        tokenizer="" if why_unknown else version.dataset.project.base_model,
        too_long=length_rule(version.dataset),
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
    refused = 0 if why_unknown else rows.tokens.count(None)
    answers, groups, clusters = rows.split_rows.answers, rows.split_rows.groups, rows.split_rows.clusters
    by_answer = np.bincount(answers.codes, minlength=len(answers.names)).tolist()
    contents = rows.split_rows.content_codes()
    distinct = int((contents == np.arange(len(rows))).sum())
    repeated = np.flatnonzero(np.bincount(contents, minlength=1)[contents] > 1)
    return {
        "tokens": {
            "total": _by_split(rows.tokens, result.splits),
            "answers": _by_split(rows.answer_tokens, result.splits),
            "unknown_because": why_unknown
            or (
                f"The model's chat template refuses {format_number(refused)} of the rows." if refused else ""
            ),
        },
        "lengths": {
            "tokens": _known_summary(rows.tokens),
            "answer_tokens": _known_summary(rows.answer_tokens),
            "characters": summary(rows.characters),
            "turns": summary(rows.turns),
        },
        "answers": label_mix([answers.names[code] for code in answers.codes], result.splits),
        "duplicate_rows": len(rows) - distinct,
        "duplicates": duplicate_groups(
            contents[repeated].tolist(), [rows.ids[row] for row in repeated.tolist()]
        ),
        "ngrams": frequent_ngrams(dict(zip(answers.names, by_answer, strict=True))),
        "origin": rows.origin,
        "features_by_split": _features_by_split(rows.features, result.splits),
        "groups": len(groups.names),
        "rows_in_groups": len(rows) - groups.codes.count(NONE),
        "clusters": len(clusters.names),
        "rows_in_clusters": len(rows) - clusters.codes.count(NONE),
        "units": result.units,
        "held_in_test": result.held,
        "strata": result.strata,
        "preference_pairs": rows.pairs.count(1),
        "preference_pairs_by_split": _by_split(rows.pairs, result.splits),
        "system_prompts": len(rows.system_prompts - {0}),
    }


def _features_by_split(features: Sequence[str], splits: Sequence[str]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {split: {} for split in SPLITS}
    for (split, held), rows in Counter(zip(splits, features, strict=True)).items():
        counts[split][held] = rows
    return counts


def _by_split(counts: Sequence[int | None], splits: list[str]) -> dict[str, int] | None:
    """Sums in all and a split; None as soon as one row is unknown."""
    sums = dict.fromkeys(("all", *SPLITS), 0)
    for count, split in zip(counts, splits, strict=True):
        if count is None:
            return None
        sums["all"] += count
        sums[split] += count
    return sums


def _known_summary(counts: Sequence[int | None]) -> dict[str, Any] | None:
    """None unless every row is known: a summary of the rest would be taken for one of all."""
    return None if None in counts else summary([count for count in counts if count is not None])
