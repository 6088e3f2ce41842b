"""Vertex AI, Cloud Storage and Google's token endpoint for tests, on one loopback port.

Shapes: the reference of projects.locations.tuningJobs (v1beta1), the JSON API of Cloud Storage (v1) with resumable
uploads, and what google-genai sends and reads.
"""

import json
import re
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

PROJECT, LOCATION, BUCKET = "peer-project-1", "us-central1", "peer-tuning"
PARENT = f"projects/{PROJECT}/locations/{LOCATION}"
FLASH = "gemini-3.5-flash"
SECRET = "ya29.peer-access-token-0123456789abcdef"
PAGE = 10
MOST_AT_ONCE = 3 * 256 * 1024
"""Bytes that are taken of the first piece of a resumable upload; the rest has to be sent again."""
WORDS = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
    409: "ALREADY_EXISTS", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE",
}  # fmt: skip
Answer = tuple[int, Any, dict[str, str]]


def new_key() -> tuple[str, bytes]:
    """A private key as PEM, and its public half."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public


GOOD_KEY, GOOD_PUBLIC = new_key()
WRONG_KEY, _ = new_key()


class Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class VertexServer:
    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.objects: dict[str, tuple[bytes, int]] = {}
        self.requests: list[tuple[str, str, Any]] = []
        self.asked_to_cancel: set[str] = set()
        self.created = 0
        self.tokens_given = 0
        self.lose_next = False
        self.always_thinks = False
        self.candidate: dict[str, Any] = {
            "content": {"role": "model", "parts": [{"text": "It is on its way."}]},
            "finishReason": "STOP",
        }
        self._faults: list[tuple[int, float | None]] = []
        self._uploads: dict[str, tuple[str, bytearray, int]] = {}
        self._generation = 0
        self.lock = threading.RLock()
        self._server: ThreadingHTTPServer | None = None
        self.url = ""

    def start(self) -> None:
        world = self

        class Handler(_Handler):
            server_world = world

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def stopped(self) -> bool:
        return self._server is None

    def refuse(self, status: int, retry_after: float | None, times: int) -> None:
        with self.lock:
            self._faults = [(status, retry_after)] * times

    def put(self, key: str, content: bytes) -> None:
        with self.lock:
            self._generation += 1
            self.objects[key] = (content, self._generation)

    def account(self, private_key: str) -> str:
        return json.dumps(
            {
                "type": "service_account",
                "project_id": PROJECT,
                "private_key_id": "key-1",
                "private_key": private_key,
                "client_email": f"tuner@{PROJECT}.iam.gserviceaccount.com",
                "token_uri": f"{self.url}/token",
            }
        )

    # --- Requests ------------------------------------------------------------------------------------------

    def answer(self, method: str, url: str, headers: Any, body: bytes) -> Answer:
        parts = urlsplit(url)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        with self.lock:
            fault = self._faults.pop() if self._faults else None
            if fault is not None:
                pause = {} if fault[1] is None else {"Retry-After": f"{fault[1]:g}"}
                return _error(fault[0], f"Refused as asked: {headers.get('Authorization', '')}", pause)
            try:
                return self._route(method, parts.path, asked, headers, body)
            except Refused as refused:
                return _error(refused.status, str(refused))

    def _route(self, method: str, path: str, asked: dict[str, str], headers: Any, body: bytes) -> Answer:
        if (method, path) == ("POST", "/token"):
            return self._token(body)
        if method == "PUT" and path.startswith("/session/"):
            return self._piece(path, headers, body)
        if headers.get("Authorization") != f"Bearer {SECRET}":
            raise Refused(401, "Request had invalid authentication credentials.")
        told = json.loads(body) if body and "json" in headers.get("Content-Type", "") else None
        self.requests.append((method, path, told))
        routes: tuple[tuple[str, str, Callable[..., Answer]], ...] = (
            ("POST", rf"/v1beta1/{PARENT}/tuningJobs", self._create),
            ("GET", rf"/v1beta1/{PARENT}/tuningJobs", self._list),
            ("POST", rf"/v1beta1/({PARENT}/tuningJobs/\d+):cancel", self._cancel),
            ("GET", rf"/v1beta1/({PARENT}/tuningJobs/\d+)", self._get),
            ("GET", r"/v1beta1/publishers/google/models", self._models),
            ("POST", rf"/v1beta1/{PARENT}/(.+):generateContent", self._generate),
            ("POST", rf"/upload/storage/v1/b/{BUCKET}/o", self._begin),
            ("GET", rf"/storage/v1/b/{BUCKET}/o", self._objects),
            ("GET", rf"/storage/v1/b/{BUCKET}/o/([^/]+)", self._object),
        )
        for wanted, pattern, handler in routes:
            found = re.fullmatch(pattern, path)
            if found and wanted == method:
                return handler(asked, headers, told, *found.groups())
        raise Refused(404, f"{path} was not found.")

    def _token(self, body: bytes) -> Answer:
        assertion = parse_qs(body.decode())["assertion"][0]
        try:
            jwt.decode(assertion, certs=GOOD_PUBLIC, audience="https://oauth2.googleapis.com/token")
        except ValueError:
            return 400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, {}
        self.tokens_given += 1
        return 200, {"access_token": SECRET, "expires_in": 3600, "token_type": "Bearer"}, {}

    # --- Jobs ----------------------------------------------------------------------------------------------

    def _create(self, asked: Any, headers: Any, told: dict[str, Any]) -> Answer:
        self.created += 1
        name = f"{PARENT}/tuningJobs/{4_000_000_000 + self.created}"
        times = {"createTime": "2026-11-21T10:00:00.123Z", "updateTime": "2026-11-21T10:00:00.123Z"}
        self.jobs[name] = {"name": name, "state": "JOB_STATE_PENDING", **times, **told}
        return 200, self.jobs[name], {}

    def _list(self, asked: dict[str, str], headers: Any, told: Any) -> Answer:
        """Newest first, never more than ten."""
        names = list(reversed(self.jobs))
        start = int(asked.get("pageToken", 0))
        size = min(PAGE, int(asked.get("pageSize", PAGE)))
        page: dict[str, Any] = {"tuningJobs": [self.jobs[name] for name in names[start : start + size]]}
        if start + size < len(names):
            page["nextPageToken"] = str(start + size)
        return 200, page, {}

    def job(self, name: str) -> dict[str, Any]:
        if name not in self.jobs:
            raise Refused(404, f"The tuning job {name} was not found.")
        return self.jobs[name]

    def _get(self, asked: Any, headers: Any, told: Any, name: str) -> Answer:
        return 200, self.job(name), {}

    def _cancel(self, asked: Any, headers: Any, told: Any, name: str) -> Answer:
        job = self.job(name)
        if job["state"] not in ("JOB_STATE_PENDING", "JOB_STATE_RUNNING"):
            raise Refused(400, f"The job is in state {job['state']} and can't be cancelled.")
        job["state"] = "JOB_STATE_CANCELLING"
        self.asked_to_cancel.add(name)
        return 200, {}, {}

    # --- Models --------------------------------------------------------------------------------------------

    def _models(self, asked: Any, headers: Any, told: Any) -> Answer:
        names = (FLASH, "gemini-2.5-pro", "text-embedding-005")
        return 200, {"publisherModels": [{"name": f"publishers/google/models/{name}"} for name in names]}, {}

    def _generate(self, asked: Any, headers: Any, told: dict[str, Any], name: str) -> Answer:
        tuned = {
            job.get("tunedModel", {}).get("endpoint", "").removeprefix(f"{PARENT}/")
            for job in self.jobs.values()
        }
        if name not in {f"publishers/google/models/{FLASH}", *tuned}:
            raise Refused(404, f"{name} was not found.")
        if self.always_thinks and "thinkingConfig" in told["generationConfig"]:
            raise Refused(400, "Budget 0 is invalid. This model only works in thinking mode.")
        words = sum(len(part["text"].split()) for each in told["contents"] for part in each["parts"])
        usage = {"promptTokenCount": words, "candidatesTokenCount": 5, "totalTokenCount": words + 5}
        return 200, {"candidates": [self.candidate], "usageMetadata": usage, "modelVersion": name}, {}

    # --- Cloud Storage -------------------------------------------------------------------------------------

    def _begin(self, asked: dict[str, str], headers: Any, told: Any) -> Answer:
        session = f"/session/{len(self._uploads)}"
        self._uploads[session] = (asked["name"], bytearray(), int(headers["X-Upload-Content-Length"]))
        return 200, {}, {"Location": self.url + session}

    def _piece(self, path: str, headers: Any, body: bytes) -> Answer:
        """As the real one it may keep less than was sent, and says so."""
        assert "Authorization" not in headers, "the place of an upload is another's business"
        key, kept, size = self._uploads[path]
        start = re.fullmatch(r"bytes (\d+)-\d+/\d+", headers["Content-Range"])
        if start:
            assert int(start[1]) == len(kept)
        kept += body[:MOST_AT_ONCE] if not kept else body
        if len(kept) < size:
            return 308, {}, {"Range": f"bytes=0-{len(kept) - 1}"}
        self.put(key, bytes(kept))
        return 200, {"name": key}, {}

    def _objects(self, asked: dict[str, str], headers: Any, told: Any) -> Answer:
        names = [name for name in sorted(self.objects) if name.startswith(asked.get("prefix", ""))]
        return 200, {"items": [{"name": name} for name in names]} if names else {}, {}

    def _object(self, asked: dict[str, str], headers: Any, told: Any, quoted: str) -> Answer:
        key = unquote(quoted)
        if key not in self.objects:
            raise Refused(404, f"No such object: {BUCKET}/{key}")
        content, generation = self.objects[key]
        if asked.get("alt") != "media":
            return 200, {"name": key, "size": str(len(content))}, {}
        if asked.get("ifGenerationNotMatch") == str(generation):
            return 304, b"", {}
        return 200, content, {"x-goog-generation": str(generation)}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_world: VertexServer

    def _handle(self) -> None:
        world = self.server_world
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if world.stopped:
            self._break_off()
            return
        status, content, headers = world.answer(self.command, self.path, self.headers, body)
        if world.lose_next and self.command == "POST" and self.path.endswith("/tuningJobs"):
            world.lose_next = False
            self._break_off()
            return
        sent = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    do_GET = do_POST = do_PUT = _handle

    def _break_off(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Answer:
    word = WORDS.get(status, "UNKNOWN")
    return status, {"error": {"code": status, "message": message, "status": word}}, headers or {}
