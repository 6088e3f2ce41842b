"""What can be done to a row's messages, as plain functions: each gives what comes out, or None if nothing changes.

Every other key of the row stays as it is.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

Row = dict[str, Any]
Edit = Callable[[Row], "Row | None"]

PLACES = {
    "everywhere": "in all messages",
    "answers": "in the assistant's messages",
    "questions": "in the user's messages",
    "system": "in the system prompt",
}
_ROLES_OF_PLACE = {
    "everywhere": None,
    "answers": ("assistant",),
    "questions": ("user",),
    "system": ("system", "developer"),
}
_SYSTEM = ("system", "developer")


def encoded(row: Mapping[str, Any]) -> bytes:
    """A row that was edited, as the line that it would be in a file."""
    return json.dumps(row, ensure_ascii=False).encode()


def replace_text(row: Row, *, find: str, replacement: str, place: str = "everywhere") -> Row | None:
    roles = _ROLES_OF_PLACE[place]
    changed = False
    messages = []
    for message in row["messages"]:
        content = message.get("content")
        if isinstance(content, str) and find in content and (roles is None or message["role"] in roles):
            message = message | {"content": content.replace(find, replacement)}  # noqa: PLW2901
            changed = True
        messages.append(message)
    return row | {"messages": messages} if changed else None


def set_system_prompt(row: Row, *, text: str) -> Row | None:
    """One system message with this text at the beginning, in the place of any that were there."""
    first = row["messages"][0]
    role = first["role"] if first["role"] in _SYSTEM else "system"
    rest = [message for message in row["messages"] if message["role"] not in _SYSTEM]
    messages = [{"role": role, "content": text}, *rest]
    return None if messages == row["messages"] else row | {"messages": messages}


def strip_system_prompt(row: Row) -> Row | None:
    rest = [message for message in row["messages"] if message["role"] not in _SYSTEM]
    return None if len(rest) == len(row["messages"]) else row | {"messages": rest}


def edit_of(action: str, parameters: Mapping[str, Any]) -> Edit:
    """The function behind an action on many rows, with what the person filled in."""
    if action == "replace":
        return lambda row: replace_text(
            row,
            find=parameters["find"],
            replacement=parameters["replacement"],
            place=parameters["place"],
        )
    if action == "set_system":
        return lambda row: set_system_prompt(row, text=parameters["text"])
    if action == "strip_system":
        return strip_system_prompt
    raise ValueError(f"{action} does not edit messages")
