"""Chats over OpenAI's protocol, at once and streamed, with OpenAI's own clients; and the endpoints that only chat."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from apps.providers.adapters.huggingface.adapter import HuggingFaceProvider
from apps.providers.adapters.openai.adapter import OpenAIProvider
from apps.providers.contracts import (
    ChatPiece,
    ChatReply,
    ChatRequest,
    InferenceProvider,
    ModelReference,
    ProviderError,
    ProviderRejectedError,
    ProviderUnavailableError,
    Usage,
)
from apps.providers.registry import inference_provider, streaming_inference
from tests.providers.openai_peer import OpenAIPeer
from tests.providers.openai_server import BASE_MODEL, SECRET

QUESTION = ChatRequest(
    model=ModelReference(provider_model=BASE_MODEL),
    messages=[{"role": "system", "content": "Be short."}, {"role": "user", "content": "Where is my parcel?"}],
    max_tokens=40,
)
ANSWER = "It is on its way."


@pytest.fixture
def peer() -> Iterator[OpenAIPeer]:
    peer = OpenAIPeer()
    peer.start()
    yield peer
    peer.stop()


def options(peer: OpenAIPeer, **settings: str) -> dict[str, Any]:
    return {"settings": {"base_url": peer.url, "api_key": SECRET, **settings}, "allow_private": True}


def ask(peer: OpenAIPeer, request: ChatRequest) -> ChatReply:
    provider = inference_provider("openai", **options(peer))
    try:
        return provider.chat(request)
    finally:
        provider.close()


def ask_async(peer: OpenAIPeer, request: ChatRequest) -> ChatReply:
    async def whole() -> ChatReply:
        chats = streaming_inference("openai", **options(peer))
        try:
            return await chats.chat(request)
        finally:
            await chats.close()

    return asyncio.run(whole())


def stream(peer: OpenAIPeer, request: ChatRequest) -> list[ChatPiece]:
    async def whole() -> list[ChatPiece]:
        chats = streaming_inference("openai", **options(peer))
        try:
            return [piece async for piece in chats.stream(request)]
        finally:
            await chats.close()

    return asyncio.run(whole())


def ask_streamed(peer: OpenAIPeer, request: ChatRequest) -> ChatReply:
    reply = stream(peer, request)[-1].reply
    assert reply is not None
    return reply


every_way = pytest.mark.parametrize("way", [ask, ask_async, ask_streamed])


@every_way
def test_a_question_is_answered(peer: OpenAIPeer, way: Any):
    reply = way(peer, QUESTION)
    assert (reply.text, reply.finish_reason) == (ANSWER, "stop")
    assert reply.usage == Usage(prompt_tokens=9, completion_tokens=5)
    assert reply.latency > 0
    assert reply.raw["chances"] == []


@every_way
def test_only_what_differs_from_the_defaults_is_sent(peer: OpenAIPeer, way: Any):
    way(peer, QUESTION)
    plain = peer.state.bodies[-1]
    assert set(plain) - {"stream", "stream_options"} == {"model", "messages", "max_tokens", "temperature"}
    assert plain["temperature"] == 0
    way(
        peer,
        replace(
            QUESTION,
            temperature=0.7,
            top_p=0.9,
            seed=3,
            stop=("END",),
            frequency_penalty=0.5,
            presence_penalty=-0.5,
            top_chances=2,
        ),
    )
    sent = peer.state.bodies[-1]
    expected = {
        "temperature": 0.7, "top_p": 0.9, "seed": 3, "stop": ["END"], "frequency_penalty": 0.5,
        "presence_penalty": -0.5, "logprobs": True, "top_logprobs": 2,
    }  # fmt: skip
    assert expected.items() <= sent.items()


@every_way
def test_the_newer_name_of_the_length_is_used_where_the_older_is_refused(peer: OpenAIPeer, way: Any):
    peer.state.knows_new_length_only = True
    assert way(peer, QUESTION).text == ANSWER
    assert peer.state.bodies[-1]["max_completion_tokens"] == 40


def test_that_name_is_learned_once(peer: OpenAIPeer):
    peer.state.knows_new_length_only = True
    adapter = peer.adapter()
    for _ in range(3):
        adapter.chat(QUESTION)
    adapter.close()
    assert len(peer.state.requests) == 4


@every_way
def test_a_model_that_is_gone_is_named(peer: OpenAIPeer, way: Any):
    with pytest.raises(ProviderRejectedError) as refused:
        way(peer, replace(QUESTION, model=ModelReference(provider_model="ft:gone")))
    assert refused.value.code == "model_not_found"
    with pytest.raises(ProviderRejectedError) as refused:
        way(peer, replace(QUESTION, model=ModelReference()))
    assert refused.value.code == "no_model"


@every_way
def test_an_account_without_credit_is_not_asked_again(peer: OpenAIPeer, way: Any):
    peer.state.refusals = [(429, 3.0)]
    with pytest.raises(ProviderUnavailableError) as busy:
        way(peer, QUESTION)
    assert busy.value.retry_after == 3
    peer.state.refusal_code = "insufficient_quota"
    peer.state.refusals = [(429, None)]
    with pytest.raises(ProviderRejectedError) as empty:
        way(peer, QUESTION)
    assert empty.value.code == "insufficient_quota"


@every_way
def test_a_server_that_went_away_is_unreachable(peer: OpenAIPeer, way: Any):
    peer.stop()
    with pytest.raises(ProviderUnavailableError) as gone:
        way(peer, QUESTION)
    assert gone.value.code == "unreachable"


def test_an_answer_grows(peer: OpenAIPeer):
    pieces = stream(peer, QUESTION)
    assert [piece.text for piece in pieces[:-1]] == ["It", " is", " on", " its", " way."]
    assert all(piece.reply is None for piece in pieces[:-1])


def test_an_answer_that_breaks_off_is_none(peer: OpenAIPeer):
    peer.state.breaks_off = True
    with pytest.raises(ProviderUnavailableError) as broken:
        stream(peer, QUESTION)
    assert broken.value.code == "connection_lost"


# --- Endpoints that only answer ------------------------------------------------------------------------------


class TextGeneration(BaseHTTPRequestHandler):
    """As text-generation-inference 2: no list of models in its older versions, but /info; errors are bare texts; top_p
    must be below 1."""

    lists_models = True
    asleep = False

    def do_GET(self) -> None:
        if self.path == "/info":
            self.answer(200, {"model_id": "acme/support-8b", "max_total_tokens": 4096})
        elif self.path == "/v1/models" and self.lists_models:
            entry = {"id": "acme/support-8b", "object": "model", "created": 0, "owned_by": "acme/support-8b"}
            self.answer(200, {"object": "list", "data": [entry]})
        else:
            self.answer(404, {"error": "Not Found"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.asleep:
            self.answer(503, {"error": "503 Service Unavailable"})
        elif body.get("top_p", 0.5) >= 1:
            error = "Input validation error: `top_p` must be > 0.0 and < 1.0"
            self.answer(422, {"error": error, "error_type": "validation"})
        elif body["max_tokens"] > 4096:
            error = "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096"
            self.answer(422, {"error": error, "error_type": "validation"})
        else:
            message = {"role": "assistant", "content": "On its way."}
            choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "length"}
            usage = {"prompt_tokens": 12, "completion_tokens": 4, "total_tokens": 16}
            self.answer(200, {"object": "chat.completion", "id": "", "choices": [choice], "usage": usage})

    def answer(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    TextGeneration.lists_models, TextGeneration.asleep = True, False
    with ThreadingHTTPServer(("127.0.0.1", 0), TextGeneration) as served:
        thread = Thread(target=served.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()
        thread.join()


@pytest.fixture
def hosted(endpoint: str) -> Iterator[HuggingFaceProvider]:
    provider = HuggingFaceProvider({"base_url": endpoint}, allow_private=True)
    yield provider
    provider.close()


@pytest.mark.parametrize(("lists_models", "length"), [(True, None), (False, 4096)])
def test_a_text_generation_server_tells_its_model(
    hosted: HuggingFaceProvider, lists_models: bool, length: int | None
):
    TextGeneration.lists_models = lists_models
    seen = hosted.check()
    assert (seen.reachable, seen.authenticated, seen.trainable) == (True, True, ())
    assert [(model.id, model.context_length) for model in seen.served or ()] == [("acme/support-8b", length)]
    assert "acme/support-8b" in seen.message


def test_a_text_generation_server_answers(hosted: HuggingFaceProvider):
    assert isinstance(hosted, InferenceProvider)
    request = replace(QUESTION, model=ModelReference(base="acme/support-8b"))
    hosted.ensure_model(request.model)
    reply = hosted.chat(request)
    assert (reply.text, reply.finish_reason) == ("On its way.", "length")
    assert reply.usage == Usage(prompt_tokens=12, completion_tokens=4)
    with pytest.raises(ProviderRejectedError, match="must be <= 4096"):
        hosted.chat(replace(request, max_tokens=5000))


def test_an_endpoint_that_sleeps_can_be_asked_again(hosted: HuggingFaceProvider):
    TextGeneration.asleep = True
    with pytest.raises(ProviderUnavailableError) as asleep:
        hosted.chat(QUESTION)
    assert asleep.value.retryable


def test_an_endpoint_needs_an_address():
    with pytest.raises(ProviderError, match="address"):
        HuggingFaceProvider({"api_key": "hf_1"})


def test_a_connection_to_the_own_network_is_refused(peer: OpenAIPeer):
    adapter = OpenAIProvider({"base_url": peer.url.replace("http:", "https:"), "api_key": SECRET})
    seen = adapter.check()
    adapter.close()
    assert seen.reachable is False
    assert "FTPORTAL_ALLOW_PRIVATE_URLS" in seen.message
    assert peer.state.requests == []
