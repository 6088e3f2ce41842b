"""Rows in the training formats of providers that differ from OpenAI's, and what each of them can't carry.

Shapes as the providers document them (2026): Together and Fireworks take OpenAI's lines with roles and tools, and
refuse files in which a second format could be read; Gemini on Vertex takes `contents` with parts; Bedrock takes
Converse messages for Nova and open weights, and a top-level `system` for Claude. LLaMA-Factory (0.9) reads a system
message only as the first one, skips rows that do not alternate and knows no weights; Axolotl (0.19) takes a yes or no
for every message.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from apps.datasets.chat_rows import rejected_of
from apps.datasets.exports import ExportRow, parts_of

TOOLS, CALLS, WEIGHTS, DEVELOPER, SYSTEMS, NAMES, PAIR, LONG_PAIR, OTHER = (
    "tools",
    "calls",
    "weights",
    "developer",
    "systems",
    "names",
    "pair",
    "long_pair",
    "other",
)
FEATURES: dict[str, str] = {
    TOOLS: "a list of tools",
    CALLS: "calls of tools",
    WEIGHTS: "answers that are not to be trained on (weight 0)",
    DEVELOPER: "the developer role (its messages become system messages)",
    SYSTEMS: "the border between system messages (they become one)",
    NAMES: "names of speakers",
    PAIR: "a rejected answer",
    LONG_PAIR: "a rejected answer of several messages",
    OTHER: "fields beside the conversation",
}
"""What a row may hold that some format can't carry, in words for a page."""
_CARRIED_EVERYWHERE = {"messages", "rejected", "tools", "parallel_tool_calls"}
_SYSTEM = ("system", "developer")


def features_of(payload: Mapping[str, Any]) -> str:
    """What of `FEATURES` the row holds, joined by commas; empty for a plain conversation."""
    found = set()
    if payload.get("tools"):
        found.add(TOOLS)
    for message in payload["messages"]:
        if message.get("tool_calls") or message["role"] == "tool":
            found.add(CALLS)
        if message.get("weight") == 0:
            found.add(WEIGHTS)
        if message["role"] == "developer":
            found.add(DEVELOPER)
        if message.get("name"):
            found.add(NAMES)
    if len(payload["messages"]) > 1 and payload["messages"][1]["role"] in _SYSTEM:
        found.add(SYSTEMS)  # they stand nowhere but at the beginning
    refused = rejected_of(payload)  # type: ignore[arg-type]
    if refused is not None:
        found.add(PAIR)
        if len(refused) > 1 or refused[0].get("tool_calls"):
            found.add(LONG_PAIR)
    if not payload.keys() <= _CARRIED_EVERYWHERE:
        found.add(OTHER)
    return ",".join(sorted(found))


@dataclass(frozen=True)
class ProviderFormat:
    """`left_out` are features whose rows the format can't carry at all; `dropped` are lost while the row stays."""

    key: str
    label: str
    note: str
    write_row: Callable[[ExportRow], dict[str, Any] | None]
    left_out: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    needs: str = ""
    """A feature without which a row is left out."""

    def write(self, rows: Iterable[ExportRow]) -> Iterator[bytes]:
        for row in rows:
            line = self.write_row(row)
            if line is not None:
                yield msgspec.json.encode(line) + b"\n"

    def losses(self, counts: Mapping[str, int]) -> "Losses":
        """`counts`: features of a row, joined by commas -> rows that hold exactly these."""
        left_out, dropped = 0, dict.fromkeys(self.dropped, 0)
        reasons: set[str] = set()
        for joined, rows in counts.items():
            held = set(joined.split(",")) - {""}
            why = [f"with {FEATURES[each]}" for each in self.left_out if each in held]
            if self.needs and self.needs not in held:
                why = [f"without {FEATURES[self.needs]}"]
            if why:
                left_out += rows
                reasons.update(why)
                continue
            for feature in self.dropped:
                dropped[feature] += rows if feature in held else 0
        return Losses(
            left_out, {feature: rows for feature, rows in dropped.items() if rows}, tuple(sorted(reasons))
        )


@dataclass(frozen=True)
class Losses:
    left_out: int
    """Rows that are not in the file."""
    dropped: dict[str, int]
    """Feature -> rows in the file that lost it."""
    reasons: tuple[str, ...] = ()
    """Why rows are left out, in words: with calls of tools."""


# --- OpenAI's lines, as Together and Fireworks take them ----------------------------------------------------


