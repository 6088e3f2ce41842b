"""The client for addresses that people type in, against a real server on this machine."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from apps.core.outgoing import OutgoingError, checked_url, fetching, is_public


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/redirect/"):
            left = int(self.path.rsplit("/", 1)[1])
            self.send_response(302)
            self.send_header("Location", f"/redirect/{left - 1}" if left > 1 else "/file")
            self.end_headers()
        elif self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
        elif self.path == "/file":
            self.answer(b"x" * 1000)
        elif self.path == "/cut":
            self.answer(b"x" * 10, announced=1000)
        elif self.path == "/endless":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * 5000)
        else:
            self.send_error(404)

    def answer(self, body: bytes, announced: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(announced or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()
        thread.join()


def body(url: str, limit: int = 2000) -> bytes:
    with fetching(url, limit=limit, allow_private=True) as found:
        return b"".join(found.chunks)


def test_a_file_is_fetched_also_behind_redirects(server):
    assert body(f"{server}/file") == b"x" * 1000
    assert body(f"{server}/redirect/5") == b"x" * 1000


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/redirect/6", "redirects more than 5 times"),
        ("/elsewhere", "Only addresses that begin with https"),
        ("/nothing", "status 404"),
        ("/cut", "can't be reached|broke off"),
        ("/endless", r"at most 2\.0\s"),
    ],
)
def test_what_goes_wrong_is_said(server, path, words):
    with pytest.raises(OutgoingError, match=words):
        body(server + path)


def test_a_file_that_announces_too_much_is_not_begun(server):
    with pytest.raises(OutgoingError, match=r"at most 999\sbytes"):
        body(f"{server}/file", limit=999)


def test_the_own_machine_is_refused_by_whatever_name(server):
    port = server.rsplit(":", 1)[1]
    for host in ("127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"):
        with (
            pytest.raises(OutgoingError, match="own network|can't be resolved"),
            fetching(f"https://{host}:{port}/file", limit=2000),
        ):
            pass
    with pytest.raises(OutgoingError, match="https"), fetching(f"{server}/file", limit=2000):
        pass


# RFC 6890 and its registry of special-purpose addresses; 93.184.215.14 and 2606:4700:: are ordinary ones.
@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.215.14", True),
        ("2606:4700::6810:85e5", True),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("127.8.8.8", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_which_addresses_are_public(address, public):
    assert is_public(address) == public


@pytest.mark.parametrize(
    "url", ["ftp://a.org/x", "http://a.org", "https://", "https://u:p@a.org/", "https://a:x/"]
)
def test_addresses_of_another_form_are_refused(url):
    with pytest.raises(OutgoingError):
        checked_url(url, allow_private=False)
