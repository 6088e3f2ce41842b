"""Vertex AI's answers, and what the adapter may reach."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from apps.providers.adapters.vertex.adapter import VertexProvider
from apps.providers.adapters.vertex.clients import SETTINGS, Clients
from apps.providers.contracts import (
    ChatRequest,
    ModelReference,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from tests.providers.vertex_peer import VertexPeer
from tests.providers.vertex_server import FLASH, GOOD_KEY, PARENT


@pytest.fixture
def peer() -> Iterator[VertexPeer]:
    peer = VertexPeer()
    peer.start()
    yield peer
    peer.stop()


@pytest.fixture
def adapter(peer: VertexPeer) -> Iterator[VertexProvider]:
    adapter = peer.adapter()
    yield adapter
    adapter.close()


def chat(*messages: tuple[str, str], **options: Any) -> ChatRequest:
    said = [{"role": role, "content": text} for role, text in messages or (("user", "Where is it?"),)]
    return ChatRequest(model=ModelReference(base=FLASH), messages=said, **options)


# --- Answers ---------------------------------------------------------------------------------------------------


def test_a_chat_is_asked_as_gemini_wants_it(peer: VertexPeer, adapter: VertexProvider):
    request = chat(
        ("system", "Be brief."), ("developer", "Be kind."), ("user", "Hello."), ("assistant", "Yes?"),
        ("user", "Where is it?"),
        max_tokens=64, temperature=0.5, top_p=0.9, seed=7, stop=("END",), frequency_penalty=0.5,
    )  # fmt: skip
    reply = adapter.chat(request)
    assert (reply.text, reply.finish_reason) == ("It is on its way.", "stop")
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (5, 5)
    _, path, body = peer.server.requests[-1]
    assert path == f"/v1beta1/{PARENT}/publishers/google/models/{FLASH}:generateContent"
    assert body["systemInstruction"]["parts"] == [{"text": "Be brief.\n\nBe kind."}]
    assert [(each["role"], each["parts"]) for each in body["contents"]] == [
        ("user", [{"text": "Hello."}]),
        ("model", [{"text": "Yes?"}]),
        ("user", [{"text": "Where is it?"}]),
    ]
    assert body["generationConfig"] == {
        "maxOutputTokens": 64, "temperature": 0.5, "topP": 0.9, "seed": 7, "stopSequences": ["END"],
        "frequencyPenalty": 0.5, "thinkingConfig": {"thinking_budget": 0},
    }  # fmt: skip


def test_the_library_says_nothing_in_the_log(adapter: VertexProvider, caplog: pytest.LogCaptureFixture):
    """A line about functions that it could call would come with every chat."""
    with caplog.at_level("INFO", logger="google_genai"):
        adapter.chat(chat())
    assert [record.message for record in caplog.records if record.name.startswith("google")] == []


def test_thoughts_are_no_part_of_the_answer(peer: VertexPeer, adapter: VertexProvider):
    parts = [{"text": "Let me see.", "thought": True}, {"text": "In "}, {"text": "Bern."}]
    peer.server.candidate = {"content": {"role": "model", "parts": parts}, "finishReason": "MAX_TOKENS"}
    reply = adapter.chat(chat())
    assert (reply.text, reply.finish_reason) == ("In Bern.", "length")


def test_a_model_that_always_thinks_can_be_asked(peer: VertexPeer, adapter: VertexProvider):
    peer.server.always_thinks = True
    with pytest.raises(ProviderRejectedError) as refused:
        adapter.chat(chat())
    assert refused.value.code == "thinks_always"
    thinking = peer.adapter(thinking="on")
    assert thinking.chat(chat()).text
    thinking.close()


def test_an_answer_that_is_held_back_is_empty_and_says_why(peer: VertexPeer, adapter: VertexProvider):
    peer.server.candidate = {"finishReason": "SAFETY"}
    reply = adapter.chat(chat())
    assert reply.text == ""
    assert reply.raw["finish_reason"] == "SAFETY"


def test_chances_of_tokens_are_refused(adapter: VertexProvider):
    with pytest.raises(ProviderRejectedError) as refused:
        adapter.chat(chat(top_chances=3))
    assert refused.value.code == "unsupported_option"


def test_a_model_that_is_gone_is_named(adapter: VertexProvider):
    gone = ChatRequest(
        model=ModelReference(provider_model=f"{PARENT}/endpoints/1"),
        messages=[{"role": "user", "content": "Hello."}],
    )
    with pytest.raises(ProviderRejectedError) as refused:
        adapter.chat(gone)
    assert refused.value.code == "not_found"


# --- What it may reach -----------------------------------------------------------------------------------------


def account(**changes: str) -> str:
    key = {
        "type": "service_account", "client_email": "a@b.iam.gserviceaccount.com", "private_key": GOOD_KEY,
        "token_uri": "https://oauth2.googleapis.com/token",
    }  # fmt: skip
    return json.dumps(key | changes)


def settings(**changes: str) -> dict[str, str]:
    told = {
        "project": "my-project-1",
        "location": "europe-west4",
        "bucket": "gs://tuning/folder",
        "service_account": account(),
    }
    return told | changes


def test_google_is_asked_where_the_location_says():
    clients = Clients(settings(), allow_private=False)
    assert (
        clients.genai()._api_client._http_options.base_url
        == "https://europe-west4-aiplatform.googleapis.com/"
    )
    clients.close()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"location": "evil.example/#"}, "bad_location"),
        ({"location": "evil.example/?a=us-central1"}, "bad_location"),
        ({"location": ""}, "bad_location"),
        ({"project": "a/../../b"}, "bad_project"),
        ({"endpoint_url": "https://example.com"}, "bad_endpoint_url"),
        ({"endpoint_url": "http://127.0.0.1:9"}, "bad_endpoint_url"),
        ({"service_account": "no json"}, "bad_service_account"),
        ({"service_account": "[]"}, "bad_service_account"),
        ({"service_account": account(private_key="nonsense")}, "bad_service_account"),
        ({"service_account": account(token_uri="http://169.254.169.254/token")}, "bad_service_account"),
        ({"service_account": account(type="authorized_user")}, "bad_service_account"),
    ],
)
def test_settings_are_no_way_to_other_hosts(changes: dict[str, str], code: str):
    with pytest.raises(ProviderRejectedError) as refused:
        Clients(settings(**changes), allow_private=False).genai()
    assert refused.value.code == code
    adapter = VertexProvider(settings(**changes))
    seen = adapter.check()
    adapter.close()
    assert (seen.reachable, seen.authenticated) == (False, None)
    assert seen.message == refused.value.message


def test_the_machines_own_google_set_up_changes_nothing(peer: VertexPeer, monkeypatch: pytest.MonkeyPatch):
    for name, value in {
        "GOOGLE_API_KEY": "of-the-machine",
        "GOOGLE_CLOUD_PROJECT": "another-project",
        "GOOGLE_GENAI_API_VERSION": "v9",
        "GOOGLE_GENAI_USE_VERTEXAI": "false",
        "GOOGLE_APPLICATION_CREDENTIALS": "/nowhere.json",
        "HTTPS_PROXY": "http://127.0.0.1:1",
        "HTTP_PROXY": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
    adapter = peer.adapter()
    assert adapter.chat(chat()).text
    adapter.close()


def test_a_token_endpoint_that_is_busy_is_not_waited_for(peer: VertexPeer, adapter: VertexProvider):
    """The library would sleep and try again by itself; the caller knows better when."""
    peer.refuse_next(503, retry_after=9, times=1)
    with pytest.raises(ProviderUnavailableError) as busy:
        adapter.chat(chat())
    assert busy.value.retry_after == 9
    assert peer.server.tokens_given == 0
    assert adapter.chat(chat()).text


def test_a_bucket_that_can_not_be_used_is_named(peer: VertexPeer):
    adapter = peer.adapter(bucket="gs://another-bucket")
    seen = adapter.check()
    adapter.close()
    assert (seen.reachable, seen.authenticated) == (True, True)
    assert "bucket" in seen.message


def test_secrets_are_marked():
    assert {setting.name for setting in SETTINGS if setting.secret} == {"service_account"}
