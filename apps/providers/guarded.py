"""HTTP clients for addresses that people type in: what `apps/core/outgoing.py` does, for clients of providers.

Every connection goes to an address that was looked at, redirects included: https only and never into the own network
unless the operator allows it. Proxies of the environment are not used. What is refused looks like any other
connection that failed to the library that uses the client; `refusal` tells it apart.
"""

import ssl
from collections.abc import Iterable
from typing import Any, TypeVar

import anyio.to_thread
import httpcore
import httpcore2
import httpx
import httpx2

from apps.core.outgoing import CheckedConnections, OutgoingError, checked_url, judged, resolved

CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 60.0
CONNECTIONS, IDLE_CONNECTIONS, IDLE_SECONDS = 100, 20, 60.0
_NEVER_SENT = (
    httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol,
    httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol,
    OutgoingError,
)  # fmt: skip
Found = TypeVar("Found", bound=BaseException)


def httpx_client(*, allow_private: bool, tls: ssl.SSLContext | None = None, **options: Any) -> httpx.Client:
    """`options` are those of `httpx.Client`, but for transports, proxies and limits."""
    options.setdefault("timeout", httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS))
    return httpx.Client(transport=_Transport(allow_private, tls), trust_env=False, **options)


def httpx2_client(*, allow_private: bool, tls: ssl.SSLContext | None = None, **options: Any) -> httpx2.Client:
    """`options` are those of `httpx2.Client`, but for transports, proxies and limits."""
    options.setdefault("timeout", httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS))
    return httpx2.Client(transport=_Transport2(allow_private, tls), trust_env=False, **options)


def httpx2_async_client(
    *, allow_private: bool, tls: ssl.SSLContext | None = None, **options: Any
) -> httpx2.AsyncClient:
    """`options` are those of `httpx2.AsyncClient`, but for transports, proxies and limits."""
    options.setdefault("timeout", httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS))
    return httpx2.AsyncClient(transport=_AsyncTransport2(allow_private, tls), trust_env=False, **options)


def refusal(error: BaseException) -> OutgoingError | None:
    """Why the address was not connected to, if an error came of that."""
    return _in_chain(error, (OutgoingError,))


def was_sent(error: BaseException) -> bool:
    """Whether a request that ended in this error may have reached the provider."""
    return _in_chain(error, _NEVER_SENT) is None


def trusting(certificates: str) -> ssl.SSLContext:
    """TLS that trusts these authorities (PEM) besides those of the system. Raises ValueError for what is no PEM."""
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cadata=certificates)
    except (ssl.SSLError, ValueError):
        raise ValueError("These are no certificates in PEM format.") from None
    return context


def _in_chain(error: BaseException, kinds: tuple[type[Found], ...]) -> Found | None:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, kinds):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


# --- Connections ---------------------------------------------------------------------------------------------
# For httpx2 what `CheckedConnections` is for httpx: the two libraries share no types.


class _Connections2(httpcore2.NetworkBackend):
    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._inner = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        failed: Exception = OutgoingError(f"The name {host} has no address.")
        for address in judged(host, resolved(host, port), allow_private=self._allow_private):
            try:
                return self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed


class _AsyncConnections2(httpcore2.AsyncNetworkBackend):
    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        failed: Exception = OutgoingError(f"The name {host} has no address.")
        addresses = await anyio.to_thread.run_sync(resolved, host, port)
        for address in judged(host, addresses, allow_private=self._allow_private):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed


# --- Transports ----------------------------------------------------------------------------------------------
# The libraries' own, with pools whose connections are judged: they offer no parameter for that.

_POOL: dict[str, Any] = {
    "max_connections": CONNECTIONS,
    "max_keepalive_connections": IDLE_CONNECTIONS,
    "keepalive_expiry": IDLE_SECONDS,
}


class _Transport(httpx.HTTPTransport):
    def __init__(self, allow_private: bool, tls: ssl.SSLContext | None) -> None:
        tls = tls or ssl.create_default_context()
        super().__init__(verify=tls, trust_env=False)
        backend = CheckedConnections(allow_private)
        self._pool = httpcore.ConnectionPool(ssl_context=tls, network_backend=backend, **_POOL)
        self._allow_private = allow_private

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            checked_url(str(request.url), allow_private=self._allow_private)
            return super().handle_request(request)
        except OutgoingError as refused:
            raise httpx.ConnectError(refused.message, request=request) from refused


class _Transport2(httpx2.HTTPTransport):
    def __init__(self, allow_private: bool, tls: ssl.SSLContext | None) -> None:
        tls = tls or ssl.create_default_context()
        super().__init__(verify=tls, trust_env=False)
        backend = _Connections2(allow_private)
        self._pool = httpcore2.ConnectionPool(ssl_context=tls, network_backend=backend, **_POOL)
        self._allow_private = allow_private

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            checked_url(str(request.url), allow_private=self._allow_private)
            return super().handle_request(request)
        except OutgoingError as refused:
            raise httpx2.ConnectError(refused.message, request=request) from refused


class _AsyncTransport2(httpx2.AsyncHTTPTransport):
    def __init__(self, allow_private: bool, tls: ssl.SSLContext | None) -> None:
        tls = tls or ssl.create_default_context()
        super().__init__(verify=tls, trust_env=False)
        backend = _AsyncConnections2(allow_private)
        self._pool = httpcore2.AsyncConnectionPool(ssl_context=tls, network_backend=backend, **_POOL)
        self._allow_private = allow_private

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        try:
            checked_url(str(request.url), allow_private=self._allow_private)
            return await super().handle_async_request(request)
        except OutgoingError as refused:
            raise httpx2.ConnectError(refused.message, request=request) from refused
