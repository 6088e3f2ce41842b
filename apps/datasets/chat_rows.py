"""Checking one line of a chat-format file: `{"messages": [{"role": …, "content": …}, …], …}`.

A row that passes can be trained on and stored in Postgres as it is. Keys that are not known here are kept.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from apps.core.canonical import canonical_json, sha256_hex
from apps.datasets.chat_tools import tool_call_problems, tools_problems
from apps.datasets.json_text import UnreadableJsonError, decoded_json
from apps.datasets.problems import RowProblem, excerpt
from apps.datasets.quick_rows import quick_messages

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
PROBLEMS_A_LINE = 5


@dataclass(slots=True)
class ChatRow:
    """A row that passed. `json_text` is the line itself, or that of a payload made from it; `text` is for search."""

    json_text: str
    payload: dict[str, Any]
    content_hash: str
    text: str


def check_row(data: bytes) -> ChatRow | list[RowProblem]:
    """The row of a line (without its line end), or everything that is wrong with it."""
    try:
        value = decoded_json(data)
    except UnreadableJsonError as error:
        return error.problems[:PROBLEMS_A_LINE]
    return check_chat(value, data.decode())


def check_chat(value: Any, json_text: str) -> ChatRow | list[RowProblem]:
    """The row of a decoded line, which is `json_text`."""
    if not isinstance(value, dict):
        return [
            RowProblem(
                "not_an_object",
                f'The line is {kind_of(value)}. Every line must be an object: {{"messages": […]}}.',
                "$",
                excerpt(json_text),
            )
        ]
    if value.get("tools") is None and "rejected" not in value:
        plain = quick_messages(value.get("messages"))
        if plain is not None:
            return ChatRow(json_text, value, sha256_hex(plain[0]), plain[1])
    problems = check_messages(value)
    if problems:
        return problems[:PROBLEMS_A_LINE]
    messages = value["messages"]
    contents = [message["content"] for message in messages if message.get("content")]
    return ChatRow(json_text, value, content_hash_of(value), "\n".join(contents))


def content_hash_of(payload: dict[str, Any]) -> str:
    """What makes two rows duplicates: their messages; of a preference pair the refused answer, too."""
    messages = payload["messages"]
    refused = rejected_of(payload)
    if refused is None:
        return sha256_hex(canonical_json(messages))
    return sha256_hex(canonical_json({"messages": messages, "rejected": refused}))


def rejected_of(payload: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The refused answer of a preference pair as a list of messages; None: the row is no pair."""
    refused = payload.get("rejected")
    if (
        isinstance(refused, list)
        and refused
        and all(isinstance(message, dict) and message.get("role") in ROLES for message in refused)
    ):
        return refused
    return None


def answer_of(payload: dict[str, Any]) -> str:
    """What the model is to learn to say: the content of the last message."""
    return (payload["messages"][-1].get("content") or "").strip()


# --- Messages -----------------------------------------------------------------------------------------------


def check_messages(row: dict[str, Any]) -> list[RowProblem]:
    """What keeps the conversation from being trained on."""
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        return [_no_messages(row)]
    problems = [
        problem for index, message in enumerate(messages) for problem in _check_message(message, index)
    ]
    return problems or tools_problems(row) or _check_order(messages)


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
        else f'"messages" is {kind_of(value)}; it must be a list of messages.'
    )
    return RowProblem("no_messages", message, "$.messages", shown(value))


def _check_message(message: Any, index: int) -> Iterator[RowProblem]:
    path = f"$.messages[{index}]"
    if not isinstance(message, dict):
        yield RowProblem(
            "not_a_message",
            f'A message must be an object with "role" and "content"; this is {kind_of(message)}.',
            path,
            shown(message),
        )
        return
    role = message.get("role")
    if role not in ROLES:
        yield _unknown_role(message, path)
        return
    if message.get("weight") not in (None, 0, 1) or isinstance(message.get("weight"), bool):
        yield RowProblem(
            "bad_weight",
            "A weight must be 0 (not trained on) or 1 (trained on).",
            f"{path}.weight",
            shown(message["weight"]),
        )
    yield from tool_call_problems(message, path)
    content = message.get("content")
    calls_tools = role == "assistant" and isinstance(message.get("tool_calls"), list)
    if not isinstance(content, str):
        if content is None and calls_tools and message["tool_calls"]:
            return
        what = 'there is no "content"' if "content" not in message else f"content is {kind_of(content)}"
        yield RowProblem(
            "content_not_text",
            f"Content must be a text; here {what}. Pictures and lists of parts can't be trained on.",
            f"{path}.content",
            shown(content),
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
    named = f"“{excerpt(role)}”" if isinstance(role, str) else kind_of(role).capitalize()
    return RowProblem("unknown_role", f"{named} is not a role; {advice}.", f"{path}.role", shown(role))


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


def kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, list):
        return "a list"
    return "an object" if isinstance(value, dict) else "a number"


def shown(value: Any) -> str:
    return excerpt(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)[:1000])
