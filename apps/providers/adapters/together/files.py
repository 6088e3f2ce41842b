"""Files at Together: sent to an address that it redirects to, then checked there."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from apps.providers.adapters.together.asking import LABEL
from apps.providers.client_errors import ErrorsOf
from apps.providers.contracts import ProviderRejectedError
from apps.providers.remote import FileState

if TYPE_CHECKING:
    from together import Together


def upload(client: "Together", path: Path, filename: str) -> str:
    """The provider's name for the file. Raises the client's errors.

    The client asks for an address, sends the bytes to it in pieces, and asks for the check; above 5 GB in parts. All of
    it goes through the guarded connections that the client was given. It names the file as the path is named.
    """
    with tempfile.TemporaryDirectory(prefix="together-") as place:
        named = Path(place) / (Path(filename).stem + ".jsonl")
        named.symlink_to(path.resolve())
        return client.files.upload(named, purpose="fine-tune", check=False).id


def state(client: "Together", errors: ErrorsOf, file: str) -> FileState:
    """Whether the file can be trained on, by Together's own check."""
    try:
        with errors.told():
            told = client.files.retrieve(file)
            report, status = told.validation_report, told.processing_status
    except ProviderRejectedError as error:
        if error.code != "not_found":
            raise
        return FileState(readiness="refused", message=f"{LABEL} holds this file no more. Send it again.")
    if status in ("FAILED", "INVALID_FORMAT") or (report is not None and not report.valid):
        why = errors.hide((report.error if report else None) or f"its check ended as {status}")
        return FileState(readiness="refused", message=f"{LABEL} can't train on this file: {why}")
    if status in ("PENDING", "QUEUED", "RUNNING"):
        return FileState(readiness="working", message=f"{LABEL} is checking the file.")
    return FileState(readiness="ready")
