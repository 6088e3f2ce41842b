"""What the adapter of OpenAI's protocol does beyond the contract, against a strict server on this machine."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from apps.providers.adapters.openai import known_models
from apps.providers.adapters.openai.adapter import OpenAIProvider
from apps.providers.contracts import (
    ProviderRejectedError,
    ProviderUnavailableError,
    TrainingEvent,
    TrainingState,
)
from apps.providers.remote import DataFacts, RemoteArchive, RemoteRequest
from tests.providers.contract.steps import submitted, write
from tests.providers.openai_peer import PLANNED_STEPS, OpenAIPeer
from tests.providers.openai_server import BASE_MODEL


@pytest.fixture
def peer() -> Iterator[OpenAIPeer]:
    peer = OpenAIPeer()
    peer.start()
    yield peer
    peer.stop()


@pytest.fixture
def adapter(peer: OpenAIPeer) -> Iterator[OpenAIProvider]:
    adapter = peer.adapter()
    yield adapter
    adapter.close()


def kinds(events: tuple[TrainingEvent, ...], kind: str) -> list[dict[str, Any]]:
    return [dict(event.data) for event in events if event.type == kind]


def request(file: str = "file-0", **changes: Any) -> RemoteRequest:
    return RemoteRequest(**{"job_key": "job-1", "base_model": BASE_MODEL, "training_file": file, **changes})


def test_the_result_file_fills_what_no_event_told(peer: OpenAIPeer, adapter: OpenAIProvider, tmp_path: Path):
    handle = submitted(adapter, peer, tmp_path)
    peer.advance(handle, "metrics")
    first = adapter.poll(handle)
    peer.measure(handle, told=False)
    peer.measure(handle, told=False)
    peer.advance(handle, "succeeded")
    last = adapter.poll(handle, cursor=first.cursor)

    told = kinds(first.events, "metrics") + kinds(last.events, "metrics")
    assert [(entry["step"], entry["loss"]) for entry in told] == [(1, 2.0), (2, 1.0), (3, 0.667)]
    assert [entry["token_accuracy"] for entry in told] == [0.5, 0.75, 0.833]
    assert kinds(last.events, "evaluation") == [
        {"step": 2, "loss": 1.25, "token_accuracy": 0.65, "sampled": True}
    ]
    assert adapter.poll(handle, cursor=last.cursor).events == ()
    assert [part for method, part in peer.state.requests if part.endswith("/content")] == [
        "/v1/files/file-1/content"
    ]


def test_a_result_file_that_can_not_be_read_costs_no_more_than_its_numbers(
    peer: OpenAIPeer, adapter: OpenAIProvider, tmp_path: Path
):
    handle = submitted(adapter, peer, tmp_path)
    peer.advance(handle, "metrics")
    peer.advance(handle, "succeeded")
    peer.state.jobs[handle]["result_files"] = ["file-gone"]
    progress = adapter.poll(handle)
    assert progress.state == TrainingState.SUCCEEDED
    assert [entry["step"] for entry in kinds(progress.events, "metrics")] == [1]
    assert any("file-gone" in entry["text"] for entry in kinds(progress.events, "message"))


def test_a_plan_and_checkpoints_come_with_the_curve(
    peer: OpenAIPeer, adapter: OpenAIProvider, tmp_path: Path
):
    handle = submitted(adapter, peer, tmp_path)
    for _ in range(5):
        peer.advance(handle, "metrics")
    peer.advance(handle, "succeeded")
    progress = adapter.poll(handle)
    assert kinds(progress.events, "plan") == [{"steps": PLANNED_STEPS}]
    model = peer.state.jobs[handle]["fine_tuned_model"]
    assert kinds(progress.events, "checkpoint") == [
        {"step": 2, "provider_model": f"{model}:ckpt-step-2", "validation_loss": 1.25},
        {"step": 4, "provider_model": f"{model}:ckpt-step-4", "validation_loss": 0.625},
    ]
    assert progress.trained_tokens == 4321
    result = adapter.result(handle)
    assert (result.best_step, result.validation_loss) == (4, 0.625)


@pytest.mark.parametrize("oldest_first", [False, True])
def test_long_jobs_are_read_in_pages_and_followed_in_few_requests(
    peer: OpenAIPeer, adapter: OpenAIProvider, tmp_path: Path, oldest_first: bool
):
    peer.state.oldest_first = oldest_first
    handle = submitted(adapter, peer, tmp_path)
    for _ in range(250):
        peer.advance(handle, "metrics")
    first = adapter.poll(handle)
    assert [entry["step"] for entry in kinds(first.events, "metrics")] == list(range(1, 251))
    asked = len(peer.state.requests)
    nothing = adapter.poll(handle, cursor=first.cursor)
    assert nothing.events == ()
    assert len(peer.state.requests) - asked <= 2
    peer.advance(handle, "metrics")
    asked = len(peer.state.requests)
    one = adapter.poll(handle, cursor=nothing.cursor)
    assert [entry["step"] for entry in kinds(one.events, "metrics")] == [251]
    assert len(peer.state.requests) - asked <= 3
    assert len(one.cursor) < 2000


def test_hyperparameters_go_by_the_names_of_the_protocol(
    peer: OpenAIPeer, adapter: OpenAIProvider, tmp_path: Path
):
    submitted(adapter, peer, tmp_path)
    numbers = {"epochs": 2.0, "batch_size": 4.0, "learning_rate_multiplier": 0.5, "beta": 0.2}
    adapter.submit(request(objective="dpo", hyperparameters=numbers, seed=0, suffix="s", job_key="job-2"))
    assert peer.state.bodies[-1] == {
        "model": BASE_MODEL,
        "training_file": "file-0",
        "suffix": "s",
        "seed": 0,
        "metadata": {"ftportal_job": "job-2"},
        "method": {
            "type": "dpo",
            "dpo": {
                "hyperparameters": {
                    "n_epochs": 2,
                    "batch_size": 4,
                    "learning_rate_multiplier": 0.5,
                    "beta": 0.2,
                }
            },
        },
    }
    assert peer.state.headers[-1]["idempotency-key"] == "job-2"
    older = peer.adapter(placement="at the top")
    older.submit(request(hyperparameters={"epochs": 3}, job_key="job-3"))
    older.close()
    assert peer.state.bodies[-1]["hyperparameters"] == {"n_epochs": 3}
    assert "method" not in peer.state.bodies[-1]


def test_headers_are_those_of_the_connection_and_not_of_the_operator(
    peer: OpenAIPeer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_ORG_ID", "org-operator")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-operator")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin-operator")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-operator: secret")
    teams: tuple[dict[str, str], ...] = ({}, {"organisation": "org-team", "project": "proj-team"})
    for settings in teams:
        adapter = peer.adapter("good", **settings)
        assert adapter.check().authenticated
        adapter.close()
        sent = peer.state.headers[-1]
        assert sent.get("openai-organization") == settings.get("organisation")
        assert sent.get("openai-project") == settings.get("project")
        assert "operator" not in json.dumps(sent)


def test_a_job_is_found_where_the_server_can_not_filter(
    peer: OpenAIPeer, adapter: OpenAIProvider, tmp_path: Path
):
    peer.state.knows_filters = False
    handles = [submitted(adapter, peer, tmp_path, f"job-{number}") for number in range(3)]
    assert adapter.find("job-0") == handles[0]
    assert adapter.find("job-9") is None


def test_a_job_that_was_surely_not_sent_is_not_called_lost(peer: OpenAIPeer, adapter: OpenAIProvider):
    peer.stop()
    with pytest.raises(ProviderUnavailableError) as unreachable:
        adapter.submit(request())
    assert unreachable.value.code == "unreachable"


def test_a_fault_while_a_job_is_created_may_have_created_it(
    peer: OpenAIPeer, adapter: OpenAIProvider, tmp_path: Path
):
    submitted(adapter, peer, tmp_path)
    for status, code in ((500, "reply_lost"), (504, "reply_lost"), (429, "rate_limited")):
        peer.refuse_next(status)
        with pytest.raises(ProviderUnavailableError) as failed:
            adapter.submit(request(job_key="job-2"))
        assert failed.value.code == code


def test_a_website_is_no_server_of_the_protocol(peer: OpenAIPeer, adapter: OpenAIProvider):
    peer.state.is_a_website = True
    seen = adapter.check()
    assert (seen.reachable, seen.authenticated) == (True, None)
    assert "is not OpenAI's protocol" in seen.message
    with pytest.raises(ProviderUnavailableError) as failed:
        adapter.submit(request())
    assert failed.value.code == "reply_lost"


def test_the_past_can_be_brought_over(peer: OpenAIPeer, adapter: OpenAIProvider, tmp_path: Path):
    assert isinstance(adapter, RemoteArchive)
    older = submitted(adapter, peer, tmp_path, "job-1")
    newer = submitted(adapter, peer, tmp_path, "job-2")
    peer.advance(older, "succeeded")
    peer.advance(newer, "failed")

    files = adapter.files()
    assert [(file.id, file.filename, file.purpose) for file in files] == [
        ("file-1", "training.jsonl", "fine-tune"),
        ("file-0", "training.jsonl", "fine-tune"),
    ]
    lines = b"".join(line + b"\n" for line in peer.lines("supervised", 24))
    assert b"".join(adapter.read_file("file-0")) == lines
    assert files[0].bytes == len(lines)

    failed, succeeded = adapter.jobs()
    assert (failed.handle, failed.state, failed.tuned_model) == (newer, TrainingState.FAILED, None)
    assert peer.reason in failed.error
    assert (succeeded.handle, succeeded.state) == (older, TrainingState.SUCCEEDED)
    assert succeeded.tuned_model == peer.state.jobs[older]["fine_tuned_model"]
    assert (succeeded.base_model, succeeded.training_file) == (BASE_MODEL, "file-0")
    assert (succeeded.suffix, succeeded.seed, succeeded.trained_tokens) == ("tickets", 7, 4321)
    assert succeeded.metadata == {"ftportal_job": "job-1"}
    assert succeeded.created_at
    assert succeeded.finished_at
    assert succeeded.created_at < succeeded.finished_at
    assert succeeded.hyperparameters == {}, "auto is no number"


def test_a_suffix_a_seed_and_a_day_that_do_not_fit_are_told(adapter: OpenAIProvider):
    """The bounds are those of the public description of the API; the day is what the peer lists."""
    wrong = request(suffix="s" * 65, seed=2**31)
    problems = {problem.code: problem for problem in adapter.validate(wrong, DataFacts(rows=100))}
    assert problems["suffix_too_long"].field == "suffix"
    assert problems["seed_out_of_range"].field == "seed"
    assert "14 January 2027" in problems["base_model_ends"].message
    assert problems["base_model_ends"].severity == "warning"


def test_a_model_past_its_day_is_an_error(peer: OpenAIPeer):
    late = OpenAIProvider(
        {"base_url": peer.url, "api_key": peer.secret}, allow_private=True, today=lambda: date(2027, 1, 14)
    )
    found = {problem.code: problem.severity for problem in late.validate(request(), DataFacts(rows=100))}
    late.close()
    assert found == {"base_model_ended": "error"}


def test_the_ends_of_openais_models_are_known():
    """OpenAI's deprecations page and the press, as read on 21 November 2026."""
    for model in ("gpt-4o-mini-2024-07-18", "gpt-4.1", "ft:gpt-4o-2024-08-06:acme::a1"):
        assert known_models.end_of_life(model) == date(2027, 1, 14), model
    assert known_models.end_of_life("gpt-3.5-turbo") == date(2026, 10, 23)
    assert known_models.end_of_life("llama-3.1-8b") is None
    before, after = (
        known_models.closing_problems(date(2027, 1, 6)),
        known_models.closing_problems(date(2027, 1, 7)),
    )
    assert [problem.severity for problem in (*before, *after)] == ["warning", "error"]


