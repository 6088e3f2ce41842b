"""A model directory as one deterministic tar, and back, trusting nothing in the tar.

The identity of a packed model is the SHA-256 of the tar's bytes. Packing the same files gives the same bytes:
names sorted, times and owners zeroed, one mode, uncompressed USTAR (weights do not compress).
"""

import hashlib
import os
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from apps.providers.contracts import ProviderRejectedError

# What a model directory is made of. Weights only as safetensors: other formats can run code when they are
# loaded.
ALLOWED_SUFFIXES = frozenset({".safetensors", ".json", ".jinja", ".txt", ".model"})
MAX_MEMBERS = 1000
CHUNK = 1024 * 1024


def is_model_file(name: str) -> bool:
    return PurePosixPath(name).suffix in ALLOWED_SUFFIXES


def pack_directory(directory: Path, stream: BinaryIO) -> str:
    """Write the model files of a directory to a stream as a tar; return the SHA-256 of its bytes.

    Files that are no part of a model (optimizer state, README) are left out.
    """
    names = sorted(
        path.relative_to(directory).as_posix()
        for path in directory.rglob("*")
        if path.is_file() and not path.is_symlink() and is_model_file(path.name)
    )
    if not any(name.endswith(".safetensors") for name in names):
        raise ProviderRejectedError(f"There are no safetensors weights in {directory}.", code="no_weights")
    hashing = _HashingWriter(stream)
    with tarfile.open(fileobj=cast("BinaryIO", hashing), mode="w|", format=tarfile.USTAR_FORMAT) as tar:
        for name in names:
            path = directory / name
            member = tarfile.TarInfo(name)
            member.size = path.stat().st_size
            member.mode = 0o644
            with path.open("rb") as source:
                tar.addfile(member, source)
    return hashing.hexdigest()


def unpack_model(chunks: Iterable[bytes], target: Path, *, limit_bytes: int) -> str:
    """Unpack an uploaded tar below `target` (which must be empty); return the SHA-256 of the bytes received.

    Refused with ProviderRejectedError: absolute paths, `..`, links, devices, repeated names, any file that is
    not one of a model's, more than `limit_bytes`, and what is no tar at all. The caller removes `target`
    after a refusal.
    """
    reader = _HashingReader(chunks, limit_bytes)
    seen: set[str] = set()
    try:
        with tarfile.open(fileobj=cast("BinaryIO", reader), mode="r|") as tar:
            for member in tar:
                if member.isdir():
                    continue
                name = _safe_name(member)
                if name in seen:
                    raise ProviderRejectedError(f"The archive holds “{name}” twice.", code="unsafe_archive")
                seen.add(name)
                if len(seen) > MAX_MEMBERS:
                    raise ProviderRejectedError("The archive holds too many files.", code="unsafe_archive")
                source = tar.extractfile(member)
                if source is None:
                    raise ProviderRejectedError(
                        f"“{name}” can't be read from the archive.", code="bad_archive"
                    )
                _write(target / name, source)
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise ProviderRejectedError(
            f"The upload is not a readable tar archive: {error}.", code="bad_archive"
        ) from error
    reader.drain()
    if not any(name.endswith(".safetensors") for name in seen):
        raise ProviderRejectedError("The archive holds no safetensors weights.", code="no_weights")
    return reader.hexdigest()


def _safe_name(member: tarfile.TarInfo) -> str:
    path = PurePosixPath(member.name)
    if not member.isreg():
        raise ProviderRejectedError(
            f"“{member.name}” in the archive is not a regular file.", code="unsafe_archive"
        )
    if (
        path.is_absolute()
        or ".." in path.parts
        or "\\" in member.name
        or "\0" in member.name
        or not path.parts
    ):
        raise ProviderRejectedError(
            f"“{member.name}” would be written outside the model.", code="unsafe_archive"
        )
    if not is_model_file(path.name):
        raise ProviderRejectedError(
            f"“{member.name}” is not a model file; only {', '.join(sorted(ALLOWED_SUFFIXES))} are taken.",
            code="unsafe_archive",
        )
    return path.as_posix()


def _write(path: Path, source: IO[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as stream:
        shutil.copyfileobj(source, stream, CHUNK)
        stream.flush()
        os.fsync(stream.fileno())


class _HashingWriter:
    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        return self._stream.write(data)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


class _HashingReader:
    """File-like over the chunks of an upload: counts, limits and hashes what passes."""

    def __init__(self, chunks: Iterable[bytes], limit_bytes: int) -> None:
        self._chunks = iter(chunks)
        self._limit = limit_bytes
        self._received = 0
        self._buffer = b""
        self._hash = hashlib.sha256()

    def _next(self) -> bytes:
        chunk = next(self._chunks, b"")
        self._received += len(chunk)
        if self._received > self._limit:
            raise ProviderRejectedError(
                f"The model is larger than the {self._limit:,} bytes that are taken.", code="too_large"
            )
        self._hash.update(chunk)
        return chunk

    def read(self, size: int) -> bytes:
        parts = [self._buffer]
        available = len(self._buffer)
        while available < size:
            chunk = self._next()
            if not chunk:
                break
            parts.append(chunk)
            available += len(chunk)
        data = b"".join(parts)
        self._buffer = data[size:]
        return data[:size]

    def drain(self) -> None:
        while self._next():
            pass

    def hexdigest(self) -> str:
        return self._hash.hexdigest()
