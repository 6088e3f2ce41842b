"""One message of a conversation in chat format, ready to be shown whatever a row of data holds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ROLE_LABELS = {
    "system": "System",
    "developer": "Developer",
    "user": "User",
    "assistant": "Assistant",
    "tool": "Tool",
    "function": "Function",
}


@dataclass(frozen=True)
class ToolCall:
    """A tool that the assistant asks for."""

    name: str
    arguments: str
    """Indented where they are JSON."""
    id: str


@dataclass(frozen=True)
class ChatMessage:
    role: str
    """One of the known roles, or "other"; safe as part of a CSS class."""
    label: str
    text: str | None
    """None: the message has no content at all."""
    extra: str
    """What else it carries (name, weight, calls that can't be read) as indented JSON, or empty."""
    calls: tuple[ToolCall, ...] = ()
    answers: str = ""
    """Of a tool's message: the call that it answers."""


def _text(content: object) -> str | None:
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, list) and all(
        isinstance(part, Mapping) and isinstance(part.get("text"), str) and part.get("type", "text") == "text"
        for part in content
    ):
        return "\n".join(part["text"] for part in content)
    return json.dumps(content, ensure_ascii=False, indent=2, default=str)


def _calls(value: object) -> tuple[ToolCall, ...] | None:
    """The calls of a message; None if they are not in the usual form."""
    if not isinstance(value, list):
        return None
    calls = []
    for call in value:
        function = call.get("function") if isinstance(call, Mapping) else None
        if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
            return None
        calls.append(
            ToolCall(function["name"], _arguments(function.get("arguments")), str(call.get("id") or ""))
        )
    return tuple(calls)


def _arguments(value: object) -> str:
    """Arguments come as a text of JSON, which may be broken: then it is shown as it is."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return str(value)
    return "" if value is None else json.dumps(value, ensure_ascii=False, indent=2, default=str)


def chat_message(message: Mapping[str, Any]) -> ChatMessage:
    role = str(message.get("role", ""))
    calls = _calls(message.get("tool_calls"))
    answers = message.get("tool_call_id") if role == "tool" else None
    shown = (
        {"role", "content"} | ({"tool_calls"} if calls else set()) | ({"tool_call_id"} if answers else set())
    )
    others = {name: value for name, value in message.items() if name not in shown and value is not None}
    return ChatMessage(
        role=role if role in ROLE_LABELS else "other",
        label=ROLE_LABELS.get(role, role or "No role"),
        text=_text(message.get("content")),
        extra=json.dumps(others, ensure_ascii=False, indent=2, default=str) if others else "",
        calls=calls or (),
        answers=str(answers or ""),
    )
