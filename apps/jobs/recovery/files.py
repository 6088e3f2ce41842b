"""Files of a provider on their way to a frozen version: fetched once, then taken in as any upload is."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import PurePath

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.artifacts.models import Blob
from apps.artifacts.storage import blob_store
from apps.audit.services import record
from apps.core.errors import ConflictError, PortalError
from apps.core.formatting import format_bytes
from apps.core.states import transition
from apps.datasets.models import Split, Version, VersionState
from apps.datasets.services import (
    FileToTake,
    checks_request,
    files_take_in,
    mapping_into,
    taking_in_step,
)
from apps.jobs.models import Archive, FilesState, RecoveredFiles
from apps.jobs.recovery.archives import archive_adapter, patiently
from apps.operations.models import Operation, OperationState
from apps.operations.progress import OperationParkedError, Progress
from apps.operations.selectors import latest_operation_for
from apps.operations.services import operation_end, operation_start
from apps.providers.contracts import ProviderRejectedError
from apps.providers.remote import RemoteArchive, RemoteFile

logger = logging.getLogger(__name__)

FILES_KIND = "jobs.recover_files"
NAME_CHARACTERS = 60
REFUSED_KEY = ("unauthenticated", "forbidden")
"""What a person can mend: it doesn't say that the file is gone."""


def files_ensure(
    *, archive: Archive, training: str, validation: str | None, files: Mapping[str, RemoteFile], by: User
) -> tuple[RecoveredFiles, bool]:
    """What these files become here, begun if it is new or failed before; and whether it was begun now."""

    def name(file: str) -> str:
        return (files[file].filename if file in files else file)[:200]

    recovered, created = RecoveredFiles.objects.get_or_create(
        project=archive.project,
        connection=archive.connection,
        training_file=training,
        validation_file=validation or "",
        defaults={
            "training_name": name(training),
            "validation_name": name(validation) if validation else "",
            "created_by": by,
        },
    )
    if not created:
        if recovered.state not in (FilesState.FAILED, FilesState.UNAVAILABLE):
            return recovered, False
        transition(recovered, FilesState.WORKING, error="", validation_missing="")
    operation_start(
        workspace=archive.project.workspace,
        kind=FILES_KIND,
        subject=recovered,
        title=f"Bring in {recovered.training_name}",
        actor=by,
        url=archive.get_absolute_url(),
    )
    record(
        workspace=archive.project.workspace,
        actor=by,
        action="files.recovery_asked",
        target=recovered,
        data={"connection": str(archive.connection), "training": training, "validation": validation},
    )
    return recovered, True


def files_recover(*, recovered: RecoveredFiles, progress: Progress) -> None:
    """Fetch the files and begin their import; then it goes on by the clock, and the operation is parked."""
    if recovered.state != FilesState.WORKING:
        return
    kept, _ = archive_adapter(recovered.connection)
    if recovered.training_blob is None:
        try:
            recovered.training_blob = _fetch(kept, recovered.training_file, recovered.training_name, progress)
        except ProviderRejectedError as error:
            if error.code not in REFUSED_KEY:
                transition(recovered, FilesState.UNAVAILABLE, error=error.message)
            raise
    missing = ""
    if recovered.validation_file and recovered.validation_blob is None:
        try:
            recovered.validation_blob = _fetch(
                kept, recovered.validation_file, recovered.validation_name, progress
            )
        except ProviderRejectedError as error:
            # The training is the same without it; only nothing is held out then.
            missing = error.message
    RecoveredFiles.objects.filter(pk=recovered.pk).update(
        training_blob=recovered.training_blob,
        validation_blob=recovered.validation_blob,
        validation_missing=missing,
        updated_at=timezone.now(),
    )
    progress.report(message="Checking the rows")
    raise OperationParkedError


