"""Bedrock's answers: Converse, the deployment that a tuned model needs, and what the adapter may reach."""

from collections.abc import Iterator
from typing import Any

import pytest

from apps.providers.adapters.bedrock.adapter import BedrockProvider
from apps.providers.adapters.bedrock.clients import SETTINGS, Clients
from apps.providers.adapters.bedrock.families import model_id
from apps.providers.contracts import (
    ChatRequest,
    ModelReference,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from apps.providers.remote import RemoteRequest
from tests.providers.bedrock_peer import ROLE, BedrockPeer
from tests.providers.bedrock_server import BUCKET, NOVA, PREFIX


@pytest.fixture
def peer() -> Iterator[BedrockPeer]:
    peer = BedrockPeer()
    peer.start()
    yield peer
    peer.stop()


@pytest.fixture
def adapter(peer: BedrockPeer) -> Iterator[BedrockProvider]:
    adapter = peer.adapter()
    yield adapter
    adapter.close()


def chat(model: ModelReference, *messages: tuple[str, str], **options: Any) -> ChatRequest:
    said = messages or (("user", "Where is my parcel?"),)
    return ChatRequest(
        model=model, messages=[{"role": role, "content": text} for role, text in said], **options
    )


# --- Answers ---------------------------------------------------------------------------------------------------


def tuned(adapter: BedrockProvider, peer: BedrockPeer) -> ModelReference:
    request = RemoteRequest(job_key="job-1", base_model=NOVA, training_file=f"s3://{BUCKET}/train.jsonl")
    handle = adapter.submit(request)
    peer.advance(handle, "succeeded")
    return ModelReference(kind="full", provider_model=adapter.result(handle).provider_model)


def test_a_chat_is_asked_as_converse_wants_it(peer: BedrockPeer, adapter: BedrockProvider):
    request = chat(
        ModelReference(base=f"{NOVA}:300k"),
        ("system", "Be brief."), ("developer", "Be kind."), ("user", "Hello."), ("user", "Where is it?"),
        ("assistant", "Here."), ("user", "Thanks."),
        max_tokens=64, temperature=0.5, top_p=0.9, stop=("END",),
    )  # fmt: skip
    reply = adapter.chat(request)
    assert (reply.text, reply.finish_reason) == ("It is on its way.", "stop")
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (6, 5)
    _, path, body = peer.server.requests[-1]
    assert path == f"/model/{NOVA}/converse"
    assert body == {
        "system": [{"text": "Be brief."}, {"text": "Be kind."}],
        "messages": [
            {"role": "user", "content": [{"text": "Hello."}, {"text": "Where is it?"}]},
            {"role": "assistant", "content": [{"text": "Here."}]},
            {"role": "user", "content": [{"text": "Thanks."}]},
        ],
        "inferenceConfig": {"maxTokens": 64, "temperature": 0.5, "topP": 0.9, "stopSequences": ["END"]},
    }


def test_an_answer_that_was_cut_short_says_so(peer: BedrockPeer, adapter: BedrockProvider):
    peer.server.stop_reason = "max_tokens"
    assert adapter.chat(chat(ModelReference(base=NOVA))).finish_reason == "length"


@pytest.mark.parametrize(
    "option", [{"top_chances": 3}, {"frequency_penalty": 0.5}, {"presence_penalty": 1.0}]
)
def test_what_converse_can_not_do_is_refused(adapter: BedrockProvider, option: dict[str, Any]):
    with pytest.raises(ProviderRejectedError) as refused:
        adapter.chat(chat(ModelReference(base=NOVA), **option))
    assert refused.value.code == "unsupported_option"


def test_nothing_is_deployed_unless_the_connection_says_so(peer: BedrockPeer, adapter: BedrockProvider):
    model = tuned(adapter, peer)
    for ask in (lambda: adapter.ensure_model(model), lambda: adapter.chat(chat(model))):
        with pytest.raises(ProviderRejectedError) as refused:
            ask()
        assert refused.value.code == "not_deployed"
    assert peer.server.deployments == {}


def test_a_connection_that_may_deploys_a_tuned_model_once(peer: BedrockPeer):
    adapter = peer.adapter(deploy="yes")
    model = tuned(adapter, peer)
    for _ in range(3):
        with pytest.raises(ProviderUnavailableError) as waiting:
            adapter.ensure_model(model)
        assert waiting.value.code == "deploying"
        assert waiting.value.retry_after
    (deployment,) = peer.server.deployments.values()
    deployment["status"] = "Active"
    assert adapter.chat(chat(model)).text
    assert peer.server.requests[-1][1] == f"/model/{deployment['customModelDeploymentArn']}/converse"
    adapter.close()


def test_a_deployment_that_failed_is_not_tried_again(peer: BedrockPeer):
    adapter = peer.adapter(deploy="yes")
    model = tuned(adapter, peer)
    peer.server.add_deployment(model.provider_model or "", "Failed")
    with pytest.raises(ProviderRejectedError) as refused:
        adapter.ensure_model(model)
    assert refused.value.code == "not_deployed"
    assert len(peer.server.deployments) == 1
    adapter.close()


def test_a_deployment_that_was_deleted_is_looked_for_anew(peer: BedrockPeer, adapter: BedrockProvider):
    model = tuned(adapter, peer)
    peer.deploy(model.provider_model or "")
    assert adapter.chat(chat(model)).text
    peer.server.deployments.clear()
    with pytest.raises(ProviderRejectedError) as gone:
        adapter.chat(chat(model))
    assert gone.value.code == "not_deployed"
    peer.deploy(model.provider_model or "")
    assert adapter.chat(chat(model)).text


def test_provisioned_throughput_answers_too(peer: BedrockPeer, adapter: BedrockProvider):
    model = tuned(adapter, peer)
    arn = f"{PREFIX}:provisioned-model/abcdefghijkl"
    peer.server.provisioned.append(
        {
            "provisionedModelArn": arn,
            "provisionedModelName": "bought",
            "modelArn": model.provider_model,
            "desiredModelArn": model.provider_model,
            "foundationModelArn": f"arn:aws:bedrock:us-east-1::foundation-model/{NOVA}",
            "modelUnits": 1,
            "desiredModelUnits": 1,
            "status": "InService",
            "creationTime": "2026-11-21T10:00:00Z",
            "lastModifiedTime": "2026-11-21T10:00:00Z",
        }
    )
    assert adapter.chat(chat(model)).text
    assert peer.server.requests[-1][1] == f"/model/{arn}/converse"


# --- What it may reach -----------------------------------------------------------------------------------------


def adapter_with(**settings: str) -> BedrockProvider:
    told = {
        "region": "us-east-1", "access_key_id": "AKIA0000000000000000", "secret_access_key": "secret",
        "role_arn": ROLE, "s3_uri": "s3://bucket/folder",
    }  # fmt: skip
    return BedrockProvider(told | settings)


def test_an_endpoint_of_ones_own_needs_the_operators_leave(peer: BedrockPeer):
    for url in (peer.server.url, "https://example.com"):
        seen = adapter_with(endpoint_url=url).check()
        assert (seen.reachable, seen.authenticated) == (False, None)
        assert "FTPORTAL_ALLOW_PRIVATE_URLS" in seen.message
    assert peer.server.requests == []


@pytest.mark.parametrize("region", ["evil.example/", "us-east-1.example.com#", "", "localhost"])
def test_a_region_is_no_way_to_another_host(region: str):
    with pytest.raises(ProviderRejectedError) as refused:
        Clients(
            {"region": region, "access_key_id": "a", "secret_access_key": "b"}, allow_private=False
        ).bedrock()
    assert refused.value.code == "bad_region"


def test_the_machines_own_aws_set_up_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_PROFILE", "somebody-else")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    adapter = adapter_with()
    assert adapter._clients.bedrock().meta.endpoint_url == "https://bedrock.us-east-1.amazonaws.com"
    assert adapter._clients.runtime().meta.endpoint_url == "https://bedrock-runtime.us-east-1.amazonaws.com"
    assert adapter._clients.s3().meta.endpoint_url == "https://s3.us-east-1.amazonaws.com"
    adapter.close()


def test_the_machines_own_key_is_not_used(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFTHEMACHINE0000")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of the machine")
    seen = adapter_with(secret_access_key="").check()
    assert seen.authenticated is False


def test_secrets_are_marked():
    assert {setting.name for setting in SETTINGS if setting.secret} == {"secret_access_key", "session_token"}


def test_the_model_of_an_arn():
    assert model_id(f"{PREFIX}:custom-model/{NOVA}/abcdefghijkl") == NOVA
