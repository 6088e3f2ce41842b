"""What differs between two conversations, message by message; the words of a changed one are compared on the page."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

from apps.core.chat import ROLE_LABELS

Kind = Literal["same", "changed", "added", "removed"]
Message = Mapping[str, Any]


@dataclass(frozen=True)
class MessageDifference:
    kind: Kind
    label: str
    """Whose message; `User → Assistant` where the role changed."""
    before: str
    after: str
    extra_before: str = ""
    extra_after: str = ""
    """What else the message carries, where that differs."""

    @property
    def has_extra(self) -> bool:
        return self.extra_before != self.extra_after


def message_differences(before: Sequence[Message], after: Sequence[Message]) -> list[MessageDifference]:
    """In the order of the conversation. Messages that stand at the same place of a change and have one role are
    taken for two forms of one message."""
    first, second = [_identity(message) for message in before], [_identity(message) for message in after]
    result: list[MessageDifference] = []
    for op, i1, i2, j1, j2 in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        if op == "equal":
            result += [_difference("same", message, message) for message in after[j1:j2]]
        else:
            result += _block(before[i1:i2], after[j1:j2])
    return result


def _block(before: Sequence[Message], after: Sequence[Message]) -> list[MessageDifference]:
    paired = min(len(before), len(after))
    result = [_difference("changed", old, new) for old, new in zip(before, after, strict=False)]
    result += [_difference("removed", message, None) for message in before[paired:]]
    result += [_difference("added", None, message) for message in after[paired:]]
    return result


def _difference(kind: Kind, before: Message | None, after: Message | None) -> MessageDifference:
    labels = [_label(message) for message in (before, after) if message is not None]
    return MessageDifference(
        kind,
        labels[0] if labels[0] == labels[-1] else " → ".join(labels),
        _text(before),
        _text(after),
        _extra(before),
        _extra(after),
    )


def _identity(message: Message) -> str:
    return json.dumps(message, sort_keys=True, ensure_ascii=False)


def _label(message: Message) -> str:
    role = str(message.get("role", ""))
    return ROLE_LABELS.get(role, role or "No role")


def _text(message: Message | None) -> str:
    content = (message or {}).get("content")
    if content is None or isinstance(content, str):
        return content or ""
    return json.dumps(content, ensure_ascii=False, indent=2)


def _extra(message: Message | None) -> str:
    rest = {name: value for name, value in (message or {}).items() if name not in ("role", "content")}
    return json.dumps(rest, ensure_ascii=False, indent=2, sort_keys=True) if rest else ""
