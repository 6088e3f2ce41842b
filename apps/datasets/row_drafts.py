"""A row while somebody edits it: its turns as fields of a form, and the way there and back. Nothing is stored here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from apps.datasets.chat_rows import ROLES
from apps.datasets.problems import RowProblem
from apps.datasets.row_edits import encoded

TURNS_LIMIT = 1000


@dataclass(frozen=True)
class Turn:
    role: str
    content: str
    extra: str = ""
    """What else the message carries (tool calls, name, weight), as JSON."""
    problems: tuple[str, ...] = ()

    @property
    def lines(self) -> int:
        """How high its field should be."""
        return min(16, max(2, sum(1 + len(line) // 90 for line in self.content.splitlines())))

    @property
    def roles(self) -> tuple[str, ...]:
        return ROLES if self.role in ROLES else (*ROLES, self.role)


@dataclass(frozen=True)
class RowDraft:
    turns: tuple[Turn, ...]
    others: str = ""
    """What the row holds besides its messages, as JSON."""
    problems: tuple[str, ...] = field(default=())
    """What is wrong with the row as a whole."""


def empty_draft() -> RowDraft:
    return RowDraft((Turn("user", ""), Turn("assistant", "")))


def draft_of(payload: Mapping[str, Any]) -> RowDraft:
    turns = []
    for message in payload.get("messages") or ():
        rest = {name: value for name, value in message.items() if name not in ("role", "content")}
        content = message.get("content")
        turns.append(
            Turn(
                str(message.get("role", "")),
                content if isinstance(content, str) else "",
                _pretty(rest) if rest else "",
            )
        )
    others = {name: value for name, value in payload.items() if name != "messages"}
    return RowDraft(tuple(turns), _pretty(others) if others else "")


def draft_from(roles: Sequence[str], contents: Sequence[str], extras: Sequence[str], others: str) -> RowDraft:
    """What the form sent. A browser ends lines with CR LF, whatever the text had."""
    count = min(len(roles), len(contents), TURNS_LIMIT)
    padded = [*extras[:count], *[""] * (count - len(extras))]
    turns = tuple(
        Turn(role, content.replace("\r\n", "\n"), extra.strip())
        for role, content, extra in zip(roles[:count], contents[:count], padded, strict=True)
    )
    return RowDraft(turns, others.strip())


def rearranged(draft: RowDraft, step: str) -> RowDraft:
    """After one of the buttons: `up:2`, `down:2`, `delete:2`, `add:2` (after turn 2; counted from 0)."""
    name, _, number = step.partition(":")
    turns = list(draft.turns)
    index = int(number) if number.lstrip("-").isdigit() else -1
    if name == "add" and len(turns) < TURNS_LIMIT:
        place = min(max(index + 1, 0), len(turns))
        previous = turns[place - 1].role if place else "system"
        turns.insert(place, Turn("assistant" if previous in ("user", "tool") else "user", ""))
    elif not 0 <= index < len(turns):
        return draft
    elif name == "delete":
        del turns[index]
    elif name in ("up", "down"):
        other = index + (-1 if name == "up" else 1)
        if 0 <= other < len(turns):
            turns[index], turns[other] = turns[other], turns[index]
    return replace(draft, turns=tuple(turns))


def raw_of(draft: RowDraft, base: Mapping[str, Any] | None, base_raw: bytes = b"") -> bytes | RowDraft:
    """The row as a line; the bytes that were there before if nothing changed; the draft with its problems if some
    field holds no JSON."""
    turns, messages, broken = [], [], False
    kept = _kept_texts(base)
    for turn in draft.turns:
        extra, problem = _object(turn.extra)
        broken = broken or bool(problem)
        turns.append(replace(turn, problems=(problem,) if problem else ()))
        content: str | None = kept.get(turn.content, turn.content)
        if not turn.content and "tool_calls" in extra:
            content = None
        messages.append({"role": turn.role, "content": content} | extra)
    others, problem = _object(draft.others)
    if "messages" in others:
        problem = "The messages have fields of their own above; leave them out here."
    if broken or problem:
        return RowDraft(tuple(turns), draft.others, (problem,) if problem else ())
    row = _as_before(base, others, messages)
    return base_raw if base is not None and row == base else encoded(row)


def with_problems(draft: RowDraft, problems: Sequence[RowProblem]) -> RowDraft:
    """Each problem at the turn that it is about."""
    turns = [replace(turn, problems=()) for turn in draft.turns]
    general = []
    for problem in problems:
        number = problem.path.removeprefix("$.messages[").partition("]")[0]
        if problem.path.startswith("$.messages[") and number.isdigit() and int(number) < len(turns):
            turn = turns[int(number)]
            turns[int(number)] = replace(turn, problems=(*turn.problems, problem.message))
        else:
            general.append(problem.message)
    return RowDraft(tuple(turns), draft.others, tuple(general))


def _as_before(
    base: Mapping[str, Any] | None, others: Mapping[str, Any], messages: list[dict[str, Any]]
) -> dict[str, Any]:
    """The keys in the order in which the row had them; a message that means the same stays as it was."""
    known = {_meaning(message): message for message in (base or {}).get("messages") or ()}
    kept = [known.get(_meaning(message), message) for message in messages]
    whole = {"messages": kept, **others}
    names = [name for name in (base or {}) if name in whole]
    return {name: whole[name] for name in (*names, *(name for name in whole if name not in names))}


def _meaning(message: Mapping[str, Any]) -> str:
    return json.dumps({**message, "content": message.get("content") or ""}, sort_keys=True)


def _kept_texts(base: Mapping[str, Any] | None) -> dict[str, str]:
    """Texts with line ends that a form can't carry, by what the form makes of them."""
    contents = [message.get("content") for message in (base or {}).get("messages") or ()]
    texts = [content for content in contents if isinstance(content, str) and "\r" in content]
    return {text.replace("\r\n", "\n").replace("\r", "\n"): text for text in texts}


def _object(text: str) -> tuple[dict[str, Any], str]:
    if not text:
        return {}, ""
    try:
        value = json.loads(text)
    except ValueError as error:
        return {}, f"This is no valid JSON: {error}."
    return (value, "") if isinstance(value, dict) else ({}, 'This must be an object: {"name": …}.')


def _pretty(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
