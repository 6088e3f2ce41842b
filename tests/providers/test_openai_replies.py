"""Servers that speak OpenAI's protocol differ: what is read from replies that are not quite OpenAI's."""

import base64
import json
import random
from datetime import date
from typing import Any

import pytest

from apps.providers.adapters.openai.contents import result_rows, unwrapped
from apps.providers.adapters.openai.cursor import MESSAGES_KEPT, Seen, Steps
from apps.providers.adapters.openai.states import failure_of, state_of
from apps.providers.adapters.openai.timeline import Timeline
from apps.providers.contracts import TrainingState
from apps.providers.openai_protocol.access import Access
from apps.providers.openai_protocol.chat import reply_of
from apps.providers.openai_protocol.errors import retry_after
from apps.providers.openai_protocol.looking import model_of
from apps.providers.openai_protocol.replies import moment

ACCESS = Access(base_url="https://models.example.org/v1", api_key="sk-1")


@pytest.mark.parametrize(
    ("job", "state"),
    [
        ({"status": "validating_files"}, TrainingState.QUEUED),
        ({"status": "paused"}, TrainingState.RUNNING),
        ({"status": "Completed"}, TrainingState.SUCCEEDED),
        ({"status": "canceled"}, TrainingState.STOPPED),
        ({"status": "expired"}, TrainingState.FAILED),
        ({"status": "uploading_weights"}, TrainingState.RUNNING),
        ({"status": "done", "fine_tuned_model": "m", "finished_at": 5}, TrainingState.SUCCEEDED),
        ({"status": "broken", "finished_at": 5}, TrainingState.FAILED),
        ({}, TrainingState.RUNNING),
    ],
)
def test_words_about_a_job(job: dict[str, Any], state: TrainingState):
    assert state_of(job) == state


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ({"code": "invalid_training_file", "message": "Row 3."}, "The training file can't be used. Row 3."),
        ({"code": "new_code", "message": "Row 3."}, "Row 3."),
        ("Out of memory", "Out of memory"),
        ({}, "what the events said"),
        (None, "what the events said"),
    ],
)
def test_why_a_job_failed(error: Any, words: str):
    failure = failure_of({"status": "failed", "error": error}, "what the events said")
    assert failure is not None
    assert failure.message == words


def events_of(*entries: dict[str, Any], seen: Seen | None = None) -> list[tuple[str, dict[str, Any]]]:
    timeline = Timeline(seen or Seen(), {"created_at": 100})
    for entry in entries:
        timeline.add(entry)
    return [(event.type, dict(event.data)) for event in timeline.events]


def test_a_step_that_only_the_message_names():
    event = {"type": "message", "message": "Step 30/300: training loss=0.15", "data": {"train_loss": 0.15}}
    assert events_of(event) == [("plan", {"steps": 300}), ("metrics", {"step": 30, "loss": 0.15})]


def test_numbers_that_are_none_are_left_out():
    data = {"step": 1, "train_loss": "0.5", "valid_loss": -1, "train_mean_token_accuracy": "nan"}
    assert events_of({"data": data}) == [("metrics", {"step": 1, "loss": 0.5})]
    assert events_of({"data": {"step": 1, "train_loss": "nan"}, "message": "odd"}) == [
        ("message", {"level": "info", "text": "odd"})
    ]


def test_the_whole_validation_stands_before_its_sample():
    data = {
        "step": 3,
        "train_loss": 0.4,
        "valid_loss": 0.9,
        "full_valid_loss": 0.7,
        "full_valid_mean_token_accuracy": 0.8,
    }
    assert events_of({"data": data})[-1] == ("evaluation", {"step": 3, "loss": 0.7, "token_accuracy": 0.8})


def test_validation_that_comes_later_under_the_same_event():
    seen = Seen()
    first = {"id": "e1", "data": {"step": 3, "train_loss": 0.4}}
    later = {"id": "e1", "data": {"step": 3, "train_loss": 0.4, "valid_loss": 0.9}}
    assert [kind for kind, _ in events_of(first, seen=seen)] == ["metrics"]
    seen = Seen.load(seen.dump())
    assert [kind for kind, _ in events_of(first, later, later, seen=seen)] == ["evaluation"]


def test_messages_without_an_id_come_once_also_when_there_are_many():
    seen = Seen()
    said = [{"created_at": 100 + number, "message": f"Line {number}"} for number in range(2 * MESSAGES_KEPT)]
    assert len(events_of(*said, seen=seen)) == 2 * MESSAGES_KEPT
    seen = Seen.load(seen.dump())
    assert events_of(*said, seen=seen) == []
    assert len(seen.dump()) < 12_000


def test_steps_are_kept_small():
    for first, stride in ((1, 1), (10, 10), (0, 7)):
        steps = Steps()
        for step in range(first, first + 5000 * stride, stride):
            steps.add(step)
        assert len(json.dumps(steps.runs)) < 60
    chance = random.Random(3)
    for _ in range(200):
        steps, plain = Steps(), set[int]()
        for _ in range(30):
            step = chance.randrange(40)
            steps.add(step)
            plain.add(step)
            assert {value for value in range(-2, 50) if value in steps} == plain


@pytest.mark.parametrize(
    "content",
    [
        b"step,train_loss\n1,0.5\n",
        b'{"messages": []}\n' * 200,
        b"",
        "step,train_loss\n1,0.5\n".encode("utf-8-sig"),
        bytes(range(256)) * 20,
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000, 100_000])
def test_contents_come_the_same_wrapped_in_base64_or_not(content: bytes, size: int):
    for wrapped in (content, base64.b64encode(content), base64.encodebytes(content)):
        pieces = [wrapped[start : start + size] for start in range(0, len(wrapped), size)]
        assert b"".join(unwrapped(pieces)) == content


def test_lines_of_a_result_file():
    head = b"step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n"
    table = head + b"1,0.5,0.9,,\n2.0,0.4,,0.6,0.8\n,1,,,\n"
    assert result_rows(table) == [
        {"step": 1, "train_loss": "0.5", "train_accuracy": "0.9"},
        {"step": 2, "train_loss": "0.4", "valid_loss": "0.6", "valid_mean_token_accuracy": "0.8"},
    ]


def test_answers_that_are_not_quite_openais():
    choice = {
        "message": {"role": "assistant", "content": [{"type": "text", "text": "Hi"}]},
        "finish_reason": "eos_token",
    }
    reply = reply_of({"choices": [choice]}, ACCESS, latency=0.1)
    assert (reply.text, reply.finish_reason, reply.usage) == ("Hi", "stop", None)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], seconds: float | None):
    assert retry_after(headers) == seconds


def test_times_are_unix_seconds_or_iso():
    assert moment(1_700_000_000) == moment("2023-11-14T22:13:20Z")
    assert moment("soon") is None
    assert moment(10**30) is None


def test_models_as_others_list_them():
    """Azure's shape, with capabilities and ends by use; and vLLM's."""
    azure = model_of(
        {"id": "gpt-4o-mini-2024-07-18", "deprecation": {"fine_tune": 1788134400, "inference": 1790812800}}
    )
    assert azure.end_of_life == date(2026, 10, 1)
    assert model_of({"id": "m", "max_model_len": 4096, "owned_by": "vllm"}).context_length == 4096
    assert model_of({"id": "ft:m:a:b:c", "shutdown_date": "2027-01-14"}).tuned


def test_the_key_is_nowhere():
    assert ACCESS.hide({"a": ["x sk-1 y"], "sk-1": 1}) == {"a": ["x [key] y"], "[key]": 1}
    assert "sk-1" not in repr(ACCESS)
