"""Rows of the known shapes become conversations, and what does not fit is said where it is."""

import json

import pytest

from apps.datasets.formats import Record
from apps.datasets.mapping import MappedRow, RowMapping, row_of, split_named
from apps.datasets.presets import suggest

USER = {"role": "user", "content": "Where is my order?"}
ANSWER = {"role": "assistant", "content": "On its way."}
WORSE = {"role": "assistant", "content": "No idea."}
ASKED = [USER, ANSWER]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {}}}


def mapped(row, mapping: RowMapping | None = None):
    raw = json.dumps(row, ensure_ascii=False).encode()
    columns = row if isinstance(row, dict) else {str(i): item for i, item in enumerate(row, start=1)}
    return row_of(Record(1, raw, 1, len(raw)), mapping or suggest([columns]).mapping)


# Shapes as their documentation writes them: OpenAI's fine-tuning and DPO formats, Alpaca's, ShareGPT's, TRL's.
SHAPES = {
    "chat": ({"messages": ASKED, "tools": [TOOL]}, {"messages": ASKED, "tools": [TOOL]}),
    "prompt_completion": (
        {"prompt": USER["content"], "completion": ANSWER["content"], "id": 7},
        {"messages": ASKED, "id": 7},
    ),
    "conversational completion": ({"prompt": [USER], "completion": [ANSWER]}, {"messages": ASKED}),
    "question and answer": ({"question": USER["content"], "answer": ANSWER["content"]}, {"messages": ASKED}),
    "alpaca": (
        {"instruction": "Translate.", "input": "Haus", "output": "house"},
        {
            "messages": [
                {"role": "user", "content": "Translate.\n\nHaus"},
                {"role": "assistant", "content": "house"},
            ]
        },
    ),
    "alpaca without input": (
        {"instruction": USER["content"], "input": "", "output": ANSWER["content"]},
        {"messages": ASKED},
    ),
    "sharegpt": (
        {
            "id": "x",
            "conversations": [
                {"from": "system", "value": "Be kind."},
                {"from": "human", "value": USER["content"]},
                {"from": "gpt", "value": ANSWER["content"]},
            ],
        },
        {"messages": [{"role": "system", "content": "Be kind."}, *ASKED], "id": "x"},
    ),
    "openai preference": (
        {
            "input": {"messages": [USER], "tools": [TOOL], "parallel_tool_calls": True},
            "preferred_output": [ANSWER],
            "non_preferred_output": [WORSE],
        },
        {"messages": ASKED, "rejected": [WORSE], "tools": [TOOL], "parallel_tool_calls": True},
    ),
    "preference": (
        {"prompt": USER["content"], "chosen": ANSWER["content"], "rejected": WORSE["content"]},
        {"messages": ASKED, "rejected": [WORSE]},
    ),
    "preference with whole conversations": (
        {"chosen": [USER, ANSWER], "rejected": [USER, WORSE]},
        {"messages": ASKED, "rejected": [WORSE]},
    ),
    "preference with a system prompt": (
        {
            "system": "Be kind.",
            "question": USER["content"],
            "chosen": ANSWER["content"],
            "rejected": WORSE["content"],
        },
        {"messages": [{"role": "system", "content": "Be kind."}, *ASKED], "rejected": [WORSE]},
    ),
    "preference beside messages (UltraFeedback)": (
        {
            "prompt": USER["content"],
            "chosen": [USER, ANSWER],
            "rejected": [USER, WORSE],
            "messages": [USER, ANSWER],
            "score_chosen": 8,
        },
        {"score_chosen": 8, "messages": ASKED, "rejected": [WORSE]},
    ),
    "preference of transcripts (Anthropic's HH)": (
        {
            "chosen": f"\n\nHuman: {USER['content']}\n\nAssistant: {ANSWER['content']}",
            "rejected": f"\n\nHuman: {USER['content']}\n\nAssistant: {WORSE['content']}",
        },
        {"messages": ASKED, "rejected": [WORSE]},
    ),
    "sharegpt preference (LLaMA-Factory)": (
        {
            "conversations": [{"from": "human", "value": USER["content"]}],
            "chosen": {"from": "gpt", "value": ANSWER["content"]},
            "rejected": {"from": "gpt", "value": WORSE["content"]},
        },
        {"messages": ASKED, "rejected": [WORSE]},
    ),
    "sharegpt with tools (LLaMA-Factory)": (
        {
            "conversations": [
                {"from": "human", "value": USER["content"]},
                {"from": "gpt", "value": ANSWER["content"]},
            ],
            "tools": json.dumps([TOOL["function"]]),
        },
        {"messages": ASKED, "tools": [TOOL]},
    ),
    "completion with a system prompt (OpenOrca)": (
        {"system_prompt": "Be kind.", "question": USER["content"], "response": ANSWER["content"]},
        {"messages": [{"role": "system", "content": "Be kind."}, *ASKED]},
    ),
    "completion with an empty system prompt": (
        {"system_prompt": "", "question": USER["content"], "response": ANSWER["content"]},
        {"messages": ASKED},
    ),
    "chat with the system prompt beside it": (
        {"system": "Be kind.", "messages": ASKED},
        {"messages": [{"role": "system", "content": "Be kind."}, *ASKED]},
    ),
    "text and label": ({"text": USER["content"], "label": ANSWER["content"]}, {"messages": ASKED}),
    "list of two": ([USER["content"], ANSWER["content"]], {"messages": ASKED}),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_row_of_a_known_shape_is_recognised_and_becomes_a_conversation(shape):
    row, payload = SHAPES[shape]
    found = mapped(row)
    assert isinstance(found, MappedRow), found
    assert found.chat.payload == payload
    assert found.raw_is_chat == (shape == "chat")
    assert json.loads(found.chat.json_text) == payload


def test_an_answer_that_is_marked_as_unwanted_is_never_learnt():
    wanted = {"prompt": USER["content"], "completion": ANSWER["content"], "label": True}
    assert isinstance(mapped(wanted), MappedRow)
    (problem,) = mapped(wanted | {"label": False})
    assert (problem.code, problem.path) == ("unwanted_answer", "$.label")


def test_a_call_of_a_tool_in_sharegpt_becomes_a_tool_call():
    turns = [
        {"from": "human", "value": "Weather?"},
        {"from": "function_call", "value": '{"name": "weather", "arguments": {"city": "Bern"}}'},
        {"from": "observation", "value": "12 °C"},
        {"from": "gpt", "value": "12 degrees."},
    ]
    found = mapped({"conversations": turns})
    assert isinstance(found, MappedRow), found
    call = found.chat.payload["messages"][1]
    assert call["tool_calls"] == [
        {"type": "function", "function": {"name": "weather", "arguments": '{"city": "Bern"}'}}
    ]
    assert [message["role"] for message in found.chat.payload["messages"]] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]


