"""Files that the server gets by itself: from an address, or from the operator's import directory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.db import transaction

from apps.accounts.models import User
from apps.artifacts.storage import blob_complete, blob_store
from apps.audit.services import record
from apps.core.allowed_directory import open_below
from apps.core.errors import ConflictError, PortalError
from apps.core.formatting import format_bytes
from apps.core.outgoing import checked_url, fetching
from apps.core.states import transition
from apps.datasets.models import Dataset, Import, ImportState, Upload
from apps.datasets.services.imports import import_look, short_name, start_fetch
from apps.operations.models import Operation, OperationState
from apps.operations.progress import Progress

PIECE = 1024 * 1024
REPORTED_BYTES = 1000
_SCHEMES = ("https://", "http://")


def import_from_url(*, dataset: Dataset, url: str, actor: User | None) -> Import:
    """Queue the fetching of a file from an address. Raises `OutgoingError` for one that is never fetched."""
    place = checked_url(url, allow_private=settings.FTPORTAL_ALLOW_PRIVATE_URLS)
    return _create(dataset, unquote(PurePosixPath(urlsplit(place).path).name) or "download", place, actor)


def import_from_path(*, dataset: Dataset, path: str, actor: User | None) -> Import:
    """Queue the reading of a file below the import directory. Raises `AllowedDirectoryError`."""
    open_below(_directory(), path).close()
    return _create(dataset, PurePosixPath(path).name, path, actor)


def import_from_upload(*, dataset: Dataset, upload: Upload, actor: User | None) -> Import:
    """Queue the import of a file whose pieces are all here. Raises `ConflictError` when some are missing."""
    if not upload.is_whole:
        raise ConflictError(f"{upload.file_name} has not come in completely. Upload it again: it goes on.")
    return _create(dataset, upload.file_name, "", actor, upload)


def _create(
    dataset: Dataset, name: str, place: str, actor: User | None, upload: Upload | None = None
) -> Import:
    with transaction.atomic():
        record_ = Import.objects.create(
            dataset=dataset,
            state=ImportState.FETCHING,
            file_name=short_name(name),
            fetched_from=place,
            upload=upload,
            created_by=actor,
        )
        record(
            workspace=dataset.project.workspace,
            actor=actor,
            action="import.uploaded" if upload else "import.fetch_requested",
            target=record_,
            data={"dataset": dataset.pk, "from": place},
        )
        start_fetch(record_, actor)
    return record_


def import_fetch(*, import_record: Import, progress: Progress) -> None:
    """Get the file and go on as after an upload. Without effect on an import that has its file."""
    if import_record.state != ImportState.FETCHING:
        return
    upload = import_record.upload
    if upload is not None:
        _announce(progress, upload.size, "Reading what was uploaded")
        blob = blob_complete(blob=upload.blob, read=lambda chunks: _reported(chunks, progress))
    else:
        with _opened(import_record) as (chunks, size):
            _announce(progress, size, "Fetching the file")
            blob = blob_store(content=_reported(chunks, progress))
    if not blob.size:
        raise PortalError("The file is empty: it has no bytes at all.")
    progress.check()
    with transaction.atomic():
        transition(import_record, ImportState.RECEIVED, blob=blob, upload=None)
        if upload is not None:
            upload.delete()
        record(
            workspace=import_record.dataset.project.workspace,
            actor=progress.operation.actor,
            action="import.fetched",
            target=import_record,
            data={"sha256": blob.sha256, "bytes": blob.size},
        )
        import_look(import_record=import_record, actor=progress.operation.actor)


def _announce(progress: Progress, size: int | None, message: str) -> None:
    total = None if size is None else -(-size // REPORTED_BYTES)
    progress.report(0, total=total, unit="kB", message=message)


def import_fetch_stopped(*, import_record: Import, operation: Operation) -> None:
    """The operation ended before the file was here: the import says why."""
    if import_record.state != ImportState.FETCHING:
        return
    error = operation.error
    if operation.state == OperationState.CANCELLED:
        error = "Fetching the file was cancelled. Nothing was kept."
    transition(import_record, ImportState.FAILED, error=error)


@contextmanager
def _opened(import_record: Import) -> Iterator[tuple[Iterator[bytes], int | None]]:
    """The bytes from wherever they are, and how many, if that is known."""
    limit = settings.FTPORTAL_UPLOAD_LIMIT
    place = import_record.fetched_from
    if place.startswith(_SCHEMES):
        with fetching(place, limit=limit, allow_private=settings.FTPORTAL_ALLOW_PRIVATE_URLS) as found:
            yield found.chunks, found.size
        return
    with open_below(_directory(), place) as file:
        size = file.seek(0, 2)
        if size > limit:
            raise PortalError(
                f"The file is {format_bytes(size)}; at most {format_bytes(limit)} are taken in one file."
            )
        file.seek(0)
        yield iter(lambda: file.read(PIECE), b""), size


def _reported(chunks: Iterator[bytes], progress: Progress) -> Iterator[bytes]:
    received = 0
    for chunk in chunks:
        received += len(chunk)
        progress.report(received // REPORTED_BYTES)
        yield chunk


def _directory() -> Path:
    if not settings.FTPORTAL_IMPORT_DIRECTORY:
        raise PortalError("The operator has set no import directory (FTPORTAL_IMPORT_DIRECTORY).")
    return Path(settings.FTPORTAL_IMPORT_DIRECTORY)
