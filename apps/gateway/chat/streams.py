"""A streamed answer: server-sent events, one for every piece, [DONE] at the end."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec

from apps.core.errors import PortalError
from apps.gateway.answering import Answering
from apps.gateway.chat.asking import Choice, all_choices, pieces
from apps.gateway.chat.parameters import Wanted
from apps.gateway.chat.shapes import Frame
from apps.gateway.errors import ApiError, from_portal
from apps.gateway.served import Served
from apps.providers.contracts import ChatReply

logger = logging.getLogger(__name__)

DONE = b"data: [DONE]\n\n"
Ended = Callable[[list[Choice]], Awaitable[None]]


def event(body: Any) -> bytes:
    return b"data: " + msgspec.json.encode(body) + b"\n\n"


class Stream:
    """All choices of one request, side by side. `begin` waits for the first piece, so that what is wrong with the
    request still gets a status of its own."""

    def __init__(self, answering: Answering, served: Served, wanted: Wanted, ended: Ended) -> None:
        self._answering = answering
        self._served = served
        self._wanted = wanted
        self._ended = ended
        self._frame = Frame(served.name)
        self._queue: asyncio.Queue[bytes | Exception | None] = asyncio.Queue(maxsize=256)
        self._choices: dict[int, Choice] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._first: bytes | Exception | None = None

    @property
    def frame(self) -> Frame:
        return self._frame

    async def begin(self) -> None:
        """Raises what keeps the answer from beginning."""
        tell = self._whole if self._wanted.format.is_json or not self._wanted.max_tokens else None
        if tell is not None:
            self._tasks = [asyncio.create_task(self._guarded(tell()))]
        else:
            self._tasks = [
                asyncio.create_task(self._guarded(self._growing(index)))
                for index in range(self._wanted.choices)
            ]
        try:
            self._first = await self._queue.get()
        except BaseException:
            self._stop()
            raise
        if isinstance(self._first, Exception):
            self._stop()
            raise self._first

    async def events(self) -> AsyncIterator[bytes]:
        item: bytes | Exception | None = self._first
        left = len(self._tasks)
        try:
            while True:
                if isinstance(item, Exception):
                    yield event(_error(item).body())
                    return
                if item is None:
                    left -= 1
                    if not left:
                        break
                else:
                    yield item
                item = await self._queue.get()
            choices = [self._choices[index] for index in sorted(self._choices)]
            if self._wanted.include_usage:
                usage = choices[0].reply.usage
                yield event(
                    self._frame.usage_chunk(
                        prompt=usage.prompt_tokens if usage else 0,
                        completion=sum(choice.spent for choice in choices),
                    )
                )
            await self._ended(choices)
            yield DONE
        finally:
            self._stop()

    def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - handed on to whoever reads the stream
            await self._queue.put(error)
        else:
            await self._queue.put(None)

    async def _growing(self, index: int) -> None:
        reply: ChatReply | None = None
        begun = False
        async for piece in pieces(self._answering, self._served, self._wanted, index):
            if not begun:
                await self._tell(index, {"role": "assistant", "content": "", "refusal": None})
                begun = True
            if piece.reply is not None:
                reply = piece.reply
            else:
                chances = piece.chances if self._wanted.top_chances is not None else None
                await self._tell(index, {"content": piece.text}, chances=chances)
        assert reply is not None
        await self._close(Choice(index, reply, spent=reply.usage.completion_tokens if reply.usage else 0))

    async def _whole(self) -> None:
        """Answers that may still be thrown away are shown when they are complete."""
        for choice in await all_choices(self._answering, self._served, self._wanted):
            shown = (
                {"content": choice.reply.text if self._wanted.max_tokens else "", "refusal": None}
                if choice.refusal is None
                else {"refusal": choice.refusal}
            )
            await self._tell(choice.index, {"role": "assistant", **shown})
            await self._close(choice)

    async def _close(self, choice: Choice) -> None:
        self._choices[choice.index] = choice
        await self._tell(choice.index, {}, finish_reason=choice.reply.finish_reason)

    async def _tell(self, index: int, delta: dict[str, Any], **more: Any) -> None:
        chunk = self._frame.chunk(index, delta, with_usage=self._wanted.include_usage, **more)
        await self._queue.put(event(chunk))


def _error(error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, PortalError):
        return from_portal(error)
    logger.error("gateway.stream_crashed", exc_info=error)
    return ApiError("The server had an error while answering.", status=500)