def test_what_openai_itself_does_not_train_has_no_support():
    adapter = OpenAIProvider({"base_url": "https://eu.api.openai.com/v1", "api_key": "sk-1"})
    assert adapter.support("o4-mini-2025-04-16", "supervised") is None
    assert adapter.support("gpt-3.5-turbo-0125", "dpo") is None
    tuned = adapter.support("gpt-4.1-mini-2025-04-14", "dpo")
    adapter.close()
    assert tuned is not None
    assert (tuned.data_format, tuned.most_tokens_a_row) == ("preference", 65_536)


def test_an_address_without_a_path_gets_the_usual_one(peer: OpenAIPeer):
    adapter = OpenAIProvider(
        {"base_url": peer.url.removesuffix("/v1"), "api_key": peer.secret}, allow_private=True
    )
    assert adapter.check().authenticated
    adapter.close()


def test_certificates_that_are_none_are_refused(peer: OpenAIPeer):
    with pytest.raises(ProviderRejectedError, match="PEM"):
        peer.adapter(certificates="none")


def test_a_name_without_an_ending_gets_the_one_that_servers_want(
    peer: OpenAIPeer, adapter: OpenAIProvider, tmp_path: Path
):
    path = write(tmp_path / "rows", peer.lines("supervised", 12))
    file = adapter.upload(path, role="training", objective="supervised", filename="tickets v3")
    assert peer.state.files[file]["filename"] == "tickets v3.jsonl"
