"""Storing and reading blobs as streams: no blob is ever whole in memory.

Why so: docs/adr/0004-artifacts-in-postgres.md.
"""

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from django.db import IntegrityError, connection, transaction
from psycopg import Cursor

from apps.artifacts.models import Blob, BlobChunk

CHUNK_BYTES = 1024 * 1024


def blob_store(*, content: Iterable[bytes], content_type: str = "application/octet-stream") -> Blob:
    """Store a stream and return its blob. The same bytes are kept once: an existing blob is returned."""
    blob = Blob.objects.create(content_type=content_type)
    digest = hashlib.sha256()
    size = 0
    try:
        for index, chunk in enumerate(_rechunk(content)):
            digest.update(chunk)
            size += len(chunk)
            BlobChunk.objects.create(blob=blob, index=index, data=chunk)
    except Exception:  # the stream broke off: what came of it belongs to nothing
        if not connection.needs_rollback:
            blob.delete()
        raise
    return _close(blob, digest.hexdigest(), size)


def blob_begin(*, content_type: str = "application/octet-stream") -> Blob:
    """An empty blob whose bytes come in by `blob_append`; unknown to everybody until `blob_complete`."""
    return Blob.objects.create(content_type=content_type)


def blob_append(*, blob: Blob, offset: int, data: bytes) -> int:
    """Add bytes at the end, in whole chunks but for the last; where the end is now."""
    if offset % CHUNK_BYTES:
        raise ValueError("Bytes can only be added behind a whole chunk.")
    pieces = [data[start : start + CHUNK_BYTES] for start in range(0, len(data), CHUNK_BYTES)]
    first = offset // CHUNK_BYTES
    BlobChunk.objects.bulk_create(
        [BlobChunk(blob=blob, index=first + index, data=piece) for index, piece in enumerate(pieces)]
    )
    return offset + len(data)


def blob_complete(*, blob: Blob, read: Callable[[Iterator[bytes]], Iterator[bytes]] = iter) -> Blob:
    """Close a blob whose bytes are all there; `read` sees them pass. The same bytes are kept once."""
    digest = hashlib.sha256()
    size = 0
    for chunk in read(blob_read(blob)):
        digest.update(chunk)
        size += len(chunk)
    return _close(blob, digest.hexdigest(), size)


def blob_close(*, blob: Blob, sha256: str, size: int) -> Blob:
    """Close a blob whose bytes are all there and were hashed as they came in. The same bytes are kept once."""
    return _close(blob, sha256, size)


def blob_drop(*, blob: Blob) -> None:
    """Forget a blob whose bytes did not all come in."""
    Blob.objects.filter(pk=blob.pk, sha256=None).delete()


def _close(blob: Blob, sha256: str, size: int) -> Blob:
    try:
        with transaction.atomic():
            Blob.objects.filter(pk=blob.pk).update(sha256=sha256, size=size)
    except IntegrityError:
        blob.delete()
        return Blob.objects.get(sha256=sha256)
    blob.refresh_from_db()
    return blob


def blob_store_file(*, path: Path, content_type: str = "application/octet-stream") -> Blob:
    """Store a file from disk."""
    with path.open("rb") as file:
        return blob_store(content=iter(lambda: file.read(CHUNK_BYTES), b""), content_type=content_type)


def blob_read(blob: Blob, *, offset: int = 0) -> Iterator[bytes]:
    """The bytes from `offset` on, in order, a chunk at a time."""
    index, skipped = divmod(offset, CHUNK_BYTES)
    while (chunk := _chunk(blob, index)) is not None:
        yield chunk[skipped:]
        skipped = 0
        index += 1


def _chunk(blob: Blob, index: int) -> bytes | None:
    """One chunk, or None behind the last; sent by the server as it is, not in hexadecimal digits."""
    connection.ensure_connection()
    with connection.wrap_database_errors, Cursor(connection.connection) as cursor:
        cursor.execute(
            "SELECT data FROM artifacts_blobchunk WHERE blob_id = %s AND index = %s",
            [blob.pk, index],
            binary=True,
        )
        row = cursor.fetchone()
    return None if row is None else bytes(row[0])


def blob_open(blob: Blob) -> BinaryIO:
    """The blob as a file to read from; not seekable."""
    return io.BufferedReader(_BlobReader(blob), CHUNK_BYTES)


def blob_open_seekable(blob: Blob) -> BinaryIO:
    """The blob as a file to read and seek in."""
    return io.BufferedReader(_SeekableBlobReader(blob), CHUNK_BYTES)


class _SeekableBlobReader(io.RawIOBase):
    """Keeps the chunk that was read last."""

    def __init__(self, blob: Blob) -> None:
        self._blob = blob
        self._position = 0
        self._index = -1
        self._chunk = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._blob.size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        index, start = divmod(self._position, CHUNK_BYTES)
        if index != self._index:
            self._index, self._chunk = index, _chunk(self._blob, index) or b""
        piece = self._chunk[start : start + len(buffer)]
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)


class _BlobReader(io.RawIOBase):
    def __init__(self, blob: Blob) -> None:
        self._chunks = blob_read(blob)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = next(self._chunks, b"")
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


def _rechunk(content: Iterable[bytes]) -> Iterator[bytes]:
    pending = bytearray()
    for piece in content:
        pending += piece
        while len(pending) >= CHUNK_BYTES:
            yield bytes(pending[:CHUNK_BYTES])
            del pending[:CHUNK_BYTES]
    if pending:
        yield bytes(pending)
