"""Tools of a row and calls of them, as the transformers documentation describes tool use.

`apply_chat_template(..., tools=...)` is the second opinion. Its documentation says of `tools`: "If the template does
not support function calling, this argument will have no effect"; that a model may have a template of its own named
tool_use; and that the arguments of a call are a dict in a message, where the OpenAI API has a JSON string.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from apps.core.chat_tokens import CALLS, TOOLS, Chat, ChatTokenizer
from apps.providers.adapters.local.trainer.data import IGNORED, tokenise
from apps.providers.adapters.local.trainer.pairs import tokenise_pairs
from apps.providers.contracts import ChatRequest, ModelReference
from tests.providers.conftest import Server, end_of, events_of, write_job
from tests.providers.test_training_data import job_for
from tests.providers.tiny import CHATML_PLAIN, CHATML_TOOLS, make_model, write_jsonl

pytestmark = pytest.mark.timeout(900)

TOOL = {
    "type": "function",
    "function": {
        "name": "get_current_temperature",
        "description": "Gets the temperature at a given location.",
        "parameters": {
            "type": "object",
            "properties": {"location": {"type": "string"}},
            "required": ["location"],
        },
    },
}
ARGUMENTS = {"location": "Zürich"}


def asked(arguments: Any) -> list[dict[str, Any]]:
    call = {"type": "function", "function": {"name": "get_current_temperature", "arguments": arguments}}
    return [
        {"role": "user", "content": "What's the temperature in Zürich?"},
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "name": "get_current_temperature", "content": "22.0"},
        {"role": "assistant", "content": "22 degrees."},
    ]


AS_DOCUMENTED = asked(ARGUMENTS)
AS_OPENAI = asked(json.dumps(ARGUMENTS))
AS_OPENAI[1]["content"] = None


@pytest.fixture(scope="module")
def tool_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("tools"), template=CHATML_TOOLS)


@pytest.fixture(scope="module")
def two_templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain template, and another for conversations with tools."""
    directory = make_model(tmp_path_factory.mktemp("two"), template=CHATML_PLAIN)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    tokenizer.chat_template = {"default": CHATML_PLAIN, "tool_use": CHATML_TOOLS}
    tokenizer.save_pretrained(directory)
    return directory


@pytest.mark.parametrize("messages", [AS_DOCUMENTED, AS_OPENAI])
def test_what_is_trained_on_is_what_transformers_renders(
    tmp_path: Path, tool_model: Path, messages: list[dict[str, Any]]
) -> None:
    path = write_jsonl(tmp_path / "rows.jsonl", [{"messages": messages, "tools": [TOOL]}])
    tokenizer, chats = AutoTokenizer.from_pretrained(tool_model), ChatTokenizer.from_directory(tool_model)

    rows = tokenise(path, chats, job_for(tool_model, max_length=1000))

    expected = tokenizer.apply_chat_template(AS_DOCUMENTED, tools=[TOOL], return_assistant_tokens_mask=True)
    assert rows.input_ids[0] == expected["input_ids"]
    assert [label != IGNORED for label in rows.labels[0]] == [
        bool(bit) for bit in expected["assistant_masks"]
    ]
    assert "Gets the temperature" in tokenizer.decode(rows.input_ids[0])
    assert '"arguments": {"location": "Zürich"}' in tokenizer.decode(rows.input_ids[0])
    assert (rows.without_tools, rows.without_calls) == (0, 0)
    counted = next(chats.count([Chat(messages, [TOOL])]))
    assert counted.total == len(expected["input_ids"])
    assert counted.answers == sum(expected["assistant_masks"])


def test_a_template_without_markers_tells_the_answers_apart_with_tools(
    tmp_path: Path, tool_model: Path
) -> None:
    plain = CHATML_TOOLS.replace("{%- generation %}", "").replace("{%- endgeneration %}", "")
    model = make_model(tmp_path / "model", template=plain)
    path = write_jsonl(tmp_path / "rows.jsonl", [{"messages": AS_OPENAI, "tools": [TOOL]}])

    marked = tokenise(path, ChatTokenizer.from_directory(tool_model), job_for(tool_model, max_length=1000))
    found = tokenise(path, ChatTokenizer.from_directory(model), job_for(model, max_length=1000))

    assert found.input_ids == marked.input_ids
    assert found.labels == marked.labels