def _fetch(kept: RemoteArchive, file: str, name: str, progress: Progress) -> Blob:
    def received() -> Iterator[bytes]:
        size = 0
        for piece in kept.read_file(file):
            yield piece
            size += len(piece)
            progress.report(size // 1000, unit="kB")

    progress.report(0, message=f"Fetching {name}")
    blob = patiently(lambda: blob_store(content=received(), content_type="application/jsonl"), progress)
    progress.report(message=f"{name}: {format_bytes(blob.size)}")
    return blob


def files_step(*, files_id: int) -> None:
    """Take the next step of files that are here. Safe to call at any time."""
    with transaction.atomic():
        recovered = (
            RecoveredFiles.objects.select_for_update(of=("self",), skip_locked=True)
            .select_related(
                "project__workspace", "connection", "training_blob", "validation_blob", "version", "created_by",
                "dataset__project__workspace",
            )
            .filter(pk=files_id, state=FilesState.WORKING, training_blob__isnull=False)
            .first()
        )  # fmt: skip
        operation = latest_operation_for(recovered, FILES_KIND) if recovered is not None else None
        if recovered is None or operation is None or operation.parked_at is None or not operation.is_active:
            return
        try:
            with transaction.atomic():
                _take_step(recovered, operation)
        except PortalError as error:
            operation_end(operation=operation, state=OperationState.FAILED, error=error.message)


def _take_step(recovered: RecoveredFiles, operation: Operation) -> None:
    if recovered.dataset is None:
        _begin_dataset(recovered)
    assert recovered.dataset is not None
    version = taking_in_step(
        dataset=recovered.dataset,
        version=recovered.version,
        file_count=1 + (recovered.validation_blob_id is not None),
        keeps_splits=recovered.validation_blob_id is not None,
        refuses_bad_rows=False,
        note=f"All rows of {recovered.training_file} of {recovered.connection}."[:300],
        by=recovered.created_by,
    )
    if version is None:
        return
    if recovered.version_id is None:
        RecoveredFiles.objects.filter(pk=recovered.pk).update(version=version)
    elif version.state == VersionState.FROZEN:
        transition(recovered, FilesState.READY)
        operation_end(operation=operation, state=OperationState.SUCCEEDED)
        _check_quality(recovered, version)


def _begin_dataset(recovered: RecoveredFiles) -> None:
    assert recovered.training_blob is not None
    name = _file_name(recovered.training_name)
    training = FileToTake(name=name, blob=recovered.training_blob)
    files = [training]
    if recovered.validation_blob is not None:
        name = _file_name(recovered.training_name)
        into_train = mapping_into(name=name, blob=recovered.training_blob, split=Split.TRAIN)
        held_out = _file_name(recovered.validation_name)
        into_test = mapping_into(name=held_out, blob=recovered.validation_blob, split=Split.TEST)
        files = [
            FileToTake(name=name, blob=recovered.training_blob, mapping=into_train),
            FileToTake(name=held_out, blob=recovered.validation_blob, mapping=into_test),
        ]
    recovered.dataset = files_take_in(
        project=recovered.project,
        name=f"{recovered.training_name[:NAME_CHARACTERS]} ({_mark(recovered)})",
        description=f"Brought in from {recovered.connection}: {recovered.training_file}.",
        files=files,
        by=recovered.created_by,
    )
    RecoveredFiles.objects.filter(pk=recovered.pk).update(dataset=recovered.dataset)


def _mark(recovered: RecoveredFiles) -> str:
    """Told apart by ids: two files may have one name, and one training file may have gone with two validation files."""
    ends = [file[-6:] for file in (recovered.training_file, recovered.validation_file) if file]
    return " + ".join(ends)


def _file_name(name: str) -> str:
    return name if PurePath(name).suffix else f"{name}.jsonl"


def _check_quality(recovered: RecoveredFiles, version: Version) -> None:
    assert recovered.dataset is not None
    try:
        with transaction.atomic():
            checks_request(dataset=recovered.dataset, version=version, actor=recovered.created_by)
    except ConflictError:
        logger.info("files.checked_already", extra={"files": recovered.pk})


def files_stopped(*, operation: Operation) -> None:
    """The operation ended without success. Called in the same transaction."""
    recovered = RecoveredFiles.objects.select_for_update().filter(pk=operation.subject_id).first()
    if recovered is None or recovered.state != FilesState.WORKING:
        return
    error = operation.error or "It was cancelled."
    transition(recovered, FilesState.FAILED, error=error)
