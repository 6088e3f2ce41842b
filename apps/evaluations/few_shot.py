"""Choosing few-shot examples from the training split."""

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from apps.core.canonical import canonical_hash
from apps.datasets.models import Split, Version
from apps.datasets.selectors import version_row_payloads
from apps.registry.prompts import SYSTEM_ROLES

Value = TypeVar("Value")


def few_shot_select(version: Version, k: int, seed: int = 0) -> list[dict[str, str]]:
    """`k` training examples as messages, system messages left out; the same version, k and seed give the same.

    Frequent answers come first, one example for each different answer before any answer gets a second; which
    example speaks for an answer is drawn by the seed.
    """
    if k <= 0:
        return []
    rows = (
        (row.payload.get("messages") or [], row.content_hash)
        for row in version_row_payloads(version, Split.TRAIN)
    )
    chosen = choose_covering(
        (
            (str(messages[-1].get("content")), content_hash, messages)
            for messages, content_hash in rows
            if is_example(messages)
        ),
        k,
        seed,
    )
    return [
        {"role": str(message["role"]), "content": str(message["content"])}
        for messages in chosen
        for message in messages
        if message.get("role") not in SYSTEM_ROLES
    ]


def is_example(messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the conversation ends with an answer in plain text."""
    return (
        len(messages) >= 2
        and messages[-1].get("role") == "assistant"
        and all(isinstance(message.get("content"), str) for message in messages)
        and not any(message.get("tool_calls") for message in messages)
    )


def choose_covering(rows: Iterable[tuple[str, str, Value]], k: int, seed: int) -> list[Value]:
    """`rows` are (answer, identity, value). At most `k` values, going round the answers, frequent ones first."""
    counts: Counter[str] = Counter()
    kept: dict[str, list[tuple[int, int, Value]]] = {}
    for position, (answer, identity, value) in enumerate(rows):
        counts[answer] += 1
        draw = int(canonical_hash([seed, identity])[:15], 16)
        best = kept.setdefault(answer, [])
        # A heap of the k smallest draws of each answer: no more of them can be needed.
        heapq.heappush(best, (-draw, -position, value))
        if len(best) > k:
            heapq.heappop(best)
    order = sorted(kept, key=lambda answer: (-counts[answer], canonical_hash([seed, answer])))
    ranked = [sorted(kept[answer], key=lambda entry: entry[:2], reverse=True) for answer in order]
    turns = max((len(entries) for entries in ranked), default=0)
    chosen = [entries[turn][2] for turn in range(turns) for entries in ranked if turn < len(entries)]
    return chosen[:k]