def test_a_template_that_knows_no_tools_is_found_out(tmp_path: Path, base_model: Path) -> None:
    """No effect, as the documentation says: so the rows are counted."""
    row = {"messages": [AS_DOCUMENTED[0], AS_DOCUMENTED[3]], "tools": [TOOL]}
    called = [dict(message) for message in AS_DOCUMENTED]
    called[1]["content"] = "Let me look."
    path = write_jsonl(
        tmp_path / "rows.jsonl", [row, row, {"messages": called}, {"messages": row["messages"]}]
    )
    tokenizer = AutoTokenizer.from_pretrained(base_model)

    rows = tokenise(path, ChatTokenizer.from_directory(base_model), job_for(base_model, max_length=1000))

    assert rows.input_ids[0] == tokenizer.apply_chat_template(row["messages"], tools=[TOOL])["input_ids"]
    assert rows.input_ids[0] == rows.input_ids[3]
    assert (rows.without_tools, rows.without_calls) == (2, 1)


def test_the_template_named_tool_use_is_for_rows_with_tools(tmp_path: Path, two_templates: Path) -> None:
    plain = [AS_DOCUMENTED[0], AS_DOCUMENTED[3]]
    path = write_jsonl(
        tmp_path / "rows.jsonl", [{"messages": AS_OPENAI, "tools": [TOOL]}, {"messages": plain}]
    )
    tokenizer, chats = (
        AutoTokenizer.from_pretrained(two_templates),
        ChatTokenizer.from_directory(two_templates),
    )

    rows = tokenise(path, chats, job_for(two_templates, max_length=1000))

    assert rows.input_ids == [
        tokenizer.apply_chat_template(AS_DOCUMENTED, tools=[TOOL])["input_ids"],
        tokenizer.apply_chat_template(plain)["input_ids"],
    ]
    assert chats.unseen(Chat(AS_OPENAI, [TOOL])) == frozenset()


def test_both_sides_of_a_pair_have_the_tools(tmp_path: Path, tool_model: Path, base_model: Path) -> None:
    refused = [{"role": "assistant", "content": "I don't know."}]
    path = write_jsonl(
        tmp_path / "pairs.jsonl", [{"messages": AS_OPENAI, "rejected": refused, "tools": [TOOL]}]
    )
    tokenizer, job = AutoTokenizer.from_pretrained(tool_model), job_for(tool_model, max_length=1000)

    pairs = tokenise_pairs(path, ChatTokenizer.from_directory(tool_model), job)

    sides = (AS_DOCUMENTED, [*AS_DOCUMENTED[:-1], *refused])
    expected = [tokenizer.apply_chat_template(side, tools=[TOOL])["input_ids"] for side in sides]
    assert [pairs.chosen[0][0], pairs.rejected[0][0]] == expected
    answer = [label for label in pairs.chosen[0][1] if label != IGNORED]
    assert tokenizer.decode(answer) == "22 degrees.<|im_end|>"
    assert pairs.without_tools == 0
    short = [{"messages": [AS_DOCUMENTED[0], AS_DOCUMENTED[3]], "rejected": refused, "tools": [TOOL]}]
    path = write_jsonl(tmp_path / "short.jsonl", short)
    assert tokenise_pairs(path, ChatTokenizer.from_directory(base_model), job).without_tools == 1


def test_what_the_template_leaves_out_is_part_of_the_plan(tmp_path: Path, base_model: Path) -> None:
    from apps.providers.adapters.local.adapter import LocalProvider

    row = {"messages": [AS_DOCUMENTED[0], AS_DOCUMENTED[3]], "tools": [TOOL]}
    job_dir = write_job(tmp_path / "job", base_model, rows=[row] * 3, max_steps=1)
    provider = LocalProvider()
    provider.start(job_dir)
    end_of(job_dir, provider)

    plan = events_of(job_dir, "plan")[0].data
    assert (plan["examples"], plan["rows_without_tools"], plan["rows_without_calls"]) == (3, 3, 0)


def test_local_answers_are_asked_with_the_tools(server: Server, tool_model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tool_model)
    model = ModelReference(kind="base", base=str(tool_model))

    reply = server.client.chat(ChatRequest(model=model, messages=AS_OPENAI[:3], tools=[TOOL], max_tokens=2))

    prompt = tokenizer.apply_chat_template(AS_DOCUMENTED[:3], tools=[TOOL], add_generation_prompt=True)
    assert reply.usage is not None
    assert reply.usage.prompt_tokens == len(prompt["input_ids"])


def test_what_a_template_writes_is_told_feature_by_feature(tool_model: Path, base_model: Path) -> None:
    spoken = [dict(message) for message in AS_OPENAI]
    spoken[1]["content"] = "Let me look."

    assert ChatTokenizer.from_directory(tool_model).unseen(Chat(spoken, [TOOL])) == frozenset()
    assert ChatTokenizer.from_directory(base_model).unseen(Chat(spoken, [TOOL])) == {TOOLS, CALLS}
    assert ChatTokenizer.from_directory(base_model).unseen(Chat(spoken[:1])) == frozenset()
