"""Clients of providers' libraries connect only where people's addresses may be fetched, against a real server."""

import asyncio
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import httpx2
import pytest

from apps.providers.guarded import (
    httpx2_async_client,
    httpx2_client,
    httpx_client,
    refusal,
    trusting,
    was_sent,
)

Get = Callable[..., str]


class Handler(BaseHTTPRequestHandler):
    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        place = {"/there": "/here", "/file": "file:///etc/passwd", "/inside": "http://10.0.0.1/"}.get(
            self.path
        )
        if self.path == "/cut":
            self.close_connection = True
            return
        self.send_response(302 if place else 200)
        if place:
            self.send_header("Location", place)
        self.send_header("Content-Length", "0" if place else "2")
        self.end_headers()
        if not place:
            self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    Handler.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = Thread(target=served.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()
        thread.join()


def get_httpx(url: str, **options: Any) -> str:
    with httpx_client(follow_redirects=True, **options) as client:
        return client.get(url).text


def get_httpx2(url: str, **options: Any) -> str:
    with httpx2_client(follow_redirects=True, **options) as client:
        return client.get(url).text


def get_httpx2_async(url: str, **options: Any) -> str:
    async def whole() -> str:
        async with httpx2_async_client(follow_redirects=True, **options) as client:
            return (await client.get(url)).text

    return asyncio.run(whole())


every = pytest.mark.parametrize("get", [get_httpx, get_httpx2, get_httpx2_async])


@every
def test_what_is_allowed_is_fetched_also_behind_a_redirect(server: str, get: Get):
    assert get(f"{server}/here", allow_private=True) == "ok"
    assert get(f"{server}/there", allow_private=True) == "ok"


@every
@pytest.mark.parametrize(
    ("url", "allow_private", "words"),
    [
        ("https://127.0.0.1:1/", False, "this machine's own network"),
        ("https://localhost:1/", False, "this machine's own network"),
        ("https://10.1.2.3/", False, "this machine's own network"),
        ("https://[::ffff:169.254.169.254]/", False, "this machine's own network"),
        ("http://example.org/", False, "begin with https"),
        ("https://nosuch.invalid/", True, "can't be resolved"),
        ("{server}/file", True, "begin with https"),
    ],
)
def test_what_is_not_allowed_is_refused(server: str, get: Get, url: str, allow_private: bool, words: str):
    with pytest.raises((httpx.ConnectError, httpx2.ConnectError)) as failed:
        get(url.format(server=server), allow_private=allow_private)
    why = refusal(failed.value)
    assert why is not None
    assert words in why.message
    assert not was_sent(failed.value)


@every
def test_nothing_is_asked_where_the_network_is_private(server: str, get: Get):
    with pytest.raises((httpx.ConnectError, httpx2.ConnectError)):
        get(server.replace("http://", "https://"), allow_private=False)
    assert Handler.asked == []


@every
def test_proxies_of_the_environment_are_not_used(server: str, get: Get, monkeypatch: pytest.MonkeyPatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert get(f"{server}/here", allow_private=True) == "ok"


@every
def test_a_reply_that_did_not_come_may_have_been_sent(server: str, get: Get):
    with pytest.raises((httpx.TransportError, httpx2.TransportError)) as lost:
        get(f"{server}/cut", allow_private=True)
    assert was_sent(lost.value)
    assert refusal(lost.value) is None


@every
def test_a_port_where_nobody_listens_got_nothing(get: Get):
    with pytest.raises((httpx.ConnectError, httpx2.ConnectError)) as failed:
        get("http://127.0.0.1:1/", allow_private=True)
    assert not was_sent(failed.value)
    assert refusal(failed.value) is None


def test_certificates_that_are_none_are_refused():
    with pytest.raises(ValueError, match="PEM"):
        trusting("no certificate")