def test_pairs_with_the_same_chosen_answer_differ_by_the_rejected_one():
    one = mapped({"prompt": "a", "chosen": "b", "rejected": "c"})
    two = mapped({"prompt": "a", "chosen": "b", "rejected": "d"})
    assert isinstance(one, MappedRow)
    assert isinstance(two, MappedRow)
    assert one.chat.content_hash != two.chat.content_hash


COMPLETION = RowMapping("prompt_completion", {"prompt": "prompt", "completion": "completion"})
PAIR = RowMapping("preference", {"prompt": "prompt", "chosen": "chosen", "rejected": "rejected"})
WRONG = {
    "a row of another shape": ({"text": "a", "label": "b"}, COMPLETION, "missing_field", "$.prompt"),
    "an empty answer": (
        {"prompt": "a", "completion": " "},
        COMPLETION,
        "empty_answer",
        "$.messages[1].content",
    ),
    "an answer that is an object": (
        {"prompt": "a", "completion": 1.5, "rejected": {}},
        RowMapping("preference", {"prompt": "prompt", "chosen": "completion", "rejected": "rejected"}),
        "answer_not_last",
        "$.rejected",
    ),
    "an empty rejected answer": (
        {"prompt": "a", "chosen": "b", "rejected": ""},
        PAIR,
        "empty_answer",
        "$.rejected",
    ),
    "no prompt and two texts": (
        {"chosen": "b", "rejected": "c"},
        RowMapping("preference", {"chosen": "chosen", "rejected": "rejected"}),
        "missing_field",
        "$.chosen",
    ),
    "an unknown speaker": (
        {"conversations": [{"from": "narrator", "value": "Once"}]},
        RowMapping("sharegpt", {"conversations": "conversations"}),
        "unknown_role",
        "$.conversations[0].from",
    ),
    "a list where a text is needed": (
        {"text": ["a"], "label": "b"},
        RowMapping("template", {}, prompt="{{text}}", answer="{{label}}"),
        "field_not_text",
        "$.text",
    ),
    "an unknown split": (
        {"prompt": "a", "completion": "b", "set": "all"},
        RowMapping("prompt_completion", COMPLETION.fields, split="set"),
        "unknown_split",
        "$.set",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_said_where_it_is(case):
    row, mapping, code, path = WRONG[case]
    found = mapped(row, mapping)
    assert isinstance(found, list)
    assert [(problem.code, problem.path) for problem in found] == [(code, path)]


def test_a_template_takes_columns_and_inner_values():
    mapping = RowMapping(
        "template", {}, system="You sort {{kind}}.", prompt="{{data.text}}\n\nTopic?", answer="{{ label }}"
    )
    found = mapped({"kind": "mail", "data": {"text": "Hello {{label}}"}, "label": 3, "source": "x"}, mapping)
    assert isinstance(found, MappedRow), found
    assert [message["content"] for message in found.chat.payload["messages"]] == [
        "You sort mail.",
        "Hello {{label}}\n\nTopic?",
        "3",
    ]
    assert found.chat.payload["source"] == "x"


@pytest.mark.parametrize(
    ("name", "split"),
    [("train", "train"), ("Val", "validation"), ("oos_test", "test"), ("dev", "validation"), ("all", None)],
)
def test_names_of_splits(name, split):
    assert split_named(name) == split


def test_a_file_of_several_shapes_is_named_as_such():
    found = suggest([{"messages": ASKED}] * 3 + [{"prompt": "a", "completion": "b"}] * 2 + [None])
    assert found.mapping.preset == "chat"
    assert found.shapes == {"chat": 3, "prompt_completion": 2}
    assert not found.is_sure
    assert suggest([{"messages": ASKED}] * 3 + [{}, None]).is_sure
