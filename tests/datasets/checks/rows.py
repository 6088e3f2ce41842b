"""Rows by hand, and their facts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.datasets.checks.columns import Signatures
from apps.datasets.checks.facts import Facts
from apps.datasets.checks.row_facts import RowFacts, facts_of


def chat(asked: str, answer: str, *, system: str = "", **more: Any) -> dict[str, Any]:
    head = [{"role": "system", "content": system}] if system else []
    messages = [*head, {"role": "user", "content": asked}, {"role": "assistant", "content": answer}]
    return {"messages": messages, **more}


def facts(*payloads: dict[str, Any], **columns: Any) -> Facts:
    return _columns(facts_of(payloads), **columns)


def members(found: Any) -> list[list[int]]:
    return [[row.index for row in item.rows] for item in found.items]


def _columns(
    rows: Sequence[RowFacts],
    *,
    ids: Sequence[int] | None = None,
    content: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    groups: Sequence[str] | None = None,
    tokens: Sequence[int | None] | None = None,
    answer_tokens: Sequence[int | None] | None = None,
) -> Facts:
    """Columns out of rows; without ids and hashes these are counted and made from the messages."""
    count = len(rows)

    def numbers(name: str) -> NDArray[np.int64]:
        return np.fromiter((getattr(row, name) for row in rows), dtype=np.int64, count=count)

    return Facts(
        ids=np.arange(count, dtype=np.int64) if ids is None else np.array(ids, dtype=np.int64),
        content=[f"{row.whole & (2**64 - 1):016x}" for row in rows] if content is None else list(content),
        whole=numbers("whole"),
        system=numbers("system"),
        asked=numbers("asked"),
        answer=numbers("answer"),
        rejected=numbers("rejected"),
        opening=numbers("opening"),
        conversation=numbers("conversation"),
        answer_texts=[row.answer_text for row in rows],
        asked_characters=numbers("asked_characters"),
        answer_characters=numbers("answer_characters"),
        languages=[row.language for row in rows],
        personal=[row.personal for row in rows],
        problems=[row.problems for row in rows],
        tokens=[None] * count if tokens is None else list(tokens),
        answer_tokens=[None] * count if answer_tokens is None else list(answer_tokens),
        splits=[""] * count if splits is None else list(splits),
        groups=[""] * count if groups is None else list(groups),
        word_signatures=Signatures(row.word_signature for row in rows),
        character_signatures=Signatures(row.character_signature for row in rows),
    )
