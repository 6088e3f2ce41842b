"""What a row looks like to a labeler: the conversation, the answer that the questions are about, the candidates."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.labeling.answers import ItemTexts


@dataclass(frozen=True)
class ItemContent:
    context: tuple[Mapping[str, Any], ...]
    """The messages before the answer."""
    question: str
    """The last message of the user."""
    answer: str
    """The assistant's answer; empty where the row ends with the question."""
    candidates: tuple[str, ...]
    """Answers to choose between, in the row's own order. Their numbers, from 1, stand in stored answers."""

    @property
    def texts(self) -> ItemTexts:
        return ItemTexts(self.question, self.answer, len(self.candidates))


def content_of(payload: Mapping[str, Any]) -> ItemContent:
    """Of a row in chat format. Candidates: `candidates`, a list of texts; else the answer and the rejected one."""
    messages = list(payload["messages"])
    answer = ""
    if messages and messages[-1].get("role") == "assistant":
        answer = _text(messages.pop())
    asked = next((message for message in reversed(messages) if message.get("role") == "user"), None)
    return ItemContent(tuple(messages), _text(asked) if asked else "", answer, _candidates(payload, answer))


def _candidates(payload: Mapping[str, Any], answer: str) -> tuple[str, ...]:
    given = payload.get("candidates")
    if isinstance(given, list) and given and all(isinstance(one, str) for one in given):
        return tuple(given)
    refused = payload.get("rejected")
    if isinstance(refused, list) and refused and isinstance(refused[-1], Mapping):
        return (answer, _text(refused[-1]))
    return ()


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else ""
