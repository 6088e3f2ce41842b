"""Fireworks' accounts and models: what can be trained, where a tuned model answers, and what is gone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.providers.adapters.fireworks.adapter import FireworksProvider
from apps.providers.contracts import (
    ChatRequest,
    ModelReference,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from apps.providers.remote import DataFacts, RemoteRequest
from tests.providers.contract.steps import submitted
from tests.providers.fireworks_peer import ACCOUNT, BASE_MODEL, FireworksPeer

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def peer() -> Iterator[FireworksPeer]:
    peer = FireworksPeer()
    peer.start()
    yield peer
    peer.stop()


@pytest.fixture
def adapter(peer: FireworksPeer) -> Iterator[FireworksProvider]:
    adapter = peer.adapter()
    yield adapter
    adapter.close()


def asked(file: str, **changes: Any) -> RemoteRequest:
    return RemoteRequest(**{"job_key": "job-1", "base_model": BASE_MODEL, "training_file": file, **changes})


def test_all_pages_of_models_are_seen(peer: FireworksPeer, adapter: FireworksProvider):
    seen = adapter.check()
    assert seen.trainable is not None
    assert [model.id.rpartition("/")[2] for model in seen.trainable] == ["glm-5", "kimi-k3", "qwen3-8b"]
    assert len(peer.http.asked("GET", "/fireworks/models")) == 2


def test_a_suspended_account_is_told(peer: FireworksPeer, adapter: FireworksProvider):
    peer.suspended = "CREDIT_DEPLETED"
    assert "CREDIT_DEPLETED" in adapter.check().message


def test_an_account_that_does_not_exist_is_named(peer: FireworksPeer):
    adapter = peer.adapter(account_id="accounts/somebody")
    seen = adapter.check()
    adapter.close()
    assert (seen.reachable, seen.authenticated) == (True, True)
    assert "“somebody”" in seen.message


@pytest.mark.parametrize(
    ("changes", "facts", "codes"),
    [
        ({"base_model": "llama-guard"}, {}, ["not_trainable"]),
        ({}, {"longest_row_tokens": 33_000}, ["row_too_long"]),
        ({"seed": 3}, {}, ["no_seed_taken"]),
        ({"objective": "dpo"}, {"validation_rows": 20}, ["no_validation_taken"]),
        ({"objective": "dpo", "hyperparameters": {"beta": 0.5}}, {}, ["hyperparameter_out_of_range"]),
    ],
)
def test_what_can_not_be_trained_is_told_before(
    adapter: FireworksProvider, changes: dict[str, Any], facts: dict[str, Any], codes: list[str]
):
    """Beta "must be > 0 and < 0.5", as its client says."""
    problems = adapter.validate(asked("d", **changes), DataFacts(rows=500, **facts))
    assert [problem.code for problem in problems] == codes


def tuned(peer: FireworksPeer, adapter: FireworksProvider, place: Path) -> str:
    handle = submitted(adapter, peer, place)
    peer.advance(handle, "succeeded")
    model = adapter.result(handle).provider_model
    assert model
    return model


def test_a_tuned_model_is_asked_at_its_deployment(
    peer: FireworksPeer, adapter: FireworksProvider, tmp_path: Path
):
    model = tuned(peer, adapter, tmp_path)
    peer.deploy(model)
    place = f"{model}#{peer.deployed[model][0]['deployment']}"
    request = ChatRequest(model=ModelReference(provider_model=model), messages=HELLO)
    assert adapter.chat(request).text == f"{place} says: on its way."
    peer.deployed[model].clear()
    for _ in range(2):
        with pytest.raises(ProviderRejectedError) as refused:
            adapter.chat(request)
        assert refused.value.code == "not_deployed"


def test_a_deployment_is_started_where_the_connection_says_so(peer: FireworksPeer, tmp_path: Path):
    adapter = peer.adapter(deploy="yes")
    model = tuned(peer, adapter, tmp_path)
    for _ in range(2):
        with pytest.raises(ProviderUnavailableError) as starting:
            adapter.ensure_model(ModelReference(provider_model=model))
        assert (starting.value.code, starting.value.retry_after) == ("deploying", 60)
    assert [body["baseModel"] for body in peer.deployments.values()] == [model]
    peer.deploy(model)
    adapter.ensure_model(ModelReference(provider_model=model))
    adapter.close()


def test_no_deployment_is_started_otherwise(peer: FireworksPeer, adapter: FireworksProvider, tmp_path: Path):
    model = tuned(peer, adapter, tmp_path)
    with pytest.raises(ProviderRejectedError) as refused:
        adapter.ensure_model(ModelReference(provider_model=model))
    assert "deployment" in refused.value.message
    assert peer.deployments == {}


def test_a_model_that_was_deleted_is_gone(adapter: FireworksProvider):
    with pytest.raises(ProviderRejectedError) as refused:
        adapter.ensure_model(ModelReference(provider_model=f"accounts/{ACCOUNT}/models/deleted"))
    assert refused.value.code == "model_gone"
