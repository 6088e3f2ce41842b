"""What Together AI leaves and how it answers: adapters to download, deployments, models that are gone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.providers.adapters.together.adapter import TogetherProvider
from apps.providers.contracts import (
    ChatRequest,
    ModelReference,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from apps.providers.remote import RemoteRequest
from tests.providers.contract.steps import submitted
from tests.providers.together_peer import BASE_MODEL, TogetherPeer


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


def test_the_adapter_is_downloaded_from_where_it_is_redirected(
    peer: TogetherPeer, adapter: TogetherProvider, tmp_path: Path
):
    handle = submitted(adapter, peer, tmp_path)
    peer.advance(handle, "succeeded")
    weights = b"".join(adapter.read_adapter(handle))
    assert weights == f"weights of {handle}.tar.zst".encode() * 100_000
    (fetched,) = peer.http.asked("GET", f"{handle}.tar.zst")
    assert "authorization" not in fetched.headers


def test_a_download_that_fails_says_so_with_its_first_piece(
    peer: TogetherPeer, adapter: TogetherProvider, tmp_path: Path
):
    handle = submitted(adapter, peer, tmp_path)
    peer.refuse_next(503)
    with pytest.raises(ProviderUnavailableError):
        next(adapter.read_adapter(handle))


def tuned(peer: TogetherPeer, adapter: TogetherProvider, place: Path) -> ModelReference:
    handle = submitted(adapter, peer, place)
    peer.advance(handle, "succeeded")
    return ModelReference(provider_model=adapter.result(handle).provider_model)


def test_a_model_beside_others_is_asked_by_its_deployment(
    peer: TogetherPeer, adapter: TogetherProvider, tmp_path: Path
):
    model = tuned(peer, adapter, tmp_path)
    assert model.provider_model
    peer.deploy("another/model")
    peer.deploy(model.provider_model)
    endpoint = peer.endpoints[1]
    endpoint["trafficSplit"].append({"deploymentId": "dep_9", "weight": 3})
    endpoint["deployments"].append(
        endpoint["deployments"][0]
        | {"id": "dep_9", "model": "projects/p/models/ml_9/revisions/1", "modelId": "ml_9"}
    )
    reply = adapter.chat(ChatRequest(model=model, messages=[{"role": "user", "content": "Hello"}]))
    assert reply.text == "acme/support-1/a says: on its way."
    assert reply.finish_reason == "stop", "together says eos"


def test_a_deployment_that_is_stopped_does_not_answer(
    peer: TogetherPeer, adapter: TogetherProvider, tmp_path: Path
):
    model = tuned(peer, adapter, tmp_path)
    assert model.provider_model
    peer.deploy(model.provider_model)
    peer.endpoints[0]["deployments"][0]["state"] = "DEPLOYMENT_STATE_STOPPED"
    with pytest.raises(ProviderRejectedError) as refused:
        adapter.ensure_model(model)
    assert refused.value.code == "not_deployed"
    assert "dedicated endpoint" in refused.value.message


def test_a_model_that_was_deleted_is_gone(adapter: TogetherProvider):
    with pytest.raises(ProviderRejectedError) as refused:
        adapter.ensure_model(ModelReference(provider_model="acme/deleted"))
    assert refused.value.code == "model_gone"


def test_all_pages_of_models_are_seen(peer: TogetherPeer, adapter: TogetherProvider):
    seen = adapter.check()
    assert seen.trainable is not None
    assert [model.id for model in seen.trainable] == ["google/gemma-4-12b", BASE_MODEL]
    assert len(peer.http.asked("GET", "/v2/supported-models")) == 2
