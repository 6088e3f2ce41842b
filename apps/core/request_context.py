"""Where the current change comes from: request id, address, person. Set by middleware, read by the audit record."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class RequestContext:
    request_id: str = ""
    address: str = ""
    source: str = "system"
    """`page`, `api`, `worker`, `command` or `system`."""


_NOBODY = RequestContext()
_current: ContextVar[RequestContext] = ContextVar("request_context", default=_NOBODY)  # noqa: B039 - it is frozen


def current_request() -> RequestContext:
    return _current.get()


def set_current_request(context: RequestContext) -> object:
    """Returns the token for `reset_current_request`."""
    return _current.set(context)


@contextmanager
def acting_from(source: str) -> Iterator[None]:
    """What is recorded inside the block came from there: `worker` or `command`."""
    token = _current.set(RequestContext(source=source))
    try:
        yield
    finally:
        _current.reset(token)


def reset_current_request(token: object) -> None:
    _current.reset(token)  # type: ignore[arg-type]
