"""An upload as it comes in: its fields, and its file straight into the database, never whole in memory."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect, Request

from apps.artifacts.models import Blob
from apps.artifacts.storage import CHUNK_BYTES, blob_append, blob_begin, blob_close, blob_drop
from apps.gateway.database import in_thread
from apps.gateway.errors import ApiError

FLUSH_BYTES = 4 * CHUNK_BYTES
FIELD_BYTES = 64 * 1024


@dataclass
class Received:
    """What an upload held. `blob` is complete."""

    fields: dict[str, str]
    file_name: str
    blob: Blob


@dataclass
class _Part:
    name: str = ""
    file_name: str | None = None
    data: bytearray = field(default_factory=bytearray)


class _Upload:
    """Callbacks of the parser. They only take notes; what is noted is stored between two pieces of the request."""

    def __init__(self, boundary: bytes, limit: int) -> None:
        self.fields: dict[str, str] = {}
        self.file_name: str | None = None
        self.pending = bytearray()
        self.ended = False
        self._limit = limit
        self._size = 0
        self._part = _Part()
        self._header = (bytearray(), bytearray())
        self.parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_part_data": self._data,
                "on_part_end": self._end,
                "on_header_field": lambda data, start, end: self._header[0].extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._header[1].extend(data[start:end]),
                "on_header_end": self._header_end,
                "on_headers_finished": self._headers_finished,
                "on_end": self._finished,
            },
        )

    def _begin(self) -> None:
        self._part = _Part()

    def _header_end(self) -> None:
        name, value = (bytes(part) for part in self._header)
        self._header = (bytearray(), bytearray())
        if name.lower() == b"content-disposition":
            _, options = parse_options_header(value)
            self._part.name = options.get(b"name", b"").decode("utf-8", "replace")
            if b"filename" in options:
                self._part.file_name = options[b"filename"].decode("utf-8", "replace")

    def _headers_finished(self) -> None:
        if self._part.name == "file" and self.file_name is None:
            self.file_name = self._part.file_name or "upload"

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._part.name == "file":
            self._size += end - start
            if self._size > self._limit:
                raise ApiError(
                    f"The file is too large: at most {self._limit} bytes are taken.",
                    status=413,
                    code="file_too_large",
                    param="file",
                )
            self.pending += data[start:end]
            return
        self._part.data += data[start:end]
        if len(self._part.data) > FIELD_BYTES:
            raise ApiError("A field of the form is too large.", param=self._part.name)

    def _end(self) -> None:
        if self._part.name != "file":
            self.fields[self._part.name] = self._part.data.decode("utf-8", "replace")

    def _finished(self) -> None:
        self.ended = True


async def receive_upload(
    request: Request, *, limit: int, check: Callable[[dict[str, str], int], Awaitable[None]]
) -> Received:
    """Read the whole request; `check` sees its fields and the size of its file, before it is kept.

    Raises ApiError; nothing is kept then.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise ApiError(
            "Send a file as multipart/form-data with the fields 'purpose' and 'file'.",
            code="unsupported_content_type",
            status=415,
        )
    upload = _Upload(boundary, limit)
    blob = await in_thread(blob_begin)
    digest, size = hashlib.sha256(), 0
    try:
        async for piece in request.stream():
            upload.parser.write(piece)
            if len(upload.pending) >= FLUSH_BYTES:
                whole = len(upload.pending) - len(upload.pending) % CHUNK_BYTES
                data = bytes(upload.pending[:whole])
                del upload.pending[:whole]
                size = await in_thread(_append, blob, size, data, digest)
        upload.parser.finalize()
        if not upload.ended:
            raise ApiError("The upload broke off before its end.", code="incomplete_upload")
        if upload.pending:
            size = await in_thread(_append, blob, size, bytes(upload.pending), digest)
        if upload.file_name is None:
            raise ApiError("'file' is a required property", code="missing_required_parameter", param="file")
        await check(upload.fields, size)
    except (MultipartParseError, ClientDisconnect) as error:
        await in_thread(blob_drop, blob=blob)
        raise ApiError(
            "The upload can't be read as multipart/form-data.", code="invalid_multipart"
        ) from error
    except BaseException:
        await in_thread(blob_drop, blob=blob)
        raise
    blob = await in_thread(blob_close, blob=blob, sha256=digest.hexdigest(), size=size)
    return Received(fields=upload.fields, file_name=upload.file_name, blob=blob)


def _append(blob: Blob, size: int, data: bytes, digest: "hashlib._Hash") -> int:
    digest.update(data)
    return blob_append(blob=blob, offset=size, data=data)
