"""One request on its way through the gateway, and the routes that lead to what answers it."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from apps.accounts.permissions import Permission
from apps.gateway.answering import Answering
from apps.gateway.authentication import Principal
from apps.gateway.errors import ApiError

BODY_LIMIT = 8 * 1024 * 1024
NUL, REPLACEMENT = "\0", "\ufffd"
"""Postgres keeps no NUL. In its place stands the character for what can't be told, as in imported rows."""
ESCAPED_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")
MISSING = re.compile(r"Object missing required field `(.+)`")
Body = TypeVar("Body")


@dataclass
class Call:
    """A request that may be answered: by whom, with what in its path and its query."""

    request: Request
    principal: Principal
    parameters: Mapping[str, str]
    answering: Answering
    raw: bytes | None = None
    query: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        text = self.request.scope["query_string"].decode("latin-1")
        pairs = parse_qsl(text, keep_blank_values=True) if text else []
        self.query = {
            name.replace(NUL, REPLACEMENT): value.replace(NUL, REPLACEMENT) for name, value in pairs
        }

    async def content(self) -> bytes:
        """The body, which is small: files are streamed by their handler instead."""
        if self.raw is None:
            self.raw = await _read(self.request)
        return self.raw

    async def json(self, kind: type[Body]) -> Body:
        """The body as `kind`; unknown keys are left out. Raises ApiError."""
        raw = await self.content()
        try:
            return msgspec.json.decode(raw or b"{}", type=kind)
        except msgspec.ValidationError as error:
            raise _misfit(str(error)) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ApiError(
                f"We could not parse the JSON body of your request: {error}.", code="invalid_json"
            ) from error
        except RecursionError:
            raise ApiError(
                "We could not parse the JSON body of your request: it is nested too deep.",
                code="invalid_json",
            ) from None

    def nested(self, name: str) -> dict[str, str]:
        """Parameters written as name[key]=value."""
        return {
            key[len(name) + 1 : -1]: value
            for key, value in self.query.items()
            if key.startswith(f"{name}[") and key.endswith("]")
        }


def _misfit(said: str) -> ApiError:
    """What msgspec says about a body of another shape, in the protocol's words."""
    message, _, place = said.partition(" - at `$")
    place = place.strip("`").lstrip(".")
    if missing := MISSING.fullmatch(message):
        param = f"{place}.{missing[1]}" if place else missing[1]
        return ApiError(
            f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param
        )
    return ApiError(f"Invalid request: {message}.", code="invalid_type", param=place or None)


async def _read(request: Request) -> bytes:
    pieces: list[bytes] = []
    size = 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > BODY_LIMIT:
                raise ApiError("The request is too large.", status=413, code="request_too_large")
            pieces.append(piece)
    except ClientDisconnect:
        raise ApiError("The request broke off.", status=400) from None
    whole = b"".join(pieces)
    return ESCAPED_NUL.sub(rb"\1\\ufffd", whole) if rb"\u0000" in whole else whole


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True)
class Route:
    """`path` is written as /files/{file_id}/content. `repeatable`: an Idempotency-Key is honoured."""

    method: str
    path: str
    handler: Handler
    permission: Permission
    repeatable: bool = False

    @property
    def segments(self) -> tuple[str, ...]:
        return tuple(self.path.strip("/").split("/"))


class Router:
    """Finds the route of a path as it was sent: names of models may hold slashes, written as %2F."""

    def __init__(self, routes: list[Route]) -> None:
        self._routes: dict[tuple[str, int], list[tuple[tuple[str, ...], Route]]] = {}
        for route in routes:
            key = (route.segments[0], len(route.segments))
            self._routes.setdefault(key, []).append((route.segments, route))

    def find(self, method: str, raw_path: str) -> tuple[Route, dict[str, str]]:
        """The route and what stands in the places of its parameters. Raises ApiError 404 or 405."""
        segments = raw_path.strip("/").split("/")
        if segments[0] == "models" and len(segments) > 2:
            segments = ["models", "/".join(segments[1:])]  # a name with a plain slash
        allowed = set()
        for pattern, route in self._routes.get((segments[0], len(segments)), ()):
            parameters = _match(pattern, segments)
            if parameters is not None:
                if route.method == method:
                    return route, parameters
                allowed.add(route.method)
        if allowed:
            raise ApiError(
                f"Not allowed to {method} on /v1{raw_path} (HINT: perhaps you meant to use a different HTTP method?)",
                status=405,
                headers={"Allow": ", ".join(sorted(allowed))},
            )
        raise ApiError(f"Invalid URL ({method} /v1{raw_path})", status=404)


def _match(pattern: tuple[str, ...], segments: list[str]) -> dict[str, str] | None:
    parameters = {}
    for expected, found in zip(pattern, segments, strict=True):
        if expected.startswith("{"):
            if not found:
                return None
            parameters[expected[1:-1]] = unquote(found).replace(NUL, REPLACEMENT)
        elif expected != found:
            return None
    return parameters


def reply(body: Any, *, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")
