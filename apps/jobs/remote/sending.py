"""Bringing a job to its provider: its files first, each content once, then the job itself, exactly once.

Every step that costs or creates something is noted before or right after it happens, so that whoever goes on after a
crash knows where it stood. Whether a job was created whose answer got lost, the provider is asked.
"""

import hashlib
import logging
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

from django.conf import settings
from django.utils import timezone

from apps.core.errors import PortalError
from apps.core.formatting import format_bytes
from apps.datasets.models import Split
from apps.datasets.version_exports import export_file
from apps.jobs.models import TrainingJob
from apps.jobs.remote.steps import (
    job_data_note,
    job_phase_note,
    job_problem_note,
    job_quoted,
    job_send_later,
    job_sent,
    job_submission_begin,
)
from apps.operations.progress import OperationParkedError, Progress
from apps.providers.contracts import (
    Objective,
    ProviderError,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from apps.providers.opening import adapter_for
from apps.providers.remote import DataFacts, FileRole, RemoteRequest, RemoteTrainer
from apps.providers.sent_files import sent_file_find, sent_file_forget, sent_file_note

logger = logging.getLogger(__name__)

PATIENCE = timedelta(hours=6)
"""A provider that can't be reached, or that still looks at a file, is waited for this long."""
SHORT_WAIT_SECONDS = 10.0
"""A longer wait is left to the poller: a worker has other work meanwhile."""
LATER = timedelta(seconds=30)
CHECK_EVERY_BYTES = 4 * 1024 * 1024
Answer = TypeVar("Answer")


class SendingFailedError(PortalError):
    """The job did not come to run at the provider; the message says why."""

    code = "sending_failed"


@dataclass(frozen=True, kw_only=True)
class _Written:
    """A data file as it was written for the provider."""

    sha256: str
    size: int
    rows: int


class Sender:
    """One attempt to bring one job to its provider. `run` ends by parking the operation, or raises why not.

    Where the provider lets it wait, the operation is parked before the job is sent, and the poller starts the next
    attempt.
    """

    def __init__(self, *, job: TrainingJob, progress: Progress) -> None:
        assert job.base_model.connection is not None
        self._job = job
        self._progress = progress
        self._connection = job.base_model.connection
        self._adapter: RemoteTrainer = adapter_for(self._connection)
        self._waited = 0.0
        self._tried = False
        self._written: dict[FileRole, _Written] = {}

    def run(self) -> None:
        if not self._job.handle:
            try:
                self._send()
            except ProviderError as error:
                job_problem_note(job=self._job, error=error)
                raise SendingFailedError(error.message) from error
        raise OperationParkedError

    def _send(self) -> None:
        if self._job.submission_started_at is not None:
            self._progress.report(message=f"Looking for the job at {self._adapter.label}")
            found = self._patiently(lambda: self._adapter.find(job_key(self._job)))
            if found is not None:
                job_sent(job=self._job, handle=found)
                return
        job_phase_note(job=self._job, phase="sending")
        request = self._request()
        self._refuse_problems(request)
        self._ask_price(request)
        self._submit(request)

    def _request(self) -> RemoteRequest:
        configuration = self._job.configuration
        training = self._file(Split.TRAIN, "training")
        assert training is not None
        return remote_request(
            self._job,
            training_file=training,
            validation_file=self._file(Split.VALIDATION, "validation") if self._takes_validation else None,
            seed=configuration["seed"],
        )

    @property
    def _takes_validation(self) -> bool:
        objective = cast("Objective", self._job.objective)
        support = self._adapter.support(self._job.base_model.reference, objective)
        return bool(self._job.version.validation_count and support is not None and support.takes_validation)

    # --- Files ----------------------------------------------------------------------------------------------------

    def _file(self, split: str, role: FileRole) -> str | None:
        """The provider's name for a split's file, which is sent unless the same content was sent before."""
        with tempfile.TemporaryDirectory(dir=settings.FTPORTAL_HOME, prefix="send-") as folder:
            path = Path(folder) / f"{role}.jsonl"
            written = self._written[role] = self._write(split, path)
            sha256, size = written.sha256, written.size
            if not size:
                if role == "training":
                    raise SendingFailedError("No training row can be written in the format of this provider.")
                return None
            known = sent_file_find(
                connection=self._connection, sha256=sha256, role=role, objective=self._job.objective
            )
            if known is not None and self._is_ready(known.provider_file, role, lost_is_fine=True):
                return known.provider_file
            filename = f"{self._job.version.dataset.name}-v{self._job.version.number}-{role}.jsonl"
            self._progress.report(message=f"Sending the {role} file, {format_bytes(size)}")
            objective = cast("Objective", self._job.objective)
            provider_file = self._patiently(
                lambda: self._adapter.upload(path, role=role, objective=objective, filename=filename)
            )
        sent_file_note(
            connection=self._connection,
            sha256=sha256,
            role=role,
            objective=self._job.objective,
            filename=filename,
            size=size,
            provider_file=provider_file,
        )
        self._is_ready(provider_file, role)
        return provider_file

    def _write(self, split: str, path: Path) -> "_Written":
        file = export_file(self._job.version, self._job.configuration["data"]["format"], split)
        assert file is not None
        self._progress.report(message="Writing the data")
        digest, size, rows, checked = hashlib.sha256(), 0, 0, 0
        with path.open("wb") as target:
            for piece in file.content:
                target.write(piece)
                digest.update(piece)
                size += len(piece)
                rows += piece.count(b"\n")
                if size - checked > CHECK_EVERY_BYTES:
                    self._progress.check()
                    checked = size
        return _Written(sha256=digest.hexdigest(), size=size, rows=rows)

    def _is_ready(self, provider_file: str, role: FileRole, *, lost_is_fine: bool = False) -> bool:
        """True once the file can be trained on; parks while the provider looks at it. Providers delete files after a
        while, and people do: then False, if that is fine."""
        while True:
            try:
                state = self._patiently(lambda: self._adapter.file_state(provider_file))
            except ProviderRejectedError:
                if not lost_is_fine:
                    raise
                sent_file_forget(connection=self._connection, provider_file=provider_file)
                return False
            if state.readiness == "ready":
                return True
            if state.readiness == "refused":
                sent_file_forget(connection=self._connection, provider_file=provider_file)
                if lost_is_fine:
                    return False
                raise SendingFailedError(
                    f"{self._adapter.label} refused the {role} file: {state.message or 'it gives no reason'}."
                )
            self._wait(3.0, f"{self._adapter.label} looks at the {role} file")

    # --- The job ----------------------------------------------------------------------------------------------------

    def _refuse_problems(self, request: RemoteRequest) -> None:
        training, validation = self._written["training"], self._written.get("validation")
        data = DataFacts(
            rows=training.rows, validation_rows=validation.rows if validation else 0, bytes=training.size
        )
        job_data_note(job=self._job, rows=data.rows, validation_rows=data.validation_rows)
        errors = [each for each in self._adapter.validate(request, data) if each.severity == "error"]
        if errors:
            raise SendingFailedError(" ".join(each.message for each in errors))

    def _ask_price(self, request: RemoteRequest) -> None:
        """What the provider itself says stands before what a list of prices says."""
        try:
            quote = self._adapter.quote(request)
        except ProviderUnavailableError:
            return  # it is an estimate: no reason to let the job wait
        if quote is not None:
            job_quoted(job=self._job, cost=quote.cost, currency=quote.currency)

    def _submit(self, request: RemoteRequest) -> None:
        """Once, however often the answer is lost: from the first try on the provider is asked what it has."""
        self._progress.report(message=f"Creating the job at {self._adapter.label}")
        self._progress.check()
        job_submission_begin(job=self._job)

        def create() -> str:
            if self._tried:
                found = self._adapter.find(request.job_key)
                if found is not None:
                    return found
            self._tried = True
            return self._adapter.submit(request)

        job_sent(job=self._job, handle=self._patiently(create))
        logger.info("job.sent", extra={"job": self._job.pk, "connection": self._connection.pk})

    # --- Patience ---------------------------------------------------------------------------------------------------

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        """Ask again while the provider is away or busy, at the pace that it wishes."""
        while True:
            self._progress.check()
            try:
                return ask()
            except ProviderUnavailableError as error:
                self._wait(error.retry_after or 2.0, f"{error.message.rstrip('.')}. Trying again", error)

    def _wait(self, seconds: float, why: str, error: ProviderError | None = None) -> None:
        """A moment here, in steps so that a cancel is heard; after a few moments, or for longer, by parking."""
        self._progress.report(message=why)
        self._waited += seconds
        if self._waited > SHORT_WAIT_SECONDS:
            now = timezone.now()
            if now - (self._progress.operation.started_at or now) > PATIENCE:
                raise error or SendingFailedError(f"{why}, for hours now. Start the job again later.")
            job_send_later(job=self._job, at=now + max(LATER, timedelta(seconds=seconds)))
            raise OperationParkedError
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(1.0, left))
            self._progress.check()


def job_key(job: TrainingJob) -> str:
    """What marks the job at the provider; the same for every try."""
    return f"ftportal-{job.configuration_hash[:12]}-{job.pk}"


def remote_request(
    job: TrainingJob, *, training_file: str, validation_file: str | None, seed: int | None
) -> RemoteRequest:
    values: dict[str, Any] = job.hyperparameters
    return RemoteRequest(
        job_key=job_key(job),
        base_model=job.base_model.reference,
        objective=cast("Objective", job.objective),
        training_file=training_file,
        validation_file=validation_file,
        hyperparameters=values,
        suffix=job.configuration["suffix"],
        seed=seed,
    )
