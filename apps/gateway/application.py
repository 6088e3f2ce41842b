"""The ASGI application under /v1: JSON only, API keys, no sessions, no cookies.

Why so: docs/adr/0011-api-beside-django.md.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from apps.core.errors import PortalError
from apps.core.request_context import RequestContext, reset_current_request, set_current_request
from apps.gateway.answering import Answering
from apps.gateway.authentication import Principal, look_up
from apps.gateway.calls import Call, Router, reply
from apps.gateway.database import in_thread
from apps.gateway.errors import ApiError, from_portal
from apps.gateway.idempotency import answered_once
from apps.gateway.routes import ROUTES

logger = logging.getLogger(__name__)

PREFIX = "/v1"
VERSION = b"2020-10-01"
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


class Gateway:
    """One for a process; what it keeps open belongs to the event loop that it is used in."""

    def __init__(self) -> None:
        self._router = Router(ROUTES)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answering: Answering | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = time.perf_counter()
        request_id = f"req_{uuid.uuid4().hex}"
        address = (scope.get("client") or ("",))[0]
        token = set_current_request(
            RequestContext(request_id=request_id[4:20], address=address, source="api")
        )
        headers: Headers = [(b"x-request-id", request_id.encode()), (b"openai-version", VERSION)]
        try:
            response = await self._answer(Request(scope, receive), headers, request_id)
            spent = str(round((time.perf_counter() - started) * 1000)).encode()
            response.raw_headers.extend([*headers, (b"openai-processing-ms", spent)])
            await response(scope, receive, send)
        finally:
            reset_current_request(token)

    async def _answer(self, request: Request, headers: Headers, request_id: str) -> Response:
        try:
            return await self._handled(request, headers)
        except ApiError as error:
            return error_response(error)
        except PortalError as error:
            return error_response(from_portal(error))
        except Exception:
            logger.exception("gateway.crashed", extra={"request_id": request_id, "path": request.url.path})
            return error_response(
                ApiError(
                    "The server had an error while processing your request. Its log has the details under"
                    f" {request_id}.",
                    status=500,
                )
            )

    async def _handled(self, request: Request, headers: Headers) -> Response:
        answering = self.answering()
        principal = await self._principal(request, answering)
        headers.append((b"openai-organization", principal.workspace.slug.encode()))
        allowance = await answering.limits.take(principal.key.pk)
        if allowance is not None:
            headers.extend(allowance.headers())
        route, parameters = self._router.find(request.method, _path(request.scope))
        principal.require(route.permission)
        call = Call(request, principal, parameters, answering)
        if route.repeatable and "idempotency-key" in request.headers:
            return await answered_once(call, route)
        return await route.handler(call)

    async def _principal(self, request: Request, answering: Answering) -> Principal:
        hashed, principal = answering.keys.get(request.headers.get("authorization", ""))
        if principal is None:
            principal = await in_thread(look_up, hashed)
            answering.keys.put(hashed, principal)
        return principal

    def answering(self) -> Answering:
        loop = asyncio.get_running_loop()
        if self._answering is None or self._loop is not loop:
            self._loop, self._answering = loop, Answering()
        return self._answering

    async def close(self) -> None:
        if self._answering is not None:
            await self._answering.close()
            self._answering = None


def _path(scope: Scope) -> str:
    """What was asked for behind /v1, still encoded."""
    raw: bytes | None = scope.get("raw_path")
    path = raw.split(b"?")[0].decode("latin-1") if raw else scope["path"]
    return str(path.removeprefix(PREFIX))


def error_response(error: ApiError) -> Response:
    response = reply(error.body(), status=error.status)
    for name, value in error.headers.items():
        response.headers[name] = value
    if error.retry is not None:
        response.headers["x-should-retry"] = "true" if error.retry else "false"
    if error.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


application = Gateway()
