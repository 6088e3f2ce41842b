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
class ChatMessage:
    role: str
    """One of the known roles, or "other"; safe as part of a CSS class."""
    label: str
    text: str | None
    """None: the message has no content at all."""
    extra: str
    """What else it carries (tool calls, name, weight) as indented JSON, or empty."""


def _text(content: object) -> str | None:
    if content is None or isinstance(content, str):
        return content
    if isinstance(content, list) and all(
        isinstance(part, Mapping) and isinstance(part.get("text"), str) and part.get("type", "text") == "text"
        for part in content
    ):
        return "\n".join(part["text"] for part in content)
    return json.dumps(content, ensure_ascii=False, indent=2, default=str)


def chat_message(message: Mapping[str, Any]) -> ChatMessage:
    role = str(message.get("role", ""))
    others = {
        name: value
        for name, value in message.items()
        if name not in ("role", "content") and value is not None
    }
    return ChatMessage(
        role=role if role in ROLE_LABELS else "other",
        label=ROLE_LABELS.get(role, role or "No role"),
        text=_text(message.get("content")),
        extra=json.dumps(others, ensure_ascii=False, indent=2, default=str) if others else "",
    )
