"""Streamed answers of the inference program, and how likely it thought each token."""

import asyncio
from pathlib import Path

import pytest

from apps.providers.adapters.local.streaming_client import StreamingInferenceClient
from apps.providers.contracts import (
    ChatPiece,
    ChatReply,
    ChatRequest,
    ModelReference,
    ProviderRejectedError,
)
from tests.providers.conftest import TOKEN, Server
from tests.providers.test_inference import ask, questions

pytestmark = pytest.mark.timeout(900)


async def _pieces(socket: Path, request: ChatRequest) -> tuple[list[ChatPiece], ChatReply]:
    client = StreamingInferenceClient(socket=socket, token=TOKEN)
    pieces = [piece async for piece in client.stream(request)]
    await client.close()
    reply = pieces.pop().reply
    assert reply is not None
    return pieces, reply


def test_a_stream_tells_the_same_answer_in_pieces(server: Server, base_model: Path) -> None:
    model = ModelReference(base=str(base_model))
    messages = questions(1)[0]
    whole = ask(server.client, messages, model)

    pieces, reply = asyncio.run(
        _pieces(server.socket, ChatRequest(model=model, messages=messages, max_tokens=12))
    )

    assert len(pieces) > 2
    assert "".join(piece.text for piece in pieces) == whole.text == reply.text
    assert (reply.finish_reason, reply.usage) == (whole.finish_reason, whole.usage)


def test_a_stream_never_shows_the_beginning_of_a_stop_string(server: Server, base_model: Path) -> None:
    model = ModelReference(base=str(base_model))
    messages = questions(1)[0]
    whole = ask(server.client, messages, model).text
    request = ChatRequest(model=model, messages=messages, max_tokens=12, stop=(whole[4:8],))

    pieces, reply = asyncio.run(_pieces(server.socket, request))

    assert "".join(piece.text for piece in pieces) == whole[: whole.index(whole[4:8])] == reply.text


def test_chances_are_those_of_the_model(server: Server, base_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    messages = questions(1)[0]
    reply = server.client.chat(
        ChatRequest(
            model=ModelReference(base=str(base_model)), messages=messages, max_tokens=1, top_chances=3
        )
    )

    tokenizer = AutoTokenizer.from_pretrained(base_model)
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt")[
        "input_ids"
    ]
    with torch.inference_mode():
        logits = AutoModelForCausalLM.from_pretrained(base_model).eval()(ids).logits[0, -1]
    expected = torch.log_softmax(logits, -1).topk(3).values.tolist()
    (told,) = reply.raw["chances"]
    assert [candidate["logarithm"] for candidate in told["top"]] == pytest.approx(expected, abs=1e-3)
    assert told["chosen"] == told["top"][0]


def test_a_presence_penalty_keeps_a_greedy_answer_from_repeating(server: Server, base_model: Path) -> None:
    model = ModelReference(base=str(base_model))
    plain = server.client.chat(
        ChatRequest(model=model, messages=questions(1)[0], max_tokens=24, top_chances=0)
    )
    varied = server.client.chat(
        ChatRequest(
            model=model,
            messages=questions(1)[0],
            max_tokens=24,
            top_chances=0,
            presence_penalty=2.0,
            frequency_penalty=2.0,
        )
    )

    def repeats(reply: ChatReply) -> int:
        said = [chance["chosen"]["text"] for chance in reply.raw["chances"]]
        return len(said) - len(set(said))

    assert repeats(varied) < repeats(plain)


def test_an_error_of_a_stream_comes_with_its_status(server: Server) -> None:
    missing = ModelReference(kind="adapter", base="/nowhere", artifact_sha256="0" * 64)
    request = ChatRequest(model=missing, messages=questions(1)[0])

    with pytest.raises(ProviderRejectedError) as refused:
        asyncio.run(_pieces(server.socket, request))

    assert refused.value.code == "model_missing"
