"""Reading a file of test items: JSON lines with `messages`, `expected` and, if wanted, `skill`."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from apps.core.errors import PortalError

PROBLEMS_SHOWN = 10
LONGEST_LINE = 1_000_000
_OF_CALLS = ("tool_calls", "tool_call_id", "name")
ROLES = frozenset({"system", "developer", "user", "assistant", "tool"})


class ItemsFileError(PortalError):
    """The file holds no usable items; `problems` name the lines."""

    code = "bad_items"

    def __init__(self, message: str, problems: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.problems = list(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDraft:
    """One item before it is frozen."""

    messages: list[dict[str, Any]]
    expected: str
    tools: list[dict[str, Any]] = field(default_factory=list)
    group: str = ""
    skill: str = ""
    example_id: int | None = None
    content_hash: str = ""


@dataclass(slots=True)
class _Reading:
    items: list[ItemDraft] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read_items(lines: Iterable[bytes]) -> list[ItemDraft]:
    """The items of a file. A file with any bad line is refused as a whole, and the bad lines are named."""
    reading = _Reading()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            reading.items.append(_item(line))
        except ValueError as error:
            reading.problems.append(f"Line {number}: {error}")
    if reading.problems:
        count = len(reading.problems)
        shown = " ".join(reading.problems[:PROBLEMS_SHOWN])
        more = f" And {count - PROBLEMS_SHOWN} more." if count > PROBLEMS_SHOWN else ""
        raise ItemsFileError(
            f"{count} {'line' if count == 1 else 'lines'} cannot be used; nothing was saved. {shown}{more}",
            reading.problems,
        )
    if not reading.items:
        raise ItemsFileError(
            'The file holds no items. Each line is {"messages": […], "expected": "…"}; "skill" may be added.'
        )
    return reading.items


def split_answer(messages: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], str]:
    """What is asked and what is expected: the last message, which must be the assistant's."""
    if len(messages) < 2 or messages[-1].get("role") != "assistant":
        raise ValueError("the last message is not an assistant's answer.")
    if messages[-1].get("tool_calls"):
        raise ValueError("the expected answer is a call of a tool, and only texts are compared.")
    return [_message(message) for message in messages[:-1]], _content(messages[-1])


def _item(line: bytes) -> ItemDraft:
    if len(line) > LONGEST_LINE:
        raise ValueError("longer than a megabyte.")
    try:
        row = json.loads(line.decode("utf-8-sig"))
    except RecursionError as error:
        raise ValueError("objects and lists are nested too deeply.") from error
    except ValueError as error:
        raise ValueError(f"not valid JSON ({error}).") from error
    messages = row.get("messages") if isinstance(row, dict) else None
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise ValueError("“messages” is not a list of messages.")
    skill = row.get("skill", "")
    group = row.get("group", "")
    if not _is_text(skill) or not _is_text(group):
        raise ValueError("“skill” and “group” must be plain text.")
    if "expected" in row:
        if not _is_text(row["expected"]) or not row["expected"].strip():
            raise ValueError("“expected” is not plain text, or is empty.")
        asked, expected = [_message(message) for message in messages], row["expected"]
        if asked[-1]["role"] == "assistant":
            raise ValueError("the last message is the assistant's; leave it out, it stands in “expected”.")
    else:
        asked, expected = split_answer(messages)
    if not any(message["role"] == "user" for message in asked):
        raise ValueError("no message of a user.")
    return ItemDraft(
        messages=asked, expected=expected, tools=tools_of(row), skill=skill[:60], group=group[:200]
    )


def tools_of(row: dict[str, Any]) -> list[dict[str, Any]]:
    """What the answer of a row may call."""
    tools = row.get("tools") or []
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise ValueError("“tools” is not a list of tools.")
    return tools


def _message(message: dict[str, Any]) -> dict[str, Any]:
    role = message.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise ValueError(f"“{role}” is not a role.")
    calls = {name: message[name] for name in _OF_CALLS if message.get(name)}
    if "tool_calls" in calls and message.get("content") is None:
        return {"role": role, "content": "", **calls}
    return {"role": role, "content": _content(message), **calls}


def _content(message: dict[str, Any]) -> str:
    content = message.get("content")
    if not _is_text(content):
        raise ValueError("the content of a message is not plain text.")
    return content


def _is_text(value: Any) -> TypeGuard[str]:
    """Text that can be stored: neither NUL nor half of a character (a lone surrogate), which JSON can escape."""
    return isinstance(value, str) and not any(c == "\x00" or "\ud800" <= c <= "\udfff" for c in value)
