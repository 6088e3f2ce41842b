"""HTTP client of the inference program, over a unix socket or TCP. Thread-safe."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from apps.providers.contracts import (
    ChatReply,
    ChatRequest,
    ModelReference,
    ProviderError,
    ProviderRejectedError,
    ProviderUnavailableError,
    Usage,
)

CHUNK = 1024 * 1024


class InferenceClient:
    """Talks to one inference program: `socket` is a path, `url` a http address; exactly one is given."""

    def __init__(
        self,
        *,
        socket: Path | None = None,
        url: str | None = None,
        token: str | None = None,
        timeout: float = 600.0,
    ) -> None:
        if (socket is None) == (url is None):
            raise ValueError("give a socket or an url, and not both")
        # A local program may hold many waiting requests: it is the one that batches them.
        limits = httpx.Limits(max_connections=512, max_keepalive_connections=128)
        transport = httpx.HTTPTransport(uds=str(socket) if socket else None, limits=limits, retries=1)
        self._http = httpx.Client(
            transport=transport,
            base_url=url or "http://inference",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(timeout, connect=5.0),
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def health(self) -> dict[str, Any]:
        """State of the program: models loaded and memory used."""
        body: dict[str, Any] = self._request("GET", "/health").json()
        return body

    def has_model(self, sha256: str) -> bool:
        return self._send("HEAD", f"/models/{sha256}").status_code == 200

    def ensure_model(self, sha256: str, open_tar: Callable[[], BinaryIO]) -> bool:
        """Upload a packed model unless the program has it; True if it was uploaded."""
        if self.has_model(sha256):
            return False
        with open_tar() as stream:
            self._request("PUT", f"/models/{sha256}", content=_chunks(stream))
        return True

    def chat(self, request: ChatRequest) -> ChatReply:
        """Answer one conversation; raises ProviderError."""
        started = time.perf_counter()
        body = self._request("POST", "/chat", json=chat_payload(request)).json()
        return chat_reply(body, latency=time.perf_counter() - started)

    def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        response = self._send(method, path, **options)
        if response.is_error:
            raise _error(response)
        return response

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **options)
        except httpx.TimeoutException as error:
            raise ProviderUnavailableError(
                "The local model did not answer in time.", code="timeout"
            ) from error
        except httpx.TransportError as error:
            raise ProviderUnavailableError(
                f"The local inference program can't be reached ({error}). Is it running?", code="unreachable"
            ) from error
        if response.status_code in (401, 403):
            raise _error(response)
        return response


def chat_payload(request: ChatRequest) -> dict[str, Any]:
    model: ModelReference = request.model
    return {
        "base": model.base,
        "base_revision": model.base_revision,
        "model": model.artifact_sha256,
        "kind": model.kind,
        "messages": [dict(message) for message in request.messages],
        "tools": [dict(tool) for tool in request.tools],
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
        "seed": request.seed,
        "stop": list(request.stop),
        "frequency_penalty": request.frequency_penalty,
        "presence_penalty": request.presence_penalty,
        "top_chances": request.top_chances,
    }


def chat_reply(body: dict[str, Any], *, latency: float) -> ChatReply:
    return ChatReply(
        text=body["text"],
        finish_reason=body["finish_reason"],
        usage=Usage(prompt_tokens=body["prompt_tokens"], completion_tokens=body["completion_tokens"]),
        latency=latency,
        compute=body["seconds"],
        queue=body["queue_seconds"],
        raw=body,
    )


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK):
        yield chunk


def _error(response: httpx.Response) -> ProviderError:
    return reply_error(response.status_code, response.content)


def reply_error(status: int, content: bytes) -> ProviderError:
    """What the program means with an answer that is none."""
    raw: dict[str, Any]
    try:
        raw = json.loads(content)
        code, message = raw["error"]["code"], raw["error"]["message"]
    except (ValueError, KeyError, TypeError):
        raw = {"status": status, "body": content[:2000].decode(errors="replace")}
        code, message = "bad_reply", f"The local inference program answered with HTTP status {status}."
    if status in (429, 503):
        return ProviderUnavailableError(message, code=code, raw=raw)
    return ProviderRejectedError(message, code=code, raw=raw)
