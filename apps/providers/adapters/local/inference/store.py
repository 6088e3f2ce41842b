"""Uploaded models on disk, each under the SHA-256 of the tar it came as."""

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Literal

from starlette.concurrency import run_in_threadpool

from apps.providers.adapters.local.inference.errors import InferenceError
from apps.providers.contracts import ProviderError
from apps.providers.jobdirs.packing import CHUNK, unpack_model

DIGEST = re.compile(r"^[0-9a-f]{64}$")


class ModelStore:
    """A model is there completely or not at all: it is unpacked aside and moved into place."""

    def __init__(self, cache: Path, *, limit_bytes: int) -> None:
        self._models = cache / "models"
        self._uploads = cache / "uploads"
        self._limit = limit_bytes
        self._models.mkdir(parents=True, exist_ok=True)
        # Whatever an earlier process left unfinished.
        shutil.rmtree(self._uploads, ignore_errors=True)
        self._uploads.mkdir(parents=True)

    def path(self, sha256: str) -> Path | None:
        """The model's directory, None if it is not here. InferenceError for what is no digest."""
        if not DIGEST.match(sha256):
            raise InferenceError(400, "bad_digest", "A model is named by its SHA-256: 64 hexadecimal digits.")
        path = self._models / sha256
        return path if path.is_dir() else None

    async def put(self, sha256: str, body: AsyncIterator[bytes]) -> None:
        """Receive a tar, check its digest and every name in it, and keep its files."""
        if self.path(sha256) is not None:
            return
        workspace = self._uploads / uuid.uuid4().hex
        workspace.mkdir()
        try:
            tar = workspace / "model.tar"
            await self._receive(body, tar, sha256)
            await run_in_threadpool(self._unpack, tar, workspace / "model", sha256)
        except ProviderError as error:
            raise InferenceError(422, error.code, error.message) from error
        finally:
            shutil.rmtree(workspace, ignore_errors=True)

    async def _receive(self, body: AsyncIterator[bytes], tar: Path, sha256: str) -> None:
        digest, received = hashlib.sha256(), 0
        with tar.open("wb") as stream:
            async for chunk in body:
                received += len(chunk)
                if received > self._limit:
                    raise InferenceError(
                        413,
                        "too_large",
                        f"The model is larger than the {self._limit:,} bytes that are taken.",
                    )
                digest.update(chunk)
                stream.write(chunk)
        if digest.hexdigest() != sha256:
            raise InferenceError(
                422, "wrong_digest", "The upload is not the model that its name says: bytes differ."
            )

    def _unpack(self, tar: Path, target: Path, sha256: str) -> None:
        unpack_model(_chunks(tar), target, limit_bytes=self._limit)
        try:
            os.rename(target, self._models / sha256)
        except OSError:
            # Someone else's upload of the same bytes came first.
            if self.path(sha256) is None:
                raise


def model_kind(path: Path) -> Literal["adapter", "full"]:
    return "adapter" if (path / "adapter_config.json").is_file() else "full"


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk
