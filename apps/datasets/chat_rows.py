"""Checking one line of a chat-format file: `{"messages": [{"role": …, "content": …}, …], …}`.

A row that passes can be trained on and stored in Postgres as it is. Keys that are not known here are kept.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from apps.core.canonical import canonical_json, sha256_hex
from apps.datasets.problems import RowProblem, excerpt

ROLES = ("system", "developer", "user", "assistant", "tool")
OTHER_NAMES = {
    "human": "user",
    "prompter": "user",
    "customer": "user",
    "gpt": "assistant",
    "bot": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "agent": "assistant",
    "function": "tool",
}
DEPTH_LIMIT = 100
NUMBER_CHARACTERS = 320  # longer than any finite double; Postgres stops far above
EXPONENT_LIMIT = 400
PROBLEMS_A_LINE = 5
EXCERPT_END = 60
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACKETS = re.compile(r"[\[\]{}]")


@dataclass(frozen=True, slots=True)
class ChatRow:
    """A line that passed. `json_text` is the line itself, `text` its message contents, for search."""

    json_text: str
    payload: dict[str, Any]
    content_hash: str
    text: str


class _DuplicateKeyError(Exception):
    pass


class _NotANumberError(Exception):
    pass


class _NumberTooLargeError(Exception):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateKeyError(key)
            seen.add(key)
    return result


def _float(text: str) -> float:
    value = float(text)
    exponent = text.lower().partition("e")[2]
    if (
        value in (float("inf"), float("-inf"))
        or len(text) > NUMBER_CHARACTERS
        or (exponent and abs(int(exponent)) > EXPONENT_LIMIT)
    ):
        raise _NumberTooLargeError(text)
    return value


def _int(text: str) -> int:
    if len(text) > NUMBER_CHARACTERS:
        raise _NumberTooLargeError(text)
    return int(text)


def _constant(text: str) -> float:
    raise _NotANumberError(text)


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_float, parse_int=_int, parse_constant=_constant
)


def check_row(data: bytes) -> ChatRow | list[RowProblem]:
    """The row of a line (without its line end), or everything that is wrong with it."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return [
            RowProblem(
                "not_utf8",
                f"Byte {error.start + 1} of the line is not UTF-8. Save the file as UTF-8 and upload it again.",
                excerpt=excerpt(data.decode("utf-8", "replace"), around=error.start),
                byte=error.start,
            )
        ]
    value = _parse(data, text)
    if isinstance(value, RowProblem):
        return [value]
    if not isinstance(value, dict):
        return [
            RowProblem(
                "not_an_object",
                f'The line is {_kind(value)}. Every line must be an object: {{"messages": […]}}.',
                "$",
                excerpt(text),
            )
        ]
    problems = list(_bad_text(value, "$")) if b"\\u" in data else []
    if not problems:
        problems = check_messages(value)
    if problems:
        return problems[:PROBLEMS_A_LINE]
    messages = value["messages"]
    contents = [message["content"] for message in messages if message.get("content")]
    return ChatRow(text, value, sha256_hex(canonical_json(messages)), "\n".join(contents))


def answer_of(payload: dict[str, Any]) -> str:
    """What the model is to learn to say: the content of the last message."""
    return (payload["messages"][-1].get("content") or "").strip()


# --- JSON ---------------------------------------------------------------------------------------------------


def _parse(data: bytes, text: str) -> Any:
    """The value of the line, or the `RowProblem` that kept it from being read."""
    unsafe = _unsafe_to_parse(data, text)
    if unsafe is not None:
        return unsafe
    try:
        return _decoder.decode(text)
    except _DuplicateKeyError as error:
        return RowProblem(
            "duplicate_key",
            "A key is given twice in one object, so it is unclear which value counts.",
            excerpt=excerpt(str(error)),
        )
    except _NotANumberError as error:
        return RowProblem(
            "not_a_number",
            "NaN and Infinity are no JSON. Write null or a number.",
            excerpt=excerpt(text, around=max(0, text.find(str(error)))),
        )
    except _NumberTooLargeError as error:
        return RowProblem(
            "number_too_large",
            "A number is too large to be kept exactly. Write it as a text in quotes.",
            excerpt=excerpt(str(error)),
        )
    except json.JSONDecodeError as error:
        return _json_problem(text, error)


def _unsafe_to_parse(data: bytes, text: str) -> RowProblem | None:
    nul = data.find(b"\x00")
    if nul >= 0:
        return RowProblem(
            "nul_character",
            "The line holds a NUL character, which text in the database can't. Remove it.",
            excerpt=excerpt(text, around=len(data[:nul].decode())),
            byte=nul,
        )
    if data.count(b"[") + data.count(b"{") > DEPTH_LIMIT and _depth(text) > DEPTH_LIMIT:
        return RowProblem(
            "nested_too_deeply",
            f"Objects and lists are nested more than {DEPTH_LIMIT} deep.",
            excerpt=excerpt(text),
        )
    return None


def _json_problem(text: str, error: json.JSONDecodeError) -> RowProblem:
    byte = len(text[: error.pos].encode("utf-8"))
    cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
    if cut and text.lstrip()[:1] in ("{", "["):
        return RowProblem(
            "cut_json",
            "The line ends in the middle of its JSON. One whole object must stand on one line.",
            excerpt=excerpt(text, around=max(0, len(text) - EXCERPT_END)),
            byte=byte,
        )
    reason = error.msg[:1].lower() + error.msg[1:]
    return RowProblem(
        "not_json",
        f"The line is no valid JSON: {reason}, at character {error.pos + 1}.",
        excerpt=excerpt(text, around=error.pos),
        byte=byte,
    )


def _depth(text: str) -> int:
    """How deep brackets nest, those inside strings left out."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _bad_text(value: Any, path: str) -> Iterator[RowProblem]:
    """Characters that JSON can escape and Postgres can't store, in values and in keys."""
    if isinstance(value, str):
        if "\x00" in value:
            yield RowProblem(
                "nul_character",
                "The text holds an escaped NUL character (\\u0000), which text in the database can't. Remove it.",
                path,
                excerpt(value, around=value.index("\x00")),
            )
        position = next((i for i, c in enumerate(value) if "\ud800" <= c <= "\udfff"), None)
        if position is not None:
            yield RowProblem(
                "lone_surrogate",
                f"\\u{ord(value[position]):04x} is half of a character; its other half is missing. The text was cut"
                " in the middle of an emoji or a rare letter.",
                path,
                excerpt(value, around=position),
            )
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _bad_text(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _bad_text(key, f"{path} (key)")
            yield from _bad_text(item, f"{path}.{excerpt(key)}")


# --- Messages -----------------------------------------------------------------------------------------------


def check_messages(row: dict[str, Any]) -> list[RowProblem]:
    """What keeps the conversation from being trained on."""
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        return [_no_messages(row)]
    problems = [
        problem for index, message in enumerate(messages) for problem in _check_message(message, index)
    ]
    return problems or _check_order(messages)


def _no_messages(row: dict[str, Any]) -> RowProblem:
    if "messages" not in row:
        found = excerpt(", ".join(row))
        hint = ""
        if {"prompt", "completion"} <= row.keys():
            hint = (
                " This is a prompt/completion row: write the prompt as a user message and the completion as the"
                " assistant's."
            )
        elif "conversations" in row:
            hint = (
                " This is a ShareGPT row: rename conversations to messages, from to role, value to content."
            )
        elif {"instruction", "output"} <= row.keys():
            hint = " This is an Alpaca row: write instruction and input as a user message, output as the assistant's."
        return RowProblem("no_messages", f'The object has no "messages".{hint}', "$", found)
    value = row["messages"]
    message = (
        "The list of messages is empty."
        if value == []
        else f'"messages" is {_kind(value)}; it must be a list of messages.'
    )
    return RowProblem("no_messages", message, "$.messages", _shown(value))


def _check_message(message: Any, index: int) -> Iterator[RowProblem]:
    path = f"$.messages[{index}]"
    if not isinstance(message, dict):
        yield RowProblem(
            "not_a_message",
            f'A message must be an object with "role" and "content"; this is {_kind(message)}.',
            path,
            _shown(message),
        )
        return
    role = message.get("role")
    if role not in ROLES:
        yield _unknown_role(message, path)
        return
    content = message.get("content")
    calls_tools = role == "assistant" and isinstance(message.get("tool_calls"), list)
    if not isinstance(content, str):
        if content is None and calls_tools and message["tool_calls"]:
            return
        what = 'there is no "content"' if "content" not in message else f"content is {_kind(content)}"
        yield RowProblem(
            "content_not_text",
            f"Content must be a text; here {what}. Pictures and lists of parts can't be trained on.",
            f"{path}.content",
            _shown(content),
        )
    elif not content.strip() and not calls_tools:
        if role == "assistant":
            yield RowProblem(
                "empty_answer",
                "The assistant's answer is empty: the model would learn to say nothing.",
                f"{path}.content",
                excerpt(content),
            )
        elif role == "user":
            yield RowProblem(
                "empty_message", "The user's message is empty.", f"{path}.content", excerpt(content)
            )


def _unknown_role(message: dict[str, Any], path: str) -> RowProblem:
    role = message.get("role")
    if "role" not in message:
        text = "The message has no role."
        return RowProblem("unknown_role", text, f"{path}.role", excerpt(", ".join(message)))
    known = OTHER_NAMES.get(role.lower()) if isinstance(role, str) else None
    if isinstance(role, str) and role.strip().lower() in ROLES:
        known = role.strip().lower()
    advice = f'write "{known}"' if known else "use system, user, assistant or tool"
    named = f"“{excerpt(role)}”" if isinstance(role, str) else _kind(role).capitalize()
    return RowProblem("unknown_role", f"{named} is not a role; {advice}.", f"{path}.role", _shown(role))


def _check_order(messages: list[dict[str, Any]]) -> list[RowProblem]:
    roles = [message["role"] for message in messages]
    if "assistant" not in roles:
        return [
            RowProblem(
                "no_answer",
                "No message is the assistant's, so there is nothing to learn from.",
                "$.messages",
                " → ".join(roles)[:200],
            )
        ]
    problems = []
    previous = "system"
    for index, role in enumerate(roles):
        reason = _out_of_order(previous, role, messages[index - 1] if index else {})
        if reason:
            shown = " → ".join(roles[max(0, index - 2) : index + 1])
            problems.append(RowProblem("role_order", reason, f"$.messages[{index}].role", shown))
            break
        previous = role
    if roles[-1] != "assistant":
        problems.append(
            RowProblem(
                "answer_not_last",
                f"The last message is the {roles[-1]}'s. A row must end with the assistant's answer.",
                f"$.messages[{len(roles) - 1}].role",
                " → ".join(roles)[-200:],
            )
        )
    return problems


def _out_of_order(previous: str, role: str, before: dict[str, Any]) -> str:
    """Why `role` may not follow `previous`; empty when it may. Before the first message stands "system"."""
    if role in ("system", "developer"):
        return (
            "" if previous in ("system", "developer") else "A system message may only stand at the beginning."
        )
    if role == "user" and previous == "user":
        return "Two user messages follow each other; most chat templates refuse that. Join them."
    if role == "assistant" and previous in ("system", "developer"):
        return "The assistant speaks before the user."
    if role == "assistant" and previous == "assistant":
        return "Two assistant messages follow each other; most chat templates refuse that. Join them."
    if role == "tool" and previous != "tool" and not (previous == "assistant" and before.get("tool_calls")):
        return "A tool's message must follow the assistant's call of a tool."
    return ""


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, list):
        return "a list"
    return "an object" if isinstance(value, dict) else "a number"


def _shown(value: Any) -> str:
    return excerpt(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)[:1000])
