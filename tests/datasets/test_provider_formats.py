"""Training formats of providers, compared with lines written by hand after their documentation.

Gemini: cloud.google.com, supervised and preference tuning of Gemini. Bedrock: docs.aws.amazon.com, "Supervised
fine-tuning on Amazon Nova" (schemaVersion bedrock-conversation-2024) and "Prepare data for fine-tuning" (Claude 3).
Together and Fireworks: the JSONL of their fine-tuning guides.
"""

import json
from typing import Any

import pytest

from apps.datasets.exports import ExportRow
from apps.datasets.provider_formats import PROVIDER_FORMATS, features_of

SYSTEM = {"role": "system", "content": "Be brief."}
DEVELOPER = {"role": "developer", "content": "No emoji."}
ASKED = {"role": "user", "content": "Hi"}
ANSWER = {"role": "assistant", "content": "Hello"}
REFUSED = {"role": "assistant", "content": "What?"}
CALL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "1", "type": "function", "function": {"name": "now", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "1", "content": "noon"}
TOOLS = [{"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}]

PLAIN = {"messages": [SYSTEM, ASKED, ANSWER], "metadata": {"id": 7}}
TWO_TURNS = {"messages": [SYSTEM, DEVELOPER, ASKED, ANSWER | {"weight": 0}, ASKED, ANSWER]}
PAIR = {"messages": [SYSTEM, ASKED, ANSWER], "rejected": [REFUSED]}
TOOL_ROW = {"messages": [ASKED, CALL, RESULT, ANSWER], "tools": TOOLS}


def written(key: str, *payloads: dict[str, Any]) -> list[Any]:
    rows = [ExportRow(i, "train", json.dumps(each).encode(), each) for i, each in enumerate(payloads, 1)]
    return [json.loads(line) for line in PROVIDER_FORMATS[key].write(rows)]


def test_together_gets_only_what_it_reads():
    plain, turns, tools = written("together", PLAIN, TWO_TURNS, TOOL_ROW)
    assert plain == {"messages": [SYSTEM, ASKED, ANSWER]}
    assert [message["role"] for message in turns["messages"]][:2] == ["system", "system"]
    assert turns["messages"][3] == ANSWER | {"weight": 0}
    assert tools == TOOL_ROW


def test_together_preference():
    assert written("together-preference", PLAIN, PAIR) == [
        {
            "input": {"messages": [SYSTEM, ASKED]},
            "preferred_output": [ANSWER],
            "non_preferred_output": [REFUSED],
        }
    ]


def test_gemini():
    user, model = {"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": [{"text": "Hello"}]}
    assert written("gemini", PLAIN, TOOL_ROW, TWO_TURNS) == [
        {
            "systemInstruction": {"role": "system", "parts": [{"text": "Be brief."}]},
            "contents": [user, model],
        },
        {
            "systemInstruction": {"role": "system", "parts": [{"text": "Be brief.\n\nNo emoji."}]},
            "contents": [user, model, user, model],
        },
    ]


def test_gemini_preference():
    assert written("gemini-preference", PAIR, PLAIN) == [
        {
            "systemInstruction": {"role": "system", "parts": [{"text": "Be brief."}]},
            "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
            "completions": [
                {"score": 1, "completion": {"role": "model", "parts": [{"text": "Hello"}]}},
                {"score": 0, "completion": {"role": "model", "parts": [{"text": "What?"}]}},
            ],
        }
    ]


def test_bedrock_converse():
    assert written("bedrock", PLAIN, TOOL_ROW, {"messages": [ASKED, ANSWER]}) == [
        {
            "schemaVersion": "bedrock-conversation-2024",
            "system": [{"text": "Be brief."}],
            "messages": [
                {"role": "user", "content": [{"text": "Hi"}]},
                {"role": "assistant", "content": [{"text": "Hello"}]},
            ],
        },
        {
            "schemaVersion": "bedrock-conversation-2024",
            "messages": [
                {"role": "user", "content": [{"text": "Hi"}]},
                {"role": "assistant", "content": [{"text": "Hello"}]},
            ],
        },
    ]


def test_bedrock_claude():
    assert written("bedrock-claude", TWO_TURNS) == [
        {"system": "Be brief.\n\nNo emoji.", "messages": [ASKED, ANSWER, ASKED, ANSWER]}
    ]


@pytest.mark.parametrize("key", PROVIDER_FORMATS)
def test_what_is_counted_as_lost_is_what_is_missing(key):
    payloads: list[dict[str, Any]] = [PLAIN, TWO_TURNS, PAIR, TOOL_ROW, {"messages": [ASKED, ANSWER]}]
    counts: dict[str, int] = {}
    for each in payloads:
        counts[features_of(each)] = counts.get(features_of(each), 0) + 1
    losses = PROVIDER_FORMATS[key].losses(counts)
    assert len(written(key, *payloads)) == len(payloads) - losses.left_out
    for feature in losses.dropped:
        assert any(feature in features_of(each).split(",") for each in payloads)


def test_llama_factory():
    """Roles and order as llamafactory/data/converter.py (0.9.5) reads sharegpt: the system message first and once."""
    plain, turns = written("llama-factory", PLAIN, TOOL_ROW, TWO_TURNS)
    assert plain == {"messages": [SYSTEM, ASKED, ANSWER]}
    assert turns == {
        "messages": [
            {"role": "system", "content": "Be brief.\n\nNo emoji."}, ASKED, ANSWER, ASKED, ANSWER,
        ]
    }  # fmt: skip


def test_llama_factory_leaves_out_what_it_would_skip():
    assert written("llama-factory", {"messages": [ASKED, ASKED, ANSWER]}, {"messages": [ANSWER]}) == []


@pytest.mark.parametrize("key", ["llama-factory-preference", "axolotl-preference"])
def test_preference_pairs_of_launched_trainers(key):
    long = PAIR | {"rejected": [CALL, RESULT, REFUSED]}
    assert written(key, PLAIN, PAIR, long) == [
        {"messages": [SYSTEM, ASKED], "chosen": ANSWER, "rejected": REFUSED}
    ]


def test_axolotl_says_of_every_message_whether_it_is_trained_on():
    (turns,) = written("axolotl", TWO_TURNS, TOOL_ROW)
    assert [message["train"] for message in turns["messages"]] == [False, False, False, False, True]
    assert turns["messages"][0]["content"] == "Be brief.\n\nNo emoji."
