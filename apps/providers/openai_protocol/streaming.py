"""Chats for an event loop: many at once, and streamed ones."""

import time
from collections.abc import AsyncIterator, Mapping
from typing import Any

from openai import AsyncStream

from apps.providers.contracts import (
    ChatPiece,
    ChatReply,
    ChatRequest,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from apps.providers.openai_protocol.access import Access, open_async_client
from apps.providers.openai_protocol.chat import (
    Spelling,
    chances_of,
    finish_of,
    first_choice,
    model_name,
    parameters,
    reply_of,
    text_of,
    usage_of,
)
from apps.providers.openai_protocol.errors import asking
from apps.providers.openai_protocol.replies import body_of


class StreamingChats:
    """Belongs to one event loop."""

    def __init__(self, access: Access, *, allow_private: bool) -> None:
        self._access = access
        self._client = open_async_client(access, allow_private=allow_private)
        self._spelling = Spelling(access)

    async def close(self) -> None:
        await self._client.close()

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Answer one conversation; raises ProviderError."""
        started = time.perf_counter()
        raw = await self._opened(request)
        body = body_of(self._access, raw)
        return reply_of(body, self._access, latency=time.perf_counter() - started)

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatPiece]:
        """The answer as it grows."""
        started = time.perf_counter()
        raw = await self._opened(request, stream=True, stream_options={"include_usage": True})
        with asking(self._access):
            chunks: AsyncStream[Any] = raw.parse()
            whole = _Whole(self._access)
            async with chunks:
                async for chunk in chunks:
                    piece = whole.add(chunk.model_dump(mode="json", warnings=False))
                    if piece is not None:
                        yield piece
            yield ChatPiece(reply=whole.reply(time.perf_counter() - started))

    async def _opened(self, request: ChatRequest, **options: Any) -> Any:
        model = model_name(request)
        try:
            return await self._ask(request, model, options)
        except ProviderRejectedError as error:
            if not self._spelling.refused(model, error):
                raise
        return await self._ask(request, model, options)

    async def _ask(self, request: ChatRequest, model: str, options: Mapping[str, Any]) -> Any:
        with asking(self._access):
            return await self._client.chat.completions.with_raw_response.create(
                **parameters(request, self._spelling.of(model)), **options
            )


class _Whole:
    """An answer put together from its pieces."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._texts: list[str] = []
        self._chances: list[Mapping[str, Any]] = []
        self._reason: Any = None
        self._ended = False
        self._usage: Any = None

    def add(self, chunk: Mapping[str, Any]) -> ChatPiece | None:
        self._usage = chunk.get("usage") or self._usage
        choice = first_choice(chunk)
        if choice is None:
            return None
        if choice.get("finish_reason"):
            self._reason, self._ended = choice["finish_reason"], True
        delta = choice.get("delta")
        grown = ""
        if isinstance(delta, Mapping):
            grown = text_of(delta.get("content")) or text_of(delta.get("refusal"))
        chances = chances_of(choice)
        if not grown and not chances:
            return None
        self._texts.append(grown)
        self._chances.extend(chances)
        return ChatPiece(text=grown, chances=chances)

    def reply(self, latency: float) -> ChatReply:
        if not self._ended:
            raise ProviderUnavailableError(
                f"{self._access.host} broke off in the middle of its answer.", code="connection_lost"
            )
        return ChatReply(
            text="".join(self._texts),
            finish_reason=finish_of(self._reason, self._access),
            usage=usage_of(self._usage),
            latency=latency,
            raw={"chances": self._chances},
        )
