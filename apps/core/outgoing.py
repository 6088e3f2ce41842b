"""Fetching addresses that people type in: https only, never into the own network, bounded in size and time.

Every connection is made to an address that was looked at: the name is resolved once, all its addresses are judged, and
the connection goes to one of those. So a name can't change its meaning between the look and the connection.
Redirects are judged like first addresses. Proxies of the environment are not used:
behind one there would be nothing to judge.
"""

import ipaddress
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpcore

from apps.core.errors import PortalError
from apps.core.formatting import format_bytes

CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
REDIRECTS = 5
PIECE = 64 * 1024
_REDIRECT_STATUS = (301, 302, 303, 307, 308)


class OutgoingError(PortalError):
    """The address can't or may not be fetched; the message says why."""

    code = "outgoing"


@dataclass(frozen=True)
class Fetched:
    """An answer whose body is still coming in."""

    url: str
    """After redirects."""
    size: int | None
    """As announced."""
    chunks: Iterator[bytes]


def is_public(address: str) -> bool:
    """Whether an IP address lies in the public internet, also behind an IPv4 address written as IPv6."""
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def checked_url(url: str, *, allow_private: bool) -> str:
    """The address, if it has a form that may be fetched. Raises `OutgoingError`."""
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        raise OutgoingError("This is no web address.") from None
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise OutgoingError("Only addresses that begin with https:// are fetched.")
    if not parts.hostname:
        raise OutgoingError("The address names no host.")
    if parts.username or parts.password:
        raise OutgoingError(
            "An address with a user name or password in it is not fetched: it would be stored."
        )
    return url.strip()


@contextmanager
def fetching(
    url: str, *, limit: int, allow_private: bool = False, tls: ssl.SSLContext | None = None
) -> Iterator[Fetched]:
    """GET `url`, following a few redirects. More than `limit` bytes end in `OutgoingError`, as does anything else that
    goes wrong, also while the chunks are read."""
    backend = CheckedConnections(allow_private)
    with httpcore.ConnectionPool(
        ssl_context=tls or ssl.create_default_context(), network_backend=backend, retries=0
    ) as pool:
        place = checked_url(url, allow_private=allow_private)
        for _ in range(REDIRECTS + 1):
            with _errors(place), pool.stream("GET", place, headers=_HEADERS, extensions=_TIMEOUTS) as answer:
                if answer.status in _REDIRECT_STATUS:
                    place = _next_place(place, answer, allow_private)
                    continue
                if answer.status != 200:
                    raise OutgoingError(
                        f"{_host(place)} answered with status {answer.status}, not with a file."
                    )
                size = _announced(answer)
                if size is not None and size > limit:
                    raise _too_large(size, limit)
                yield Fetched(place, size, _bounded(answer.iter_stream(), limit, size))
                return
        raise OutgoingError(f"{_host(url)} redirects more than {REDIRECTS} times.")


def post(
    url: str,
    body: bytes,
    *,
    headers: Mapping[str, str],
    allow_private: bool = False,
    tls: ssl.SSLContext | None = None,
) -> int:
    """POST to `url` and tell the status of the answer, which is not read; redirects are not followed."""
    place = checked_url(url, allow_private=allow_private)
    with (
        httpcore.ConnectionPool(
            ssl_context=tls or ssl.create_default_context(),
            network_backend=CheckedConnections(allow_private),
            retries=0,
        ) as pool,
        _errors(place),
        pool.stream(
            "POST",
            place,
            headers=[("User-Agent", "ftportal"), ("Accept", "*/*"), *headers.items()],
            content=body,
            extensions=_POST_TIMEOUTS,
        ) as answer,
    ):
        return answer.status


POST_SECONDS = 10.0
_POST_TIMEOUTS = {
    "timeout": {"connect": POST_SECONDS, "read": POST_SECONDS, "write": POST_SECONDS, "pool": 1.0}
}
_HEADERS = [("Accept", "*/*"), ("Accept-Encoding", "identity"), ("User-Agent", "ftportal")]
_TIMEOUTS = {
    "timeout": {"connect": CONNECT_SECONDS, "read": READ_SECONDS, "write": READ_SECONDS, "pool": 1.0}
}


def resolved(host: str, port: int) -> list[str]:
    """The IP addresses of a name. Raises `OutgoingError`."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise OutgoingError(f"The name {host} can't be resolved.") from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def judged(host: str, addresses: list[str], *, allow_private: bool) -> list[str]:
    """The same addresses, if all of them may be connected to. Raises `OutgoingError`."""
    if not allow_private and not all(is_public(address) for address in addresses):
        raise OutgoingError(
            f"{host} lies in this machine's own network, or is no public address, and is not fetched. The operator"
            " can allow it with FTPORTAL_ALLOW_PRIVATE_URLS."
        )
    return addresses


class CheckedConnections(httpcore.NetworkBackend):
    """Resolves a name, refuses it if any of its addresses is not public, and connects to what was judged."""

    def __init__(self, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = judged(host, resolved(host, port), allow_private=self._allow_private)
        error: Exception | None = None
        for address in addresses:
            try:
                return self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as failed:
                error = failed
        raise error or OutgoingError(f"The name {host} has no address.")

    def connect_unix_socket(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        raise OutgoingError("Sockets of this machine are not fetched from.")


def _next_place(place: str, answer: httpcore.Response, allow_private: bool) -> str:
    target = next((value for name, value in answer.headers if name.lower() == b"location"), b"")
    if not target:
        raise OutgoingError(f"{_host(place)} redirects without saying where to.")
    return checked_url(urljoin(place, target.decode("latin-1")), allow_private=allow_private)


def _announced(answer: httpcore.Response) -> int | None:
    text = next((value for name, value in answer.headers if name.lower() == b"content-length"), b"")
    return int(text) if text.isdigit() else None


def _bounded(chunks: Iterable[bytes], limit: int, announced: int | None) -> Iterator[bytes]:
    received = 0
    for chunk in chunks:
        received += len(chunk)
        if received > limit:
            raise _too_large(received, limit)
        yield chunk
    if announced is not None and received < announced:
        raise OutgoingError("The connection broke off in the middle of the file.")


def _too_large(size: int, limit: int) -> OutgoingError:
    return OutgoingError(
        f"The file is {format_bytes(size)} or more; at most {format_bytes(limit)} are taken."
    )


def _host(url: str) -> str:
    return urlsplit(url).hostname or "The host"


@contextmanager
def _errors(place: str) -> Iterator[None]:
    host = _host(place)
    try:
        yield
    except httpcore.TimeoutException:
        raise OutgoingError(f"{host} did not answer in time.") from None
    except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError) as error:
        detail = str(error).splitlines()[0][:150] if str(error) else type(error).__name__
        raise OutgoingError(f"{host} can't be reached: {detail}") from None