def _openai_row(row: ExportRow) -> dict[str, Any]:
    """Nothing but what the provider reads: another key could be taken for a second format."""
    line: dict[str, Any] = {"messages": [_renamed(message) for message in row.payload["messages"]]}
    return line | {name: row.payload[name] for name in ("tools",) if row.payload.get(name)}


def _renamed(message: dict[str, Any]) -> dict[str, Any]:
    return message | {"role": "system"} if message["role"] == "developer" else message


def _openai_pair(row: ExportRow) -> dict[str, Any] | None:
    refused = rejected_of(row.payload)
    if refused is None:
        return None
    prompt, answer = parts_of(row.payload)
    asked: dict[str, Any] = {"messages": [_renamed(message) for message in prompt]}
    if row.payload.get("tools"):
        asked["tools"] = row.payload["tools"]
    return {"input": asked, "preferred_output": answer, "non_preferred_output": refused}


# --- Gemini -------------------------------------------------------------------------------------------------


def _gemini_row(row: ExportRow) -> dict[str, Any] | None:
    if _calls_tools(row.payload):
        return None
    return _gemini_system(row.payload["messages"]) | {
        "contents": [_content(message) for message in _turns(row.payload["messages"])]
    }


def _gemini_pair(row: ExportRow) -> dict[str, Any] | None:
    refused = rejected_of(row.payload)
    if refused is None or _calls_tools(row.payload) or len(refused) > 1 or refused[0].get("tool_calls"):
        return None
    prompt, answer = parts_of(row.payload)
    return _gemini_system(prompt) | {
        "contents": [_content(message) for message in _turns(prompt)],
        "completions": [
            {"score": 1, "completion": _content(answer[0])},
            {"score": 0, "completion": _content(refused[0])},
        ],
    }


def _gemini_system(messages: list[dict[str, Any]]) -> dict[str, Any]:
    system = _system_of(messages)
    return {"systemInstruction": {"role": "system", "parts": [{"text": system}]}} if system else {}


def _content(message: dict[str, Any]) -> dict[str, Any]:
    role = "model" if message["role"] == "assistant" else "user"
    return {"role": role, "parts": [{"text": message.get("content") or ""}]}


# --- Bedrock ------------------------------------------------------------------------------------------------


def _converse_row(row: ExportRow) -> dict[str, Any] | None:
    if _calls_tools(row.payload):
        return None
    messages = row.payload["messages"]
    system = _system_of(messages)
    line: dict[str, Any] = {"schemaVersion": "bedrock-conversation-2024"}
    if system:
        line["system"] = [{"text": system}]
    line["messages"] = [
        {"role": message["role"], "content": [{"text": message["content"]}]} for message in _turns(messages)
    ]
    return line


def _claude_row(row: ExportRow) -> dict[str, Any] | None:
    if _calls_tools(row.payload):
        return None
    messages = row.payload["messages"]
    system = _system_of(messages)
    turns = [{"role": message["role"], "content": message["content"]} for message in _turns(messages)]
    return ({"system": system} if system else {}) | {"messages": turns}


# --- LLaMA-Factory and Axolotl ------------------------------------------------------------------------------


def _factory_row(row: ExportRow) -> dict[str, Any] | None:
    plain = _plain(row.payload["messages"])
    return {"messages": plain} if plain and _alternates(plain[:-1]) else None


def _factory_pair(row: ExportRow) -> dict[str, Any] | None:
    pair = _pair(row)
    return pair if pair and _alternates(pair["messages"]) else None


def _axolotl_row(row: ExportRow) -> dict[str, Any] | None:
    """Whether a message is trained on stands in every one, so that none is left to a default."""
    if _calls_tools(row.payload):
        return None
    messages = row.payload["messages"]
    system = _system_of(messages)
    lines = [{"role": "system", "content": system, "train": False}] if system else []
    for message in _turns(messages):
        trained = message["role"] == "assistant" and message.get("weight") != 0
        lines.append({"role": message["role"], "content": message.get("content") or "", "train": trained})
    return {"messages": lines}


def _pair(row: ExportRow) -> dict[str, Any] | None:
    """What is asked, and two answers of one message each."""
    refused = rejected_of(row.payload)
    if refused is None or len(refused) > 1 or refused[0].get("tool_calls"):
        return None
    prompt, answer = parts_of(row.payload)
    asked, chosen, rejected = _plain(prompt), _plain(answer), _plain(refused)
    if not (asked and chosen and rejected):
        return None
    return {"messages": asked, "chosen": chosen[0], "rejected": rejected[0]}


