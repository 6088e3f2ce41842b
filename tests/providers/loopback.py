"""What the stand-ins of providers share: a loopback HTTP server that refuses, loses answers and remembers."""

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from apps.providers.contracts import Objective


def openai_lines(objective: Objective, count: int) -> list[bytes]:
    """Lines as OpenAI, Together and Fireworks take them, all different."""
    rows: list[dict[str, Any]] = []
    for number in range(count):
        question = {"role": "user", "content": f"Where is parcel {number}?"}
        answer, other = ({"role": "assistant", "content": text} for text in ("On its way.", "No idea."))
        if objective == "supervised":
            rows.append({"messages": [question, answer]})
        else:
            pair = {"preferred_output": [answer], "non_preferred_output": [other]}
            rows.append({"input": {"messages": [question]}, **pair})
    return [json.dumps(row).encode() for row in rows]


@dataclass(frozen=True)
class Call:
    """One request. `parts` is the path, split at slashes and decoded."""

    method: str
    path: str
    parts: tuple[str, ...]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.content or b"{}")

    def form(self) -> dict[str, str]:
        """The text fields of a multipart form."""
        head = f"content-type: {self.headers['content-type']}\r\n\r\n".encode()
        parsed = BytesParser(policy=HTTP).parsebytes(head + self.content)
        return {
            str(part.get_param("name", header="content-disposition")): part.get_content().strip()
            for part in parsed.iter_parts()
        }


@dataclass(frozen=True)
class Reply:
    content: Any = None
    """Sent as JSON, bytes as they are."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    def __init__(self, status: int, content: Any, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(content)
        self.reply = Reply(content, status, headers or {})


class Loopback:
    """`answer` gets each request under the lock. Requests below `open_path` need no key, and must not bring one."""

    def __init__(
        self,
        answer: Callable[[Call], Any],
        *,
        secret: str,
        open_path: str,
        told: Callable[[str], Any],
    ) -> None:
        self.lock = threading.RLock()
        self.calls: list[Call] = []
        self.refusals: list[tuple[int, float | None]] = []
        self.lose_next = ""
        """How the path of the POST ends whose answer is lost."""
        self._answer, self._secret, self._open, self._told = answer, secret, open_path, told
        self._server: _Server | None = None
        self.url = ""

    def start(self) -> None:
        loopback = self

        class Handler(_Handler):
            home = loopback

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.cut_off()
            self._server = None

    def asked(self, method: str, ending: str) -> list[Call]:
        """The requests that came, by the end of their path."""
        return [call for call in self.calls if call.method == method and call.path.endswith(ending)]

    def handle(self, call: Call) -> Reply | None:
        """None where the connection is to be broken off."""
        with self.lock:
            self.calls.append(call)
            try:
                self._admit(call)
                reply = self._answer(call)
            except Refused as refused:
                return refused.reply
            if self.lose_next and call.method == "POST" and call.path.endswith(self.lose_next):
                self.lose_next = ""
                return None
            return reply if isinstance(reply, Reply) else Reply(reply)

    def _admit(self, call: Call) -> None:
        key = call.headers.get("authorization", "").removeprefix("Bearer ")
        if call.path.startswith(self._open):
            if self._secret in json.dumps(dict(call.headers)):
                raise Refused(400, "a key was sent to the store of files")
            return
        if self.refusals:
            status, pause = self.refusals.pop(0)
            headers = {} if pause is None else {"retry-after": f"{pause:g}"}
            raise Refused(status, self._told(f"No. You asked with {key}"), headers)
        if key != self._secret:
            raise Refused(401, self._told(f"Invalid API key provided: {key}"))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def cut_off(self) -> None:
        """Connections that are kept open end, too: nobody answers any more."""
        for request in list(self._open):
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    home: Loopback

    def handle_any(self) -> None:
        place = urlsplit(self.path)
        call = Call(
            method=self.command,
            path=unquote(place.path),
            parts=tuple(unquote(part) for part in place.path.strip("/").split("/")),
            query={name: values[-1] for name, values in parse_qs(place.query).items()},
            headers={name.lower(): value for name, value in self.headers.items()},
            content=self.rfile.read(int(self.headers.get("content-length", 0))),
        )
        reply = self.home.handle(call)
        if reply is None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        raw = isinstance(reply.content, bytes)
        content = reply.content if raw else json.dumps(reply.content).encode()
        self.send_response(reply.status)
        kind = "application/octet-stream" if raw else "application/json"
        for name, value in {"content-type": kind, **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = handle_any  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:
        pass
