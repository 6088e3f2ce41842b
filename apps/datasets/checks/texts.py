"""The parts of a row that checks compare, and how texts are made comparable."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

ANSWER_CHARACTERS = 200
"""Answers up to this length are kept beside the other facts of a row: they may be labels."""
_WORDS = re.compile(r"\w+")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")


def normalised(text: str) -> str:
    """NFC, case folded, white space collapsed, invisible characters left out."""
    if text.isascii():
        return " ".join(text.lower().split())
    composed = unicodedata.normalize("NFC", _INVISIBLE.sub("", text)).casefold()
    return " ".join(unicodedata.normalize("NFC", composed).split())


def words_of(text: str) -> list[str]:
    """The words of a text, normalised, punctuation left out."""
    return _WORDS.findall(text.lower() if text.isascii() else normalised(text))


def is_blank(text: str) -> bool:
    """Nothing that can be seen: empty, white space or invisible characters only."""
    if text.isascii():
        return not text or text.isspace()
    return not _INVISIBLE.sub("", text).strip()


def fingerprint(text: str) -> int:
    """64 bits of BLAKE2b as a signed number, as a Postgres bigint holds it."""
    return int.from_bytes(
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big", signed=True
    )


@dataclass(frozen=True, slots=True)
class Parts:
    """`asked` is everything before the answer but the system prompt; `rejected` is the other answer of a pair."""

    system: str
    asked: str
    answer: str
    rejected: str | None
    turns: int
    opening: str
    """The first question with its answer, where more follows: what rows of one conversation share."""


def parts_of(payload: Mapping[str, Any]) -> Parts:
    """The parts of a chat row or of a preference pair."""
    rejected = payload.get("non_preferred_output", payload.get("rejected"))
    preferred = payload.get("preferred_output", payload.get("chosen"))
    if rejected is not None and preferred is not None:
        holder = payload.get("input")
        messages = holder.get("messages") if isinstance(holder, Mapping) else payload.get("messages")
        before = (
            messages if isinstance(messages, list) else [{"role": "user", "content": payload.get("prompt")}]
        )
        answer, other = _answer_text(preferred), _answer_text(rejected)
    else:
        messages = payload.get("messages")
        messages = messages if isinstance(messages, list) else []
        before, answer, other = messages[:-1], content_text(messages[-1]) if messages else "", None
    system_messages: list[dict[str, Any]] = []
    rest: list[dict[str, Any]] = []
    for message in before:
        if isinstance(message, dict):
            (system_messages if message.get("role") in ("system", "developer") else rest).append(message)
    system = "\n".join(map(content_text, system_messages))
    single = len(rest) == 1
    asked = (
        content_text(rest[0]) if single else "\n".join(f"{m.get('role')}: {content_text(m)}" for m in rest)
    )
    opening = "" if single else "\n".join(content_text(m) for m in rest[:2])
    turns = 1 + sum(m.get("role") == "assistant" for m in rest)
    return Parts(system, asked, answer, other, turns, opening if turns > 1 else "")


def content_text(message: Any) -> str:
    """What a message says: its content, and the tools that it calls."""
    if not isinstance(message, dict):
        return message if isinstance(message, str) else ""
    content = message.get("content")
    text = content if isinstance(content, str) else ""
    if isinstance(content, list):
        text = "\n".join(part.get("text") or "" for part in content if isinstance(part, Mapping))
    calls = message.get("tool_calls")
    if calls:
        text += json.dumps(calls, sort_keys=True, ensure_ascii=False)
    return text


def _answer_text(value: Any) -> str:
    if isinstance(value, list):
        return content_text(value[-1]) if value else ""
    return value if isinstance(value, str) else content_text(value)


def strings_in(value: Any) -> list[str]:
    """Every text in a payload, in order, roles and keys left out."""
    found: list[str] = []
    _collect([value], found)
    return found


def _collect(items: Iterable[Any], found: list[str]) -> None:
    for item in items:
        if isinstance(item, str):
            found.append(item)
        elif isinstance(item, list):
            _collect(item, found)
        elif isinstance(item, dict):
            _collect([part for name, part in item.items() if name != "role"], found)
