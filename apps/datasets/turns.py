"""Prompts, answers and turns as other formats write them, made into messages."""

import json
import re
from typing import Any

from apps.datasets.chat_rows import OTHER_NAMES, ROLES, kind_of

_TOOL_NAMES = frozenset({"observation", "function_response", "tool_response", "tool"})
_SPEAKER = re.compile(r"(?:\A|\n\n)(Human|Assistant):")
_CALL_NAMES = frozenset({"function_call", "tool_call"})


class TurnsError(Exception):
    """A value that no message can be made of; `part` is the part of the preset, `path` the place inside it."""

    def __init__(
        self, message: str, part: str, value: Any, path: str = "", code: str = "field_not_text"
    ) -> None:
        super().__init__(message)
        self.part, self.value, self.path, self.code = part, value, path, code


def prompt_messages(value: Any, part: str) -> list[dict[str, Any]]:
    """A prompt as messages: a text is the user's."""
    return _as_messages(value, part, "user")


def answer_messages(value: Any, part: str) -> list[dict[str, Any]]:
    """An answer as messages: a text is the assistant's."""
    return _as_messages(value, part, "assistant")


def _as_messages(value: Any, part: str, role: str) -> list[dict[str, Any]]:
    if isinstance(value, str):
        return [{"role": role, "content": value}]
    if isinstance(value, bool | int | float):
        return [{"role": role, "content": json.dumps(value)}]
    if isinstance(value, dict):
        value = [value]
    if isinstance(value, list) and all(isinstance(message, dict) for message in value):
        return sharegpt_messages(value, part) if any("from" in message for message in value) else value
    raise TurnsError(f"A text or a list of messages is needed; this is {kind_of(value)}.", part, value)


def pair(prompt: Any, chosen: Any, refused: Any) -> dict[str, Any]:
    """A preference pair: the prompt with the chosen answer as `messages`, the other answer as `rejected`.

    Without a prompt both answers are whole conversations, and what they begin with alike is the prompt.
    """
    if prompt is None and isinstance(chosen, str) and isinstance(refused, str):
        chosen, refused = _transcript(chosen) or chosen, _transcript(refused) or refused
    better, worse = answer_messages(chosen, "chosen"), answer_messages(refused, "rejected")
    if prompt is None:
        if len(better) < 2 or len(worse) < 2:
            raise TurnsError(
                "There is no prompt, so both answers must be whole conversations.",
                "chosen",
                chosen,
                code="missing_field",
            )
        asked: list[dict[str, Any]] = []
    else:
        asked = prompt_messages(prompt, "prompt")
        if better[: len(asked)] == asked and worse[: len(asked)] == asked:
            better, worse = better[len(asked) :], worse[len(asked) :]
    while len(better) > 1 and len(worse) > 1 and better[0] == worse[0]:
        asked, better, worse = [*asked, better[0]], better[1:], worse[1:]
    if not worse or worse[-1].get("role") != "assistant":
        raise TurnsError(
            "The rejected answer must end with the assistant's message.",
            "rejected",
            refused,
            code="answer_not_last",
        )
    content = worse[-1].get("content")
    if not worse[-1].get("tool_calls") and not (isinstance(content, str) and content.strip()):
        raise TurnsError("The rejected answer is empty.", "rejected", refused, code="empty_answer")
    return {"messages": [*asked, *better], "rejected": worse}


def _transcript(text: str) -> list[dict[str, Any]]:
    """The messages of a conversation that is written down as one text; none where it is no such text."""
    before, *turns = _SPEAKER.split(text.strip())
    if before or len(turns) < 4:
        return []
    roles = {"Human": "user", "Assistant": "assistant"}
    return [
        {"role": roles[who], "content": said.strip()}
        for who, said in zip(turns[::2], turns[1::2], strict=True)
    ]


def whole_tools(tools: list[Any]) -> list[Any]:
    """Tools as chat templates take them, also where only their functions are listed."""
    return [
        {"type": "function", "function": tool}
        if isinstance(tool, dict) and "name" in tool and "function" not in tool
        else tool
        for tool in tools
    ]


def sharegpt_messages(turns: list[Any], part: str) -> list[dict[str, Any]]:
    """Turns with `from` and `value` (or `role` and `content`) as messages."""
    return [_turn(turn, f"[{index}]", part) for index, turn in enumerate(turns)]


def _turn(turn: Any, path: str, part: str) -> dict[str, Any]:
    if not isinstance(turn, dict):
        raise TurnsError(
            f"A turn must be an object; this is {kind_of(turn)}.", part, turn, path, "not_a_message"
        )
    name = turn.get("from", turn.get("role"))
    text = turn.get("value", turn.get("content"))
    plain = name.strip().lower() if isinstance(name, str) else ""
    if plain in _CALL_NAMES:
        return {"role": "assistant", "content": None, "tool_calls": [_call(text, path, part)]}
    role = "tool" if plain in _TOOL_NAMES else OTHER_NAMES.get(plain, plain)
    if role not in ROLES:
        known = "human, gpt, system, function_call and observation"
        raise TurnsError(
            f"“{name}” speaks in no known role; {known} are known.",
            part,
            name,
            f"{path}.from",
            "unknown_role",
        )
    message = {"role": role, "content": text}
    return message | {"weight": turn["weight"]} if turn.get("weight") is not None else message


def _call(text: Any, path: str, part: str) -> dict[str, Any]:
    try:
        call = json.loads(text) if isinstance(text, str) else text
        name, arguments = call["name"], call.get("arguments", {})
    except (ValueError, TypeError, KeyError, AttributeError):
        raise TurnsError(
            'A call of a tool must be {"name": …, "arguments": …}.',
            part,
            text,
            f"{path}.value",
            "bad_tool_call",
        ) from None
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"type": "function", "function": {"name": name, "arguments": written}}