def _plain(messages: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """Role and content alone, system first; None where tools are called."""
    if _calls_tools({"messages": messages}):
        return None
    system = _system_of(messages)
    first = [{"role": "system", "content": system}] if system else []
    return first + [
        {"role": message["role"], "content": message.get("content") or ""} for message in _turns(messages)
    ]


def _alternates(prompt: list[dict[str, Any]]) -> bool:
    """Whether the user and the assistant take turns, from the user to the user; other rows would be skipped there."""
    roles = [message["role"] for message in prompt if message["role"] != "system"]
    return len(roles) % 2 == 1 and roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]


# --- What they share ----------------------------------------------------------------------------------------


def _calls_tools(payload: dict[str, Any]) -> bool:
    return any(message.get("tool_calls") or message["role"] == "tool" for message in payload["messages"])


def _system_of(messages: list[dict[str, Any]]) -> str:
    """All that stands before the conversation as one text."""
    return "\n\n".join(message["content"] for message in messages if message["role"] in _SYSTEM)


def _turns(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [message for message in messages if message["role"] not in _SYSTEM]


_ONE_SYSTEM = (DEVELOPER, SYSTEMS)
_PAIR_OF_TEXTS = {
    "left_out": (CALLS, LONG_PAIR),
    "dropped": (TOOLS, WEIGHTS, *_ONE_SYSTEM, NAMES, OTHER),
    "needs": PAIR,
}
_TEXT_ONLY = {"left_out": (CALLS,), "dropped": (TOOLS, WEIGHTS, *_ONE_SYSTEM, NAMES, PAIR, OTHER)}

PROVIDER_FORMATS: dict[str, ProviderFormat] = {
    each.key: each
    for each in (
        ProviderFormat(
            "together",
            "Together and Fireworks",
            "OpenAI's lines with nothing beside messages and tools; developer messages become system messages.",
            _openai_row,
            dropped=(DEVELOPER, PAIR, OTHER),
        ),
        ProviderFormat(
            "together-preference",
            "Together and Fireworks, preference pairs",
            "OpenAI's preference lines, for DPO.",
            _openai_pair,
            dropped=(DEVELOPER, OTHER),
            needs=PAIR,
        ),
        ProviderFormat(
            "gemini",
            "Gemini on Vertex",
            "System instruction and contents with parts.",
            _gemini_row,
            **_TEXT_ONLY,  # type: ignore[arg-type]
        ),
        ProviderFormat(
            "gemini-preference",
            "Gemini on Vertex, preference pairs",
            "Contents that end with the user, and two completions with their scores.",
            _gemini_pair,
            **_PAIR_OF_TEXTS,  # type: ignore[arg-type]
        ),
        ProviderFormat(
            "bedrock",
            "Bedrock Converse",
            "For Nova and open weights: the conversation in the shape of the Converse API.",
            _converse_row,
            **_TEXT_ONLY,  # type: ignore[arg-type]
        ),
        ProviderFormat(
            "bedrock-claude",
            "Bedrock, Claude",
            "System as a text of its own, then user and assistant in turns.",
            _claude_row,
            **_TEXT_ONLY,  # type: ignore[arg-type]
        ),
        ProviderFormat(
            "llama-factory",
            "LLaMA-Factory",
            "Conversations for `formatting: sharegpt`: one system message, then user and assistant in turns.",
            _factory_row,
            **_TEXT_ONLY,  # type: ignore[arg-type]
        ),
        ProviderFormat(
            "llama-factory-preference",
            "LLaMA-Factory, preference pairs",
            "What is asked, the chosen and the rejected answer, for DPO.",
            _factory_pair,
            **_PAIR_OF_TEXTS,  # type: ignore[arg-type]
        ),
        ProviderFormat(
            "axolotl",
            "Axolotl",
            "Conversations for `chat_template`; every message says whether it is trained on.",
            _axolotl_row,
            left_out=(CALLS,),
            dropped=(TOOLS, *_ONE_SYSTEM, NAMES, PAIR, OTHER),
        ),
        ProviderFormat(
            "axolotl-preference",
            "Axolotl, preference pairs",
            "What is asked, the chosen and the rejected answer, for DPO.",
            _pair,
            **_PAIR_OF_TEXTS,  # type: ignore[arg-type]
        ),
    )
}
