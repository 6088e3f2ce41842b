"""What is particular to Together AI: redirects, prices, limits, early stopping, checkpoints, adapters and endpoints.

The shapes are those of its client (3.1.1); the measurements are the sample of its documentation of monitoring.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apps.providers.adapters.together.adapter import TogetherProvider
from apps.providers.adapters.together.following import Cursor, Story
from apps.providers.contracts import (
    ProviderRejectedError,
    ProviderUnavailableError,
    RemoteCheckpoint,
    TrainingState,
)
from apps.providers.remote import DataFacts, RemoteRequest
from tests.providers.contract.steps import ready_file, submitted, uploaded, write
from tests.providers.together_peer import BASE_MODEL, SECRET, TogetherPeer

# https://docs.together.ai/docs/fine-tuning/monitoring, "Sample output"
DOCUMENTED_METRICS: list[dict[str, float]] = json.loads("""[
  {"timestamp": 1779196193564587000, "train/global_step": 1, "train/epoch": 0.1, "train/loss": 2.43,
   "train/grad_norm": 1.21, "train/learning_rate": 1e-5},
  {"timestamp": 1779196253564587000, "train/global_step": 2, "train/epoch": 0.2, "train/loss": 2.11,
   "train/grad_norm": 0.94, "train/learning_rate": 9e-6},
  {"timestamp": 1779196313564587000, "train/global_step": 3, "train/epoch": 0.3, "train/loss": 1.98,
   "train/grad_norm": 0.87, "train/learning_rate": 8e-6},
  {"timestamp": 1779196314564587000, "train/global_step": 3, "train/epoch": 0.3, "eval/loss": 2.05}
]""")


@pytest.fixture
def peer() -> Iterator[TogetherPeer]:
    peer = TogetherPeer()
    peer.start()
    yield peer
    peer.stop()


@pytest.fixture
def adapter(peer: TogetherPeer) -> Iterator[TogetherProvider]:
    adapter = peer.adapter()
    yield adapter
    adapter.close()


def asked(file: str, **changes: Any) -> RemoteRequest:
    return RemoteRequest(**{"job_key": "job-1", "base_model": BASE_MODEL, "training_file": file, **changes})


# --- Files ---------------------------------------------------------------------------------------------------


def test_a_file_goes_byte_for_byte_to_where_it_is_redirected(
    peer: TogetherPeer, adapter: TogetherProvider, tmp_path: Path
):
    content = b'{"messages": [{"role": "user", "content": "caf\xc3\xa9 \xf0\x9f\x9a\x9a"}]}\n' * 60_000
    path = tmp_path / "0017"
    path.write_bytes(content)
    file = adapter.upload(path, role="training", objective="supervised", filename="tickets v3.jsonl")
    assert peer.stored[file] == content
    assert len(content) > 2 * 2**20, "more than one piece"
    assert [(call.method, call.path) for call in peer.http.calls] == [
        ("POST", "/v1/files"),
        ("PUT", f"/storage/hop/{file}"),
        ("PUT", f"/storage/final/{file}"),
        ("POST", f"/v1/files/{file}/preprocess"),
    ]
    form = peer.http.calls[0].form()
    assert form["checksum"] == hashlib.sha256(content).hexdigest()
    assert (form["purpose"], form["file_type"], form["file_name"]) == (
        "fine-tune",
        "jsonl",
        "tickets v3.jsonl",
    )
    for call in peer.http.asked("PUT", file):
        assert "authorization" not in call.headers
        assert call.headers["content-length"] == str(len(content))


def test_a_file_that_is_there_already_is_not_sent_again(
    peer: TogetherPeer, adapter: TogetherProvider, tmp_path: Path
):
    first = uploaded(adapter, peer, tmp_path)
    assert uploaded(adapter, peer, tmp_path) == first
    assert len(peer.http.asked("PUT", f"/final/{first}")) == 1


def test_the_words_of_the_check_are_told(peer: TogetherPeer, adapter: TogetherProvider, tmp_path: Path):
    rows = [*peer.lines("supervised", 2), b'{"messages": [], "text": "two formats"}']
    path = write(tmp_path / "rows.jsonl", rows)
    file = adapter.upload(path, role="training", objective="supervised", filename=path.name)
    assert [adapter.file_state(file).readiness for _ in range(3)] == ["working", "working", "refused"]
    state = adapter.file_state(file)
    assert "Line 3 does not match exactly one dataset format" in state.message


def test_a_file_that_was_deleted_is_refused(adapter: TogetherProvider):
    state = adapter.file_state("file-77")
    assert state.readiness == "refused"
    assert "no more" in state.message


def test_addresses_that_the_provider_tells_pass_the_guard(
    peer: TogetherPeer, adapter: TogetherProvider, tmp_path: Path
):
    """An address with a password in it is refused by nobody but our guard."""
    handle = submitted(adapter, peer, tmp_path)
    peer.storage = peer.http.url.replace("://", "://someone:hunter2@")
    other = write(tmp_path / "other.jsonl", peer.lines("supervised", 3))
    calls: list[Callable[[], object]] = [
        lambda: adapter.upload(other, role="training", objective="supervised", filename=other.name),
        lambda: b"".join(adapter.read_adapter(handle)),
    ]
    for call in calls:
        with pytest.raises(ProviderUnavailableError) as refused:
            call()
        assert "user name or password" in refused.value.message
        assert "hunter2" not in refused.value.message


def test_the_own_network_is_not_reached_without_leave(peer: TogetherPeer):
    adapter = TogetherProvider({"api_key": SECRET, "base_url": peer.http.url})
    seen = adapter.check()
    adapter.close()
    assert (seen.reachable, seen.authenticated) == (False, None)
    assert peer.http.calls == []


# --- Prices and limits -----------------------------------------------------------------------------------------


def test_the_price_is_the_providers(peer: TogetherPeer, adapter: TogetherProvider, tmp_path: Path):
    quote = adapter.quote(
        asked(ready_file(adapter, peer, tmp_path), hyperparameters={"lora_rank": 16, "epochs": 3})
    )
    assert quote is not None
    assert (quote.cost, quote.currency, quote.tokens) == (Decimal("4.25"), "USD", 812_000)
    body = peer.http.asked("POST", "/estimate-price")[-1].body
    assert body["n_epochs"] == 3
    assert body["training_type"] == {"type": "Lora", "lora_r": 16, "lora_alpha": 32, "lora_dropout": 0.0}


def test_a_job_that_the_account_may_not_pay_is_not_made(
    peer: TogetherPeer, adapter: TogetherProvider, tmp_path: Path
):
    request = asked(ready_file(adapter, peer, tmp_path))
    peer.price |= {"allowed_to_proceed": False, "estimated_total_price": 312.5}
    for ask in (adapter.quote, adapter.submit):
        with pytest.raises(ProviderRejectedError) as refused:
            ask(request)
        assert refused.value.code == "not_allowed_to_proceed"
        assert "312.50 USD" in refused.value.message
        assert "100.00 USD" in refused.value.message
    assert peer.jobs_created() == 0


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("train_file_not_validated", None),
        ("multimodal_dataset", None),
        ("train_file_invalid", "file_refused"),
    ],
)
def test_a_price_that_can_not_be_told(
    peer: TogetherPeer, adapter: TogetherProvider, tmp_path: Path, reason: str, code: str | None
):
    request = asked(ready_file(adapter, peer, tmp_path))
    peer.price = {"estimation_available": False, "unavailable_reason": reason}
    if code is None:
        assert adapter.quote(request) is None
        return
    with pytest.raises(ProviderRejectedError) as refused:
        adapter.quote(request)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("changes", "facts", "code", "field"),
    [
        ({"hyperparameters": {"batch_size": 128}}, {}, "hyperparameter_out_of_range", "batch_size"),
        ({"hyperparameters": {"batch_size": 64}, "objective": "dpo"}, {}, "hyperparameter_out_of_range", "batch_size"),
        ({"hyperparameters": {"lora_rank": 128}}, {}, "hyperparameter_out_of_range", "lora_rank"),
        ({"hyperparameters": {"checkpoints": 30}}, {}, "hyperparameter_out_of_range", "checkpoints"),
        ({"hyperparameters": {"early_stopping_patience": 3}}, {}, "needs_validation", "early_stopping_patience"),
        ({}, {"longest_row_tokens": 40_000}, "row_too_long", "training_file"),
        ({"base_model": "acme/unknown"}, {}, "unknown_model", "base_model"),
    ],
)  # fmt: skip
def test_the_limits_of_the_model_are_held(
    adapter: TogetherProvider, changes: dict[str, Any], facts: dict[str, Any], code: str, field: str
):
    problems = adapter.validate(asked("file-0", **changes), DataFacts(rows=500, **facts))
    assert [(problem.code, problem.field) for problem in problems] == [(code, field)]


def test_limits_are_asked_for_once(peer: TogetherPeer, adapter: TogetherProvider):
    for _ in range(3):
        assert adapter.validate(asked("file-0"), DataFacts(rows=500)) == []
    assert len(peer.http.asked("GET", "/models/limits")) == 1


def test_limits_that_can_not_be_asked_for_are_no_error(peer: TogetherPeer, adapter: TogetherProvider):
    peer.stop()
    problems = adapter.validate(asked("file-0"), DataFacts(rows=500))
    assert [(problem.code, problem.severity) for problem in problems] == [("not_checked", "warning")]


# --- Jobs ------------------------------------------------------------------------------------------------------


def test_a_recipe_in_the_words_of_together(peer: TogetherPeer, adapter: TogetherProvider, tmp_path: Path):
    request = asked(
        ready_file(adapter, peer, tmp_path),
        validation_file=ready_file(adapter, peer, tmp_path, role="validation"),
        suffix="Tickets, für den Kundendienst im Norden",
        seed=7,
        hyperparameters={
            "epochs": 4, "batch_size": 16, "learning_rate": 2e-5, "lora_rank": 32, "lora_alpha": 64,
            "lora_dropout": 0.05, "warmup_ratio": 0.1, "weight_decay": 0.01, "checkpoints": 2,
            "early_stopping_patience": 12,
        },
    )  # fmt: skip
    adapter.submit(request)
    creations = peer.http.asked("POST", "/v1/fine-tunes")
    assert len(creations) == 1
    body = creations[0].body
    assert body["training_type"] == {
        "type": "Lora",
        "lora_r": 32,
        "lora_alpha": 64,
        "lora_dropout": 0.05,
        "lora_trainable_modules": "all-linear",
    }
    assert body["training_method"] == {"method": "sft", "train_on_inputs": "auto"}
    expected = {
        "n_epochs": 4, "batch_size": 16, "learning_rate": 2e-5, "warmup_ratio": 0.1, "weight_decay": 0.01,
        "n_checkpoints": 2, "random_seed": 7, "early_stopping_enabled": True, "early_stopping_patience": 12,
        # "n_evals >= patience + warmup_evals + 1", as the client says it
        "n_evals": 14, "model": BASE_MODEL, "training_file": request.training_file,
        "validation_file": request.validation_file,
    }  # fmt: skip
    assert {name: body[name] for name in expected} == expected
    assert len(body["suffix"]) <= 40
    assert body["suffix"].startswith("Tickets-f-r-den-")


def test_pairs_are_trained_with_dpo(peer: TogetherPeer, adapter: TogetherProvider, tmp_path: Path):
    file = ready_file(adapter, peer, tmp_path, objective="dpo")
    adapter.submit(asked(file, objective="dpo", hyperparameters={"beta": 0.2}))
    method = peer.http.asked("POST", "/v1/fine-tunes")[0].body["training_method"]
    assert (method["method"], method["dpo_beta"]) == ("dpo", 0.2)


def test_every_weight_is_trained_where_the_connection_says_so(peer: TogetherPeer, tmp_path: Path):
    adapter = peer.adapter(training="full")
    adapter.submit(asked(ready_file(adapter, peer, tmp_path)))
    adapter.close()
    assert peer.http.asked("POST", "/v1/fine-tunes")[0].body["training_type"] == {"type": "Full"}
    assert peer.http.asked("POST", "/estimate-price")[0].body["training_type"] == {"type": "Full"}
    support = adapter.support(BASE_MODEL, "supervised")
    assert support is not None
    assert not {"lora_rank", "lora_alpha", "lora_dropout"} & {number.name for number in support.numbers}


def test_documented_measurements_become_events():
    story = Story(Cursor())
    story.measure(DOCUMENTED_METRICS, now=0)
    told = [(event.type, event.data["step"], event.data["loss"]) for event in story.events]
    assert told == [("metrics", 1, 2.43), ("metrics", 2, 2.11), ("metrics", 3, 1.98), ("evaluation", 3, 2.05)]
    first = story.events[0]
    assert first.time == pytest.approx(datetime(2026, 5, 19, 13, 9, 53, 564587, UTC).timestamp())
    assert dict(first.data) == {
        "step": 1,
        "loss": 2.43,
        "epoch": 0.1,
        "learning_rate": 1e-5,
        "grad_norm": 1.21,
    }


def test_steps_that_a_restarted_job_measures_again_are_told_once():
    story = Story(Cursor.read(Cursor(seq=40, train=2).written()))
    story.measure([*DOCUMENTED_METRICS, *DOCUMENTED_METRICS], now=0)
    assert [(event.seq, event.type) for event in story.events] == [(40, "metrics"), (41, "evaluation")]


def test_what_a_job_tells_on_the_way(peer: TogetherPeer, adapter: TogetherProvider, tmp_path: Path):
    handle = submitted(adapter, peer, tmp_path)
    for _ in range(2):
        peer.advance(handle, "metrics")
    progress = adapter.poll(handle)
    told = [(event.type, dict(event.data)) for event in progress.events]
    model = peer.jobs[handle]["model_object_name"]
    assert ("plan", {"steps": 8, "tokens": 812_000}) in told
    assert ("message", {"level": "info", "text": "Training started"}) in told
    assert ("checkpoint", {"step": 2, "provider_model": f"{model}-ckpt-2"}) in told
    assert progress.seconds_left == 900
    assert "events" not in progress.reply


def test_a_poll_makes_few_requests(peer: TogetherPeer, adapter: TogetherProvider, tmp_path: Path):
    handle = submitted(adapter, peer, tmp_path)
    before = len(peer.http.calls)
    progress = adapter.poll(handle)
    assert len(peer.http.calls) - before == 1, "while it waits"
    peer.advance(handle, "metrics")
    progress = adapter.poll(handle, cursor=progress.cursor)
    assert len(peer.http.calls) - before == 3
    peer.advance(handle, "metrics")
    adapter.poll(handle, cursor=progress.cursor)
    assert len(peer.http.calls) - before == 6, "a checkpoint was saved"
    assert peer.http.asked("GET", "/metrics")[-1].query["global_step_from"] == "1"


def test_events_that_the_job_does_not_bring_along_are_asked_for(
    peer: TogetherPeer, adapter: TogetherProvider, tmp_path: Path
):
    peer.brings_events = False
    handle = submitted(adapter, peer, tmp_path)
    peer.advance(handle, "running")
    assert [event.type for event in adapter.poll(handle).events] == ["plan", "message", "message", "message"]


def test_a_plan_that_comes_late_takes_nothing_back(
    peer: TogetherPeer, adapter: TogetherProvider, tmp_path: Path
):
    handle = submitted(adapter, peer, tmp_path)
    peer.jobs[handle]["status"] = "running"
    peer.measure(handle)
    first = adapter.poll(handle)
    assert [event.type for event in first.events] == ["message", "metrics"]
    peer.event(peer.jobs[handle], "training_start", "Training started", total_steps=8)
    (plan, _) = adapter.poll(handle, cursor=first.cursor).events
    assert dict(plan.data) == {"steps": 8, "resumed_from_step": 1}


def test_a_job_that_stopped_early_has_its_best_step(
    peer: TogetherPeer, adapter: TogetherProvider, tmp_path: Path
):
    handle = submitted(adapter, peer, tmp_path)
    for _ in range(4):
        peer.advance(handle, "metrics")
    job = peer.jobs[handle]
    job |= {"early_stopped": True, "early_stopping_best_step": 2, "early_stopping_best_metric": 1.3}
    peer.event(job, "early_stopped", "Early stopping triggered; best step 2", early_stopping_best_step=2)
    peer.advance(handle, "succeeded")
    progress = adapter.poll(handle)
    assert progress.state == TrainingState.SUCCEEDED
    assert any("Early stopping" in event.data.get("text", "") for event in progress.events)
    assert (progress.cost, progress.currency) == (Decimal("4.25"), "USD"), "told in nano-dollars"
    result = adapter.result(handle)
    assert (result.best_step, result.validation_loss, result.steps) == (2, 1.3, 4)
    assert result.checkpoints[0] == RemoteCheckpoint(step=2, provider_model=f"{result.provider_model}-ckpt-2")


def test_a_job_that_ran_out_of_credit_says_so(peer: TogetherPeer, adapter: TogetherProvider, tmp_path: Path):
    handle = submitted(adapter, peer, tmp_path)
    peer.event(peer.jobs[handle], "billing_limit", "You have reached your spending limit", level="error")
    peer.jobs[handle]["status"] = "error"
    failure = adapter.poll(handle).failure
    assert failure is not None
    assert (failure.code, "spending limit" in failure.message) == ("billing_limit", True)
