"""Client of the inference program for an event loop: many answers at once, and streamed ones."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpcore
import msgspec

from apps.providers.adapters.local.client import chat_payload, chat_reply, reply_error
from apps.providers.contracts import (
    ChatPiece,
    ChatReply,
    ChatRequest,
    ProviderRejectedError,
    ProviderUnavailableError,
)

ANSWER_SECONDS = 600.0
IDLE_SECONDS = 120.0
"""Well under the time for which the program keeps an idle connection open."""
MOST_CONNECTIONS = 512
_TIMEOUT = {"connect": 5.0, "read": ANSWER_SECONDS, "write": 30.0, "pool": ANSWER_SECONDS}
ERROR_BYTES = 64 * 1024


class StreamingInferenceClient:
    """`socket` is a path, `url` a http address; exactly one is given. Belongs to one event loop."""

    def __init__(
        self, *, socket: Path | None = None, url: str | None = None, token: str | None = None
    ) -> None:
        if (socket is None) == (url is None):
            raise ValueError("give a socket or an url, and not both")
        self._url = httpcore.URL(f"{(url or 'http://inference').rstrip('/')}/chat")
        self._headers = [("Host", "inference"), ("Content-Type", "application/json")]
        if token:
            self._headers.append(("Authorization", f"Bearer {token}"))
        self._connections = _Connections(self._url.origin, uds=str(socket) if socket else None)

    async def close(self) -> None:
        await self._connections.close()

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Answer one conversation; raises ProviderError."""
        started = time.perf_counter()
        async with self._asked(chat_payload(request)) as answer:
            content = await answer.aread()
        return chat_reply(msgspec.json.decode(content), latency=time.perf_counter() - started)

    async def stream(self, request: ChatRequest) -> AsyncIterator[ChatPiece]:
        """The answer as it grows."""
        started = time.perf_counter()
        async with self._asked({**chat_payload(request), "stream": True}) as answer:
            async for line in _lines(answer):
                entry = msgspec.json.decode(line)
                if "piece" in entry:
                    yield ChatPiece(text=entry["piece"]["text"], chances=entry["piece"]["chances"])
                elif "reply" in entry:
                    reply = chat_reply(entry["reply"], latency=time.perf_counter() - started)
                    yield ChatPiece(reply=reply)
                    return
                else:
                    raise ProviderRejectedError(entry["error"]["message"], code=entry["error"]["code"])
        raise ProviderUnavailableError("The local model broke off in the middle of its answer.")

    @asynccontextmanager
    async def _asked(self, payload: dict[str, object]) -> AsyncIterator[httpcore.Response]:
        try:
            async with (
                self._connections.one() as connection,
                connection.stream(
                    "POST",
                    self._url,
                    headers=self._headers,
                    content=msgspec.json.encode(payload),
                    extensions={"timeout": _TIMEOUT},
                ) as answer,
            ):
                if answer.status >= 400:
                    raise reply_error(answer.status, (await answer.aread())[:ERROR_BYTES])
                yield answer
        except httpcore.TimeoutException as error:
            raise ProviderUnavailableError(
                "The local model did not answer in time.", code="timeout"
            ) from error
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise ProviderUnavailableError(
                f"The local inference program can't be reached ({error}). Is it running?", code="unreachable"
            ) from error


class _Connections:
    """Idle connections on a stack. httpcore's own pool looks at every connection for every request, which with many
    of them takes longer than the request."""

    def __init__(self, origin: httpcore.Origin, *, uds: str | None) -> None:
        self._origin = origin
        self._uds = uds
        self._idle: list[httpcore.AsyncHTTPConnection] = []
        self._free = asyncio.Semaphore(MOST_CONNECTIONS)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[httpcore.AsyncHTTPConnection]:
        async with self._free:
            connection = await self._take()
            try:
                yield connection
            finally:
                if connection.is_idle():
                    self._idle.append(connection)
                else:
                    await asyncio.shield(connection.aclose())

    async def _take(self) -> httpcore.AsyncHTTPConnection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return httpcore.AsyncHTTPConnection(
            self._origin, uds=self._uds, keepalive_expiry=IDLE_SECONDS, retries=1
        )

    async def close(self) -> None:
        while self._idle:
            await self._idle.pop().aclose()


async def _lines(answer: httpcore.Response) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in answer.aiter_stream():
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
