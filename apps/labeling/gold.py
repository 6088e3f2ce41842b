"""What a resolved item makes of its row: its answer with where it came from, and preference pairs. No Django."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from apps.labeling.answers import TEXTUAL, TIE
from apps.labeling.item_content import content_of

Row = dict[str, Any]
BECOME_ANSWERS = TEXTUAL | {"choose_one"}
"""Kinds of question whose value can stand as the assistant's answer."""


@dataclass(frozen=True)
class GoldAnswer:
    """The authoritative answer to one question, and how the labels were spread."""

    key: str
    kind: str
    value: Any
    distribution: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Gold:
    """Everything that is known about an item's answer."""

    session: str
    session_id: int
    guideline: str
    provenance: str
    cause: str
    labelers: tuple[int, ...]
    adjudicator: int | None
    decided_at: str
    answers: tuple[GoldAnswer, ...]

    def answer(self, key: str) -> GoldAnswer | None:
        return next((answer for answer in self.answers if answer.key == key), None)

    @property
    def is_rejected(self) -> bool:
        return any(answer.kind == "verdict" and answer.value == "reject" for answer in self.answers)

    @property
    def record(self) -> dict[str, Any]:
        """What the row carries. People are numbers: whoever trains on the file learns no names."""
        known = {
            "session": self.session,
            "session_id": self.session_id,
            "guideline": self.guideline,
            "provenance": self.provenance,
            "cause": self.cause,
            "labelers": list(self.labelers),
            "adjudicator": self.adjudicator,
            "decided_at": self.decided_at,
            "answers": {answer.key: answer.value for answer in self.answers},
            "distribution": {
                answer.key: dict(answer.distribution) for answer in self.answers if answer.distribution
            },
        }
        return {name: value for name, value in known.items() if value not in ("", None, {})}


def gold_row(row: Row, gold: Gold, answer_from: str = "") -> Row:
    """The row with the provenance in its metadata, and the answer of the question `answer_from` as the assistant's."""
    result = dict(row)
    chosen = gold.answer(answer_from) if answer_from else None
    if chosen is not None:
        result["messages"] = with_answer(row["messages"], str(chosen.value))
    metadata = row.get("metadata")
    if metadata is None or isinstance(metadata, Mapping):
        result["metadata"] = {**(metadata or {}), "labeling": gold.record}
    else:
        result["labeling"] = gold.record
    return result


def with_answer(messages: list[Mapping[str, Any]], text: str) -> list[Mapping[str, Any]]:
    """The conversation with this as its last answer."""
    if messages and messages[-1].get("role") == "assistant":
        return [*messages[:-1], {**messages[-1], "content": text}]
    return [*messages, {"role": "assistant", "content": text}]


def preference_pairs(row: Row, gold: Gold) -> Iterator[Row]:
    """A row for each pair of a better and a worse answer: from edits, preferences and rankings."""
    content = content_of(row)
    context = list(content.context)
    for answer in gold.answers:
        for better, worse in _pairs(answer, content.answer, content.candidates):
            if better.strip() and worse.strip() and better != worse:
                yield {
                    "messages": [*context, {"role": "assistant", "content": better}],
                    "rejected": [{"role": "assistant", "content": worse}],
                    "metadata": {"labeling": gold.record | {"pair_from": answer.key}},
                }


def _pairs(answer: GoldAnswer, original: str, candidates: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if answer.kind == "edit":
        yield str(answer.value), original
    elif answer.kind == "prefer" and answer.value != TIE and int(answer.value) <= len(candidates):
        best = int(answer.value) - 1
        for worse in candidates[:best] + candidates[best + 1 :]:
            yield candidates[best], worse
    elif answer.kind == "rank":
        for better, worse in combinations(answer.value, 2):
            for one in better:
                for other in worse:
                    if max(int(one), int(other)) <= len(candidates):
                        yield candidates[int(one) - 1], candidates[int(other) - 1]
