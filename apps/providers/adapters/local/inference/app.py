"""The HTTP side: parse, authorise, hand to the scheduler, answer."""

import asyncio
import hmac
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import psutil
from msgspec import Meta
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from apps.core.chat_tokens import Chat
from apps.providers.adapters.local.inference.errors import InferenceError
from apps.providers.adapters.local.inference.scheduler import Reply, Scheduler, Waiting, Work
from apps.providers.adapters.local.inference.store import ModelStore

if TYPE_CHECKING:
    from apps.providers.adapters.local.inference.generation import Piece

MAX_CHAT_BYTES = 8 * 1024 * 1024
DISCONNECT_CHECK_SECONDS = 2.0


class ChatBody(msgspec.Struct, kw_only=True):
    messages: Annotated[list[dict[str, Any]], Meta(min_length=1)]
    tools: list[dict[str, Any]] = []
    base: str | None = None
    base_revision: str | None = None
    model: str | None = None
    kind: Literal["base", "adapter", "full"] = "base"
    max_tokens: Annotated[int, Meta(ge=1, le=32768)] = 256
    temperature: Annotated[float, Meta(ge=0, le=10)] = 0.0
    top_p: Annotated[float, Meta(gt=0, le=1)] = 1.0
    seed: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    stop: Annotated[list[str], Meta(max_length=16)] = []
    frequency_penalty: Annotated[float, Meta(ge=-2, le=2)] = 0.0
    presence_penalty: Annotated[float, Meta(ge=-2, le=2)] = 0.0
    top_chances: Annotated[int, Meta(ge=0, le=20)] | None = None
    stream: bool = False


class InferenceApp:
    """Routes over one store and one scheduler."""

    def __init__(self, store: ModelStore, scheduler: Scheduler, token: str | None) -> None:
        self._store = store
        self._scheduler = scheduler
        self._token = token
        self._process = psutil.Process()

    def build(self) -> Starlette:
        routes = [
            Route("/health", self.health, methods=["GET"]),
            Route("/models/{sha256}", self.model, methods=["HEAD", "PUT"]),
            Route("/chat", self.chat, methods=["POST"]),
        ]
        handlers: dict[Any, Any] = {InferenceError: _refuse, HTTPException: _refuse_http, Exception: _fail}
        return Starlette(routes=routes, exception_handlers=handlers)

    async def health(self, request: Request) -> Response:
        self._authorise(request)
        loaded, model_bytes = self._scheduler.state()
        memory = self._process.memory_info().rss
        return _json(
            200, {"status": "ok", "loaded": loaded, "memory_bytes": memory, "model_bytes": model_bytes}
        )

    async def model(self, request: Request) -> Response:
        self._authorise(request)
        sha256 = request.path_params["sha256"]
        if request.method == "HEAD":
            return Response(status_code=200 if self._store.path(sha256) is not None else 404)
        await self._store.put(sha256, request.stream())
        return _json(201, {"sha256": sha256})

    async def chat(self, request: Request) -> Response:
        self._authorise(request)
        raw = await request.body()
        if len(raw) > MAX_CHAT_BYTES:
            raise InferenceError(413, "too_large", "The conversation is too large.")
        try:
            body = msgspec.json.decode(raw, type=ChatBody)
        except msgspec.DecodeError as error:
            raise InferenceError(422, "bad_request", f"The request is not valid: {error}.") from error
        waiting = Waiting(
            work=Work(
                kind=body.kind,
                base=body.base,
                revision=body.base_revision,
                sha256=body.model,
            ),
            chat=Chat(body.messages, body.tools),
            max_tokens=body.max_tokens,
            seed=body.seed,
            stop=tuple(stop for stop in body.stop if stop),
            temperature=body.temperature,
            top_p=body.top_p,
            frequency_penalty=body.frequency_penalty,
            presence_penalty=body.presence_penalty,
            top_chances=body.top_chances,
        )
        if body.stream:
            return await self._stream(waiting)
        self._scheduler.submit(waiting)
        future = asyncio.wrap_future(waiting.future)
        while not (await asyncio.wait([future], timeout=DISCONNECT_CHECK_SECONDS))[0]:
            # Nobody waits for the answer any more, so it is not computed if it hasn't begun.
            if await request.is_disconnected():
                future.cancel()
                return Response(status_code=499)
        return _json(200, future.result())

    async def _stream(self, waiting: Waiting) -> Response:
        """One JSON line for every piece, then one with the whole reply; what is wrong at the start has a status."""
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[Piece | None] = asyncio.Queue()

        def tell(piece: "Piece") -> None:
            loop.call_soon_threadsafe(pieces.put_nowait, piece)

        waiting.tell = tell
        self._scheduler.submit(waiting)
        future = asyncio.wrap_future(waiting.future)
        future.add_done_callback(lambda _: pieces.put_nowait(None))
        try:
            first = await pieces.get()
        except asyncio.CancelledError:
            future.cancel()
            raise
        if first is None:
            future.result()  # raises what went wrong
        return StreamingResponse(_lines(first, pieces, future), media_type="application/x-ndjson")

    def _authorise(self, request: Request) -> None:
        if self._token is None:
            return
        given = request.headers.get("authorization", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            raise InferenceError(401, "unauthorised", "The token is missing or wrong.")


async def _lines(
    piece: "Piece | None", pieces: "asyncio.Queue[Piece | None]", future: "asyncio.Future[Reply]"
) -> AsyncIterator[bytes]:
    try:
        while piece is not None:
            yield msgspec.json.encode({"piece": piece}) + b"\n"
            piece = await pieces.get()
        try:
            yield msgspec.json.encode({"reply": future.result()}) + b"\n"
        except InferenceError as error:
            yield msgspec.json.encode({"error": {"code": error.code, "message": error.message}}) + b"\n"
    finally:
        future.cancel()  # without effect on an answer that is complete


def _json(status: int, body: Any) -> Response:
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")


async def _refuse(request: Request, error: InferenceError) -> Response:
    return _json(error.status, {"error": {"code": error.code, "message": error.message}})


async def _fail(request: Request, error: Exception) -> Response:
    # The server logs the traceback.
    return _json(
        500, {"error": {"code": "internal", "message": f"Unexpected failure: {type(error).__name__}."}}
    )


async def _refuse_http(request: Request, error: HTTPException) -> Response:
    return _json(error.status_code, {"error": {"code": "http", "message": error.detail}})
