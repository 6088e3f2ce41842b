"""Files that come in from a browser in pieces."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from apps.accounts.models import User
from apps.artifacts.storage import blob_append, blob_begin
from apps.audit.services import record
from apps.core.errors import ConflictError, PortalError
from apps.core.formatting import format_bytes
from apps.datasets.models import Import, Upload
from apps.projects.models import Project

PIECE_BYTES = 2 * 1024 * 1024
KEPT_DAYS = 7
FORM_OVERHEAD = 64 * 1024
"""What a form may add to the size of its file."""


def upload_refuse_too_large(content_length: str | None) -> None:
    """Raise `PortalError` for a request whose file is over the limit, before it is read."""
    length = int(content_length) if content_length and content_length.isdigit() else 0
    if length > settings.FTPORTAL_UPLOAD_LIMIT + FORM_OVERHEAD:
        error = PortalError(
            f"The file is larger than {format_bytes(settings.FTPORTAL_UPLOAD_LIMIT)}. Split it and import the parts"
            " into one dataset.",
            code="too_large",
        )
        error.status = 413
        raise error


def upload_begin(*, project: Project, file_name: str, size: int, modified: str, actor: User) -> Upload:
    """The upload of this file, as far as it came; a new one if it was never begun."""
    if not 0 < size <= settings.FTPORTAL_UPLOAD_LIMIT:
        raise PortalError(
            f"A file may be up to {format_bytes(settings.FTPORTAL_UPLOAD_LIMIT)}. Split it and import the parts into"
            " one dataset.",
            code="too_large",
        )
    known = {
        "project": project,
        "created_by": actor,
        "file_name": file_name[:255],
        "size": size,
        "modified": modified[:40],
    }
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)  # the same file chosen in two tabs
        found = Upload.objects.filter(**known).first()
        return found or Upload.objects.create(**known, blob=blob_begin())


def upload_receive(*, upload: Upload, offset: int, data: bytes) -> Upload:
    """Take the next piece. Raises `ConflictError` when another piece is next; `received` says which."""
    with transaction.atomic():
        locked = Upload.objects.select_for_update().get(pk=upload.pk)
        if offset != locked.received:
            raise ConflictError(f"Bytes from {locked.received} on are needed next.")
        left = locked.size - offset
        if (
            not data
            or len(data) > PIECE_BYTES
            or len(data) > left
            or (len(data) % PIECE_BYTES and len(data) < left)
        ):
            raise PortalError("The piece has the wrong length.", code="bad_piece")
        locked.received = blob_append(blob=locked.blob, offset=offset, data=data)
        locked.save(update_fields=["received", "updated_at"])
    return locked


def uploads_remove_abandoned() -> int:
    """Remove what nobody went on with for a week and no import waits for; how many files that were."""
    old = Upload.objects.filter(updated_at__lt=timezone.now() - timedelta(days=KEPT_DAYS))
    waited_for = Import.objects.filter(upload=OuterRef("pk"))
    removed = 0
    for pk in list(old.exclude(Exists(waited_for)).values_list("pk", flat=True)):
        with transaction.atomic():
            # Somebody may go on with it at this very moment: then it is left.
            upload = old.select_for_update(skip_locked=True).filter(pk=pk).first()
            if upload is None or Import.objects.filter(upload=upload).exists():
                continue
            record(
                workspace=upload.project.workspace,
                actor=None,
                action="upload.abandoned",
                target=upload,
                data={"received": upload.received, "size": upload.size},
            )
            blob = upload.blob
            upload.delete()
            if blob.sha256 is None:
                blob.delete()
            removed += 1
    return removed
