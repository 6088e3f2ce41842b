"""Asking the model: all choices at once, each until it fits its format."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from apps.gateway.answering import Answering
from apps.gateway.chat.parameters import Wanted
from apps.gateway.chat.structured import TRIES
from apps.gateway.database import in_thread
from apps.gateway.served import Served, put_in_place
from apps.providers.contracts import ChatPiece, ChatReply, ChatRequest, ProviderError, StreamingInference

MODEL_MISSING = "model_missing"


@dataclass(frozen=True)
class Choice:
    """One answer. `refusal` stands in the place of a text that does not fit. `spent` counts tokens of all tries."""

    index: int
    reply: ChatReply
    refusal: str | None = None
    spent: int = 0


async def all_choices(answering: Answering, served: Served, wanted: Wanted) -> list[Choice]:
    """Raises ProviderError."""
    inference = answering.inference(served.base)
    if wanted.choices == 1:
        return [await _choice(inference, served, wanted, 0)]
    tasks = [
        asyncio.create_task(_choice(inference, served, wanted, index)) for index in range(wanted.choices)
    ]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()  # without effect on those that are done


async def _choice(inference: StreamingInference, served: Served, wanted: Wanted, index: int) -> Choice:
    spent = 0
    problem = ""
    for attempt in range(TRIES):
        request = wanted.request(served.reference, choice=index, attempt=attempt)
        reply = await _ask(inference, served, request)
        spent += reply.usage.completion_tokens if reply.usage else 0
        problem = wanted.format.problem(reply.text)
        if not problem or reply.finish_reason == "length":
            return Choice(index, reply, spent=spent)
    return Choice(index, reply, refusal=wanted.format.refusal(problem), spent=spent)


async def _ask(inference: StreamingInference, served: Served, request: ChatRequest) -> ChatReply:
    try:
        return await inference.chat(request)
    except ProviderError as error:
        if error.code != MODEL_MISSING or served.artifact is None:
            raise
    await in_thread(put_in_place, served)
    return await inference.chat(request)


async def pieces(
    answering: Answering, served: Served, wanted: Wanted, index: int
) -> AsyncIterator[ChatPiece]:
    """One choice as it grows. What must fit a format is only shown once it does."""
    inference = answering.inference(served.base)
    request = wanted.request(served.reference, choice=index)
    try:
        async for piece in inference.stream(request):
            yield piece
        return
    except ProviderError as error:
        if error.code != MODEL_MISSING or served.artifact is None:
            raise
    await in_thread(put_in_place, served)
    async for piece in inference.stream(request):
        yield piece
