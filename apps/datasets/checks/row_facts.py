"""What the checks know of each row, worked out once: numbers and marks instead of texts.

A form of a row never changes, so its facts hold as long as `FACTS_VERSION` does; a later report reads them back and
works out only those of new rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from apps.datasets.checks.languages import language_of
from apps.datasets.checks.personal.detection import kinds_in, looks_for_names
from apps.datasets.checks.schema import row_problems
from apps.datasets.checks.signatures import character_signatures, word_hash, word_signatures
from apps.datasets.checks.texts import (
    ANSWER_CHARACTERS,
    Parts,
    fingerprint,
    normalised,
    parts_of,
    strings_in,
    words_of,
)

FACTS_VERSION = 2
WITH_NAMES = 1000
LANGUAGE_CHARACTERS = 400
GROUP_KEYS = (
    "conversation_id",
    "conversation",
    "thread_id",
    "thread",
    "session_id",
    "dialogue_id",
    "dialog_id",
    "group",
)
_GROUP_KEYS = frozenset(GROUP_KEYS)


@dataclass(slots=True)
class RowFacts:
    """Texts that are compared stand as 64-bit fingerprints of their normalised form; 0: there is none."""

    whole: int
    """All messages."""
    system: int
    asked: int
    """What is asked with the system prompt before it."""
    answer: int
    rejected: int
    opening: int
    conversation: int
    """A name that the row's own data gives its conversation."""
    answer_text: str
    """The answer as it is, where it is short enough to be a label; else empty."""
    asked_characters: int
    answer_characters: int
    turns: int
    language: str
    personal: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    word_signature: bytes = b""
    character_signature: bytes = b""


def facts_of(payloads: Sequence[Mapping[str, Any]]) -> list[RowFacts]:
    """The facts of a batch of rows, in order. Signatures are of what is asked, without the system prompt."""
    parts = [parts_of(payload) for payload in payloads]
    found = [_facts(payload, part) for payload, part in zip(payloads, parts, strict=True)]
    words = [words_of(part.asked) for part in parts]
    signatures = zip(word_signatures(words), character_signatures(words), strict=True)
    for facts, (by_words, by_characters) in zip(found, signatures, strict=True):
        facts.word_signature, facts.character_signature = by_words, by_characters
    return found


def facts_version() -> int:
    """What facts of now are marked with: those without a look for names do not hold where names are wanted."""
    return FACTS_VERSION + (WITH_NAMES if looks_for_names() else 0)


def forget_words() -> None:
    """Let go of what is kept of the last texts."""
    kinds_in.cache_clear()
    word_hash.cache_clear()


def _facts(payload: Mapping[str, Any], parts: Parts) -> RowFacts:
    asked, answer = normalised(parts.asked), normalised(parts.answer)
    system = _normalised_before(parts.system)
    rejected = "" if parts.rejected is None else normalised(parts.rejected)
    return RowFacts(
        whole=fingerprint("\x1e".join((system, asked, answer, rejected))),
        system=fingerprint(system) if system else 0,
        asked=fingerprint(f"{system}\x1e{asked}"),
        answer=fingerprint(answer),
        rejected=0 if parts.rejected is None else fingerprint(rejected),
        opening=fingerprint(normalised(parts.opening)) if parts.opening else 0,
        conversation=_conversation(payload),
        answer_text=parts.answer.strip() if len(parts.answer) <= ANSWER_CHARACTERS else "",
        asked_characters=len(parts.asked),
        answer_characters=len(parts.answer),
        turns=parts.turns,
        language=language_of(parts.asked[:LANGUAGE_CHARACTERS]),
        personal=sorted(set().union(*map(kinds_in, strings_in(payload)))),
        problems=row_problems(payload, parts),
    )


@lru_cache(maxsize=1024)
def _normalised_before(system: str) -> str:
    """System prompts are few, long, and the same in row after row."""
    return normalised(system)


def _conversation(payload: Mapping[str, Any]) -> int:
    metadata = payload.get("metadata")
    if _GROUP_KEYS.isdisjoint(payload) and (
        not isinstance(metadata, Mapping) or _GROUP_KEYS.isdisjoint(metadata)
    ):
        return 0
    for place in (payload, metadata if isinstance(metadata, Mapping) else {}):
        for name in GROUP_KEYS:
            value = place.get(name)
            if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
                return fingerprint(f"{name}={value}")
    return 0
