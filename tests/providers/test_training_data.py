"""What is trained on: expectations written by hand, and transformers' own mask as a second opinion."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from transformers import AutoTokenizer

from apps.core.chat_tokens import ChatTokenizer
from apps.providers.adapters.local.trainer.data import IGNORED, batches_by_length, tokenise
from apps.providers.adapters.local.trainer.job import Job
from apps.providers.jobdirs.errors import TrainingFailed
from tests.providers.conftest import job_fields
from tests.providers.tiny import CHATML_PLAIN, chat, make_model, write_jsonl

TWO_TURNS = {
    "messages": [
        {"role": "user", "content": "Which colour?"},
        {"role": "assistant", "content": "red"},
        {"role": "user", "content": "And now?"},
        {"role": "assistant", "content": "blue"},
    ]
}


def job_for(base: Path, **changes: Any) -> Job:
    return msgspec.convert(job_fields(base, **changes), Job)


@pytest.fixture(scope="module")
def plain_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same model with a chat template without generation markers."""
    return make_model(tmp_path_factory.mktemp("plain"), template=CHATML_PLAIN)


@pytest.mark.parametrize("markers", [True, False])
def test_only_answers_with_their_stop_token_are_trained(
    tmp_path: Path, base_model: Path, plain_model: Path, markers: bool
) -> None:
    model = base_model if markers else plain_model
    path = write_jsonl(tmp_path / "rows.jsonl", [TWO_TURNS])
    tokenizer = AutoTokenizer.from_pretrained(model)

    rows = tokenise(path, ChatTokenizer.from_directory(model), job_for(model))

    ids, labels = rows.input_ids[0], rows.labels[0]
    assert tokenizer.decode(ids) == (
        "<|im_start|>user\nWhich colour?<|im_end|>\n<|im_start|>assistant\nred<|im_end|>\n"
        "<|im_start|>user\nAnd now?<|im_end|>\n<|im_start|>assistant\nblue<|im_end|>\n"
    )
    assert tokenizer.decode([label for label in labels if label != IGNORED]) == "red<|im_end|>blue<|im_end|>"
    assert all(label in (IGNORED, token) for token, label in zip(ids, labels, strict=True))
    assert rows.trained_tokens == sum(label != IGNORED for label in labels)


@pytest.mark.parametrize("markers", [True, False])
def test_an_answer_with_the_weight_0_is_read_and_not_trained(
    tmp_path: Path, base_model: Path, plain_model: Path, markers: bool
) -> None:
    """As OpenAI's guide to multi-turn examples says: weight 0 leaves an assistant message out of the loss."""
    model = base_model if markers else plain_model
    weighted: dict[str, list[dict[str, Any]]] = {
        "messages": [dict(message) for message in TWO_TURNS["messages"]]
    }
    weighted["messages"][1]["weight"] = 0
    weighted["messages"][3]["weight"] = 1
    tokenizer = AutoTokenizer.from_pretrained(model)

    rows = tokenise(
        write_jsonl(tmp_path / "rows.jsonl", [weighted]), ChatTokenizer.from_directory(model), job_for(model)
    )

    assert "red" in tokenizer.decode(rows.input_ids[0])
    trained = [label for label in rows.labels[0] if label != IGNORED]
    assert tokenizer.decode(trained) == "blue<|im_end|>"


def test_the_mask_is_the_one_of_transformers(tmp_path: Path, base_model: Path) -> None:
    chats = [TWO_TURNS, chat("Ünïcode 🎈 question?", "grün 🎈"), chat("No system", "white", system="")]
    tokenizer = AutoTokenizer.from_pretrained(base_model)

    rows = tokenise(
        write_jsonl(tmp_path / "rows.jsonl", chats),
        ChatTokenizer.from_directory(base_model),
        job_for(base_model),
    )

    for row, ids, labels in zip(chats, rows.input_ids, rows.labels, strict=True):
        expected = tokenizer.apply_chat_template(row["messages"], return_assistant_tokens_mask=True)
        assert ids == expected["input_ids"]
        assert [label != IGNORED for label in labels] == [bool(bit) for bit in expected["assistant_masks"]]


def test_long_rows_are_dropped_truncated_or_refused(tmp_path: Path, base_model: Path) -> None:
    short, long_question = chat("Short?", "red"), chat("word " * 100, "red")
    long_answer = chat("Go on?", "word " * 100)
    path = write_jsonl(tmp_path / "rows.jsonl", [short, long_question, long_answer])
    tokenizer = ChatTokenizer.from_directory(base_model)

    dropped = tokenise(path, tokenizer, job_for(base_model, too_long="drop"))
    truncated = tokenise(path, tokenizer, job_for(base_model, too_long="truncate"))
    with pytest.raises(TrainingFailed) as refusal:
        tokenise(path, tokenizer, job_for(base_model, too_long="refuse"))

    assert (len(dropped), dropped.dropped, dropped.truncated) == (1, 2, 0)
    # Of the long question nothing that is trained is left, so it is dropped even here.
    assert (len(truncated), truncated.dropped, truncated.truncated) == (2, 1, 1)
    assert len(truncated.input_ids[1]) == 128
    assert refusal.value.code == "too_long"
    assert "2 rows" in refusal.value.message


def test_a_row_that_is_no_chat_is_named(tmp_path: Path, base_model: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"messages":[{"role":"user","content":"a"}]}\n{"prompt":"b"}\n')

    with pytest.raises(TrainingFailed) as failure:
        tokenise(path, ChatTokenizer.from_directory(base_model), job_for(base_model))

    assert failure.value.code == "bad_row"
    assert "Line 2 of rows.jsonl" in failure.value.message


def test_validation_batches_hold_every_row_once_in_order_of_length(tmp_path: Path, base_model: Path) -> None:
    chats = [chat("word " * (index * 7 % 11), "red") for index in range(11)]
    rows = tokenise(
        write_jsonl(tmp_path / "rows.jsonl", chats),
        ChatTokenizer.from_directory(base_model),
        job_for(base_model),
    )

    batches = batches_by_length(rows.lengths, 4)

    flat = [index for batch in batches for index in batch]
    assert sorted(flat) == list(range(11))
    assert [len(batch) for batch in batches] == [4, 4, 3]
    assert [len(rows.input_ids[index]) for index in flat] == sorted(len(ids) for ids in rows.input_ids)
