"""A server that speaks the protocol of the inference program and answers by a script: failures on demand."""

import json
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, Any]]


def say(text: str, finish_reason: str = "stop") -> Reply:
    return 200, {
        "text": text,
        "finish_reason": finish_reason,
        "prompt_tokens": 12,
        "completion_tokens": 5,
        "seconds": 0.001,
        "queue_seconds": 0.0,
        "chances": [],
    }


def refuse(status: int, code: str, message: str) -> Reply:
    return status, {"error": {"code": code, "message": message}}


def right_answer(body: dict[str, Any]) -> Reply:
    """The labels that the ticket of `worlds.ticket` names, or the number of a general item."""
    question = body["messages"][-1]["content"]
    if found := re.search(r"about (\w+), rather (P\d)", question):
        return say(f"category: {found[1]}\npriority: {found[2]}")
    return say(re.sub(r"\D", "", question))


class InferenceServer:
    """`script(body)` answers a /chat; `before_chat` runs first, so that a test can act in the middle."""

    def __init__(self) -> None:
        self.script = right_answer
        self.models: dict[str, bytes] = {}
        self.asked: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def _send(self, status: int, body: dict[str, Any] | None = None) -> None:
                content = json.dumps(body).encode() if body is not None else b""
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self) -> None:
                self._send(200, {"status": "ok", "loaded": [], "memory_bytes": 0})

            def do_HEAD(self) -> None:
                self._send(200 if self.path.rpartition("/")[2] in outer.models else 404)

            def do_PUT(self) -> None:
                content = b""
                if self.headers.get("Transfer-Encoding") == "chunked":
                    while size := int(self.rfile.readline(), 16):
                        content += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                else:
                    content = self.rfile.read(int(self.headers["Content-Length"]))
                outer.models[self.path.rpartition("/")[2]] = content
                self._send(201, {})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                key = f"{body['model'] or 'base'}|{json.dumps(body['messages'])}"
                with outer._lock:
                    outer.asked[key] += 1
                    outer.bodies.append(body)
                status, reply = outer.script(body)
                if body.get("stream") and status == 200:
                    self._stream(reply)
                else:
                    self._send(status, reply)

            def _stream(self, reply: dict[str, Any]) -> None:
                """As the program does it: a JSON line for every piece, then one with the whole reply."""
                pieces = re.findall(r"\S+\s*|\s+", reply["text"])
                lines = [{"piece": {"text": piece, "chances": []}} for piece in pieces] + [{"reply": reply}]
                content = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
