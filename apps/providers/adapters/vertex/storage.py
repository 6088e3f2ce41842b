"""Files in Cloud Storage by its JSON API: the SDK for Gemini has no upload for Vertex."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from apps.providers.adapters.vertex.errors import answered
from apps.providers.contracts import ProviderRejectedError, ProviderUnavailableError

PIECE = 8 * 1024 * 1024
"""Sent at once; Cloud Storage wants multiples of 256 KiB."""
GOOGLE = "https://storage.googleapis.com"


class Storage:
    """Safe for several threads. Raises `ProviderError` for what is answered, and httpx's errors for what isn't."""

    def __init__(self, client: httpx.Client, token: Callable[[], str], base_url: str = GOOGLE) -> None:
        self._client = client
        self._token = token
        self._base_url = base_url.rstrip("/")

    def upload(self, path: Path, bucket: str, key: str) -> None:
        """In pieces, so that a large file needs little memory. A key that exists is written over."""
        size = path.stat().st_size
        begun = self._send(
            "POST",
            f"/upload/storage/v1/b/{quote(bucket, safe='')}/o",
            params={"uploadType": "resumable", "name": key},
            headers={"X-Upload-Content-Type": "application/jsonl", "X-Upload-Content-Length": str(size)},
        )
        place = begun.headers.get("location", "")
        if not place:
            raise ProviderUnavailableError(
                "Cloud Storage named no place to send the file to.", code="unreadable"
            )
        sent = 0
        with path.open("rb") as file:
            while True:
                file.seek(sent)
                piece = file.read(PIECE)
                span = f"bytes {sent}-{sent + len(piece) - 1}/{size}" if piece else f"bytes */{size}"
                # The place is a secret of its own: no token goes there.
                answer = self._client.put(place, content=piece, headers={"Content-Range": span})
                if answer.status_code in (200, 201):
                    return
                if answer.status_code != 308:
                    raise self._refused(answer)
                arrived = _arrived(answer)
                if arrived <= sent:
                    raise ProviderUnavailableError(
                        "Cloud Storage takes no more of the file.", code="unreadable"
                    )
                sent = arrived

    def exists(self, bucket: str, key: str) -> bool:
        try:
            self._send("GET", _object(bucket, key), params={"fields": "name,size"})
        except ProviderRejectedError as error:
            if error.code != "not_found":
                raise
            return False
        return True

    def check_bucket(self, bucket: str) -> None:
        """One small question that needs the right to list objects."""
        self._send("GET", f"/storage/v1/b/{quote(bucket, safe='')}/o", params={"maxResults": "1"})

    def first_under(self, bucket: str, prefix: str, endings: tuple[str, ...]) -> str | None:
        """The first key of that ending under a folder."""
        answer = self._send(
            "GET",
            f"/storage/v1/b/{quote(bucket, safe='')}/o",
            params={"prefix": prefix, "maxResults": "100", "fields": "items(name)"},
        )
        names = (str(item["name"]) for item in answer.json().get("items", []))
        return next((name for name in names if name.endswith(endings)), None)

    def read(self, bucket: str, key: str, *, limit: int, unlike: str = "") -> tuple[str | None, str]:
        """Text and generation of an object; no text where the generation is still `unlike`."""
        params = {"alt": "media", **({"ifGenerationNotMatch": unlike} if unlike else {})}
        with self._client.stream(
            "GET", self._base_url + _object(bucket, key), params=params, headers=self._authority()
        ) as answer:
            if answer.status_code == 304:
                return None, unlike
            if answer.status_code != 200:
                answer.read()
                raise self._refused(answer)
            content = bytearray()
            for piece in answer.iter_bytes():
                content += piece
                if len(content) > limit:
                    raise ProviderRejectedError("The file is too large.", code="too_large")
            return content.decode("utf-8", "replace"), answer.headers.get("x-goog-generation", "")

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = self._authority() | options.pop("headers", {})
        answer = self._client.request(method, self._base_url + path, headers=headers, **options)
        if answer.status_code != 200:
            raise self._refused(answer)
        return answer

    def _authority(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token()}"}

    def _refused(self, answer: httpx.Response) -> Exception:
        try:
            told = answer.json().get("error", {})
        except (json.JSONDecodeError, AttributeError):
            told = {}
        told = told if isinstance(told, dict) else {"message": str(told)}
        return answered(answer.status_code, told, answer.headers, hidden=self._token())


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of a gs:// address."""
    bucket, _, key = uri.removeprefix("gs://").partition("/")
    return bucket, key


def _object(bucket: str, key: str) -> str:
    return f"/storage/v1/b/{quote(bucket, safe='')}/o/{quote(key, safe='')}"


def _arrived(answer: httpx.Response) -> int:
    """How many bytes are there, by the Range header of a 308: bytes=0-1048575; without one, none."""
    _, _, last = answer.headers.get("range", "").rpartition("-")
    return int(last) + 1 if last.isdigit() else 0
