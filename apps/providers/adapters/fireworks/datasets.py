"""Files at Fireworks: a dataset for each, whose id comes from what is in it."""

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from apps.providers.adapters.fireworks import storage
from apps.providers.adapters.fireworks.asking import LABEL, Name, dataset_id_of, named
from apps.providers.client_errors import ErrorsOf
from apps.providers.contracts import Objective, ProviderRejectedError
from apps.providers.remote import FileRole, FileState

if TYPE_CHECKING:
    from fireworks import Fireworks
    from fireworks.types import Dataset

JUDGED = ("rejected", "conflict")
"""Codes with which the provider judges what was asked, not the one who asks."""
_PLAIN = ("", "ENCRYPTION_STATE_UNSPECIFIED", "ENCRYPTION_STATE_PLAINTEXT")


class Datasets:
    """Safe to use from several threads."""

    def __init__(self, client: "Fireworks", http: httpx.Client, errors: ErrorsOf, *, account: str) -> None:
        self._client, self._http, self._errors, self._account = client, http, errors, account

    def upload(self, path: Path, *, role: FileRole, objective: Objective, filename: str) -> str:
        digest, lines = _measured(path)
        dataset_id = dataset_id_of(digest, role, objective)
        name = str(Name(self._account, "datasets", dataset_id))
        file = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(filename).stem)[:80] + ".jsonl"
        with self._errors.told():
            dataset = self._created(dataset_id, lines, objective)
            if dataset.state == "READY":
                return name
            kept_as = str(dataset.to_dict().get("encryptionState", ""))
            if kept_as not in _PLAIN:
                raise ProviderRejectedError(
                    f"{LABEL} asks for files that are encrypted with a key of yours, which is not done here. Upload "
                    "the file with Fireworks' own tool.",
                    code="encrypted_dataset",
                )
            size = str(path.stat().st_size)
            signed = self._client.datasets.get_upload_endpoint(dataset_id, filename_to_size={file: size})
            storage.put(self._http, (signed.filename_to_signed_urls or {})[file], path)
        self._wrong(dataset_id, self._account)
        return name

    def state(self, file: str) -> FileState:
        name = named(file, account=self._account, kind="datasets")
        try:
            with self._errors.told():
                dataset = self._client.datasets.get(name.id, account_id=name.account)
        except ProviderRejectedError as error:
            if error.code != "not_found":
                raise
            return FileState(readiness="refused", message=f"{LABEL} holds this file no more. Send it again.")
        if dataset.state == "READY":
            return FileState(readiness="ready")
        status = dataset.status
        wrong = status.message or status.code if status and status.code not in (None, "OK") else ""
        # What is wrong is told to the one who asks for the check, and not always kept.
        wrong = self._errors.hide(wrong) or self._wrong(name.id, name.account)
        if wrong:
            return FileState(readiness="refused", message=f"{LABEL} can't train on this file: {wrong}")
        return FileState(readiness="working", message=f"{LABEL} is checking the file.")

    def _created(self, dataset_id: str, lines: int, objective: Objective) -> "Dataset":
        from fireworks import ConflictError

        described: dict[str, Any] = {"user_uploaded": {}, "example_count": str(lines)}
        if objective == "supervised":
            described["format"] = "CHAT"
        try:
            return self._client.datasets.create(dataset_id=dataset_id, dataset=described)  # type: ignore[arg-type]
        except ConflictError:
            return self._client.datasets.get(dataset_id)

    def _wrong(self, dataset_id: str, account: str) -> str:
        """Have the uploaded file checked; what is wrong with it, or nothing."""
        try:
            with self._errors.told():
                self._client.datasets.validate_upload(dataset_id, account_id=account, body={})
        except ProviderRejectedError as error:
            if error.code not in JUDGED:
                raise
            return error.message
        return ""


def _measured(path: Path) -> tuple[str, int]:
    """SHA-256 and number of lines, in one reading."""
    digest, lines = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(storage.PIECE):
            digest.update(piece)
            lines += piece.count(b"\n")
    return digest.hexdigest(), lines
