"""How a variant turns an item into what is sent to the model."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

SYSTEM_ROLES = ("system", "developer")


class Prompted(Protocol):
    """The part of a variant that decides the prompt."""

    system_prompt: str
    few_shot: list[dict[str, str]]


def messages_for(variant: Prompted, item_messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The conversation that is sent: system message, few-shot examples, then the item's own messages.

    A variant with a system prompt replaces the item's leading system messages; without one they stay.
    """
    messages = [dict(message) for message in item_messages]
    leading = 0
    while leading < len(messages) and messages[leading].get("role") in SYSTEM_ROLES:
        leading += 1
    system, rest = messages[:leading], messages[leading:]
    if variant.system_prompt:
        system = [{"role": "system", "content": variant.system_prompt}]
    return [*system, *(dict(message) for message in variant.few_shot), *rest]
