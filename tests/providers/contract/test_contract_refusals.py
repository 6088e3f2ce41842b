"""Every adapter says in the same way what a provider refuses, and asks its models."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.providers.contracts import (
    InferenceProvider,
    ProviderError,
    ProviderRejectedError,
    ProviderUnavailableError,
    TrainingState,
)
from apps.providers.remote import RemoteTrainer
from tests.providers.contract.peer import Peer
from tests.providers.contract.steps import asked_for, every, model_asked, submitted, those, uploaded

# --- Answers ---------------------------------------------------------------------------------------------------


@every
def test_a_tuned_model_answers(peer: Peer, adapter: RemoteTrainer, tmp_path: Path):
    handle = submitted(adapter, peer, tmp_path)
    peer.advance(handle, "succeeded")
    model = adapter.result(handle).provider_model
    assert model
    assert isinstance(adapter, InferenceProvider)
    asked = model_asked(peer, model)
    if peer.needs_deployment:
        with pytest.raises(ProviderRejectedError) as refused:
            adapter.ensure_model(asked.model)
        assert refused.value.code == "not_deployed"
        peer.deploy(model)
    adapter.ensure_model(asked.model)
    reply = adapter.chat(asked)
    assert reply.text
    assert reply.finish_reason in ("stop", "length")
    assert reply.latency > 0
    assert reply.usage is not None
    assert reply.usage.prompt_tokens > 0
    assert reply.usage.completion_tokens > 0


@every
def test_a_base_model_answers(peer: Peer, adapter: RemoteTrainer):
    assert isinstance(adapter, InferenceProvider)
    adapter.ensure_model(model_asked(peer).model)
    assert adapter.chat(model_asked(peer)).text


# --- Refusals --------------------------------------------------------------------------------------------------


def refusal(peer: Peer, status: int, call: Callable[[], Any], **how: Any) -> ProviderError:
    peer.refuse_next(status, times=20, **how)
    with pytest.raises(ProviderError) as refused:
        call()
    peer.refuse_next(status, times=0)
    return refused.value


def calls(adapter: RemoteTrainer, peer: Peer, place: Path) -> list[Callable[[], Any]]:
    """One of each kind that talks to the provider, for a job that runs."""
    handle = submitted(adapter, peer, place)
    peer.advance(handle, "running")
    file = uploaded(adapter, peer, place)
    assert isinstance(adapter, InferenceProvider)
    answering: InferenceProvider = adapter
    return [
        lambda: adapter.poll(handle),
        lambda: adapter.cancel(handle),
        lambda: adapter.find("job-1"),
        lambda: adapter.submit(asked_for(peer, file, "job-2")),
        lambda: uploaded(adapter, peer, place),
        lambda: answering.chat(model_asked(peer)),
    ]


@those(lambda peer: peer.is_http and peer.names_a_pause)
def test_a_provider_that_is_too_busy_is_left_alone_for_as_long_as_it_says(
    peer: Peer, adapter: RemoteTrainer, tmp_path: Path
):
    handle = submitted(adapter, peer, tmp_path)
    error = refusal(peer, 429, lambda: adapter.poll(handle), retry_after=7)
    assert isinstance(error, ProviderUnavailableError)
    assert error.retry_after == 7
    assert error.retryable
    assert adapter.poll(handle).state in (TrainingState.QUEUED, TrainingState.RUNNING)


@those(lambda peer: peer.is_http)
@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_faults_of_the_provider_may_pass(peer: Peer, adapter: RemoteTrainer, tmp_path: Path, status: int):
    for call in calls(adapter, peer, tmp_path):
        error = refusal(peer, status, call)
        assert isinstance(error, ProviderUnavailableError)
        assert error.retryable
        assert error.message


@those(lambda peer: peer.is_http)
@pytest.mark.parametrize(("status", "code"), [(401, "unauthenticated"), (403, "forbidden")])
def test_a_key_that_may_not_is_named(
    peer: Peer, adapter: RemoteTrainer, tmp_path: Path, status: int, code: str
):
    for call in calls(adapter, peer, tmp_path):
        error = refusal(peer, status, call)
        assert isinstance(error, ProviderRejectedError)
        assert error.code == code
        assert not error.retryable


@every
def test_a_provider_that_went_away_is_unavailable(peer: Peer, adapter: RemoteTrainer, tmp_path: Path):
    handle = submitted(adapter, peer, tmp_path)
    request = asked_for(peer, uploaded(adapter, peer, tmp_path), "job-2")
    fresh = peer.adapter()
    peer.stop()
    for call in (lambda: fresh.poll(handle), lambda: fresh.find("job-1"), lambda: fresh.submit(request)):
        with pytest.raises(ProviderUnavailableError) as gone:
            call()
        assert gone.value.message
    fresh.close()


@those(lambda peer: peer.is_http)
def test_errors_hold_no_key(peer: Peer, adapter: RemoteTrainer, tmp_path: Path):
    """The peer repeats the key in its refusals."""
    asking = calls(adapter, peer, tmp_path)
    for status in (400, 401, 403, 404, 409, 422, 429, 500, 503):
        for call in asking:
            peer.refuse_next(status, times=20)
            try:
                call()
            except ProviderError as error:
                told = [str(error), error.message, repr(error.args), json.dumps(error.raw), repr(error)]
                assert not any(peer.secret in text for text in told), (status, told)
            peer.refuse_next(status, times=0)
    peer.refuse_next(401, times=20)
    assert peer.secret not in adapter.check().message
