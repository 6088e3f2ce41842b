"""Watching over the trainer of one job: start it or find it again, store what it reports, see to its end.

The trainer is a process of its own and outlives this one. Everything that the next supervisor needs is in the
database and in the job's directory, so it can carry on at any point.
"""

import logging
import os
import shutil
import socket
import time
from pathlib import Path

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from apps.artifacts.models import Blob
from apps.artifacts.storage import blob_store_file
from apps.core.errors import PortalError
from apps.core.formatting import format_duration
from apps.jobs.directories import job_directory, machine_trainer, pack_model
from apps.jobs.ingest import events_ingest
from apps.jobs.job_files import data_files_write, training_request
from apps.jobs.models import Method, TrainingJob
from apps.jobs.orphans import log_keep
from apps.jobs.services import (
    job_checkpoint_keep,
    job_checkpoint_store,
    job_log_note,
    job_mark_running,
    job_progress_reset,
    job_restart_note,
    job_succeed,
)
from apps.operations.models import Operation
from apps.operations.progress import OperationCancelledError, OperationSupersededError, Progress
from apps.providers.contracts import TrainingEvent

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
LOG_EVERY_SECONDS = 3.0
MAX_RESTARTS = 2
CANCEL_GRACE_SECONDS = 60.0
FINISH_GRACE_SECONDS = 120.0
DATABASE_PATIENCE_SECONDS = 300.0
FINAL_TYPES = ("result", "stopped", "failed")
PHASE_MESSAGES = {
    "loading": "Loading the model",
    "preparing": "Preparing the data",
    "training": "Training",
    "saving": "Saving the model",
    "finished": "Storing the model",
}


class TrainingFailedError(PortalError):
    """The training ended without a model; the message says why."""

    code = "training_failed"


class Supervisor:
    """One attempt to bring one job to its end. `run` returns when the job succeeded and raises otherwise."""

    def __init__(self, *, job: TrainingJob, progress: Progress) -> None:
        self._job = job
        self._progress = progress
        self._directory = job_directory(job.pk)
        above = os.environ.get("FTPORTAL_SUPERVISOR_PID", "")
        self._trainer = machine_trainer(
            job.provider, supervisor_pid=int(above) if above.isdecimal() else None
        )
        self._offset = 0
        self._final: TrainingEvent | None = None
        self._heard_at = time.monotonic()
        self._log_at = 0.0
        self._log_size = -1
        self._message = ""
        self._step = job.step
        self._total = job.total_steps

    def run(self) -> None:
        try:
            job_mark_running(job=self._job)
            found = (self._directory / "job.json").is_file()
            if not found:
                self._begin()
            self._follow(attached=found)
        except OperationCancelledError:
            self._end_cancelled()
            raise
        except OperationSupersededError:
            self._leave()
            raise
        except TrainingFailedError:
            self._note_log(force=True)
            log_keep(self._job)
            raise

    def _begin(self) -> None:
        if self._job.events_seen:
            # Another machine's directory, or a lost disk: what was reported can't be gone on from.
            job_progress_reset(job=self._job)
        self._progress.report(message="Writing the training data")
        data_files_write(job=self._job, directory=self._directory, check=self._progress.check)
        self._progress.check()
        self._submit(resume=False)

    def _submit(self, *, resume: bool) -> None:
        self._final = None
        self._heard_at = time.monotonic()
        request = training_request(job=self._job, directory=self._directory, resume=resume)
        self._trainer.submit(request)
        logger.info("job.trainer_started", extra={"job": self._job.pk, "resume": resume})

    def _follow(self, *, attached: bool) -> None:
        """Until the trainer ended for good. The first look of a new supervisor finds what happened meanwhile."""
        database_lost_at: float | None = None
        while True:
            try:
                if self._look(attached=attached):
                    return
                attached, database_lost_at = False, None
            except (OperationalError, InterfaceError):
                # The trainer needs no database; its events wait in their file.
                database_lost_at = database_lost_at or time.monotonic()
                if time.monotonic() - database_lost_at > DATABASE_PATIENCE_SECONDS:
                    raise
                logger.warning("job.database_away", extra={"job": self._job.pk})
                connection.close()
            time.sleep(POLL_SECONDS)

    def _look(self, *, attached: bool) -> bool:
        """One round. True once the job has succeeded."""
        # Asked before reading: what an ended trainer wrote is then all there to be read.
        running = self._trainer.is_running(self._directory)
        self._read_events()
        self._note_log()
        if not running:
            if self._final is not None and self._final.type == "result":
                self._finish()
                return True
            if self._final is not None and self._final.type == "failed":
                raise TrainingFailedError(str(self._final.data["message"]))
            self._restart(attached=attached)
        elif self._final is not None and self._silence() > FINISH_GRACE_SECONDS:
            self._trainer.kill(self._directory)
        elif self._silence() > settings.FTPORTAL_TRAINING_SILENCE_SECONDS:
            self._trainer.kill(self._directory)
            raise TrainingFailedError(
                f"The trainer reported nothing for {format_duration(settings.FTPORTAL_TRAINING_SILENCE_SECONDS)}"
                " and was stopped. Its log may say what it waited for; a smaller batch or a shorter maximum"
                " length may help."
            )
        self._report()
        return False

    def _silence(self) -> float:
        return time.monotonic() - self._heard_at

    def _read_events(self) -> None:
        while True:
            events, offset = self._trainer.read_events(self._directory, self._offset)
            if not events:
                return
            events_ingest(job_id=self._job.pk, events=events)
            self._offset = offset
            self._heard_at = time.monotonic()
            for event in events:
                self._notice(event)

    def _notice(self, event: TrainingEvent) -> None:
        data = event.data
        if event.type in FINAL_TYPES:
            self._final = event
        elif event.type == "phase":
            if data["phase"] == "loading":
                self._final = None  # a new process: what ended before it counts no longer
            self._message = PHASE_MESSAGES.get(data["phase"], data["phase"])
        elif event.type == "plan":
            self._total = data["steps"]
            self._step = data.get("resumed_from_step") or 0
        elif event.type == "metrics":
            self._step = data["step"]

    def _report(self) -> None:
        operation = self._progress.operation
        changed: dict[str, object] = {}
        if self._total is not None and operation.total != self._total:
            changed = {"total": self._total, "unit": "steps"}
        if self._message and operation.message != self._message:
            changed["message"] = self._message
        self._progress.report(self._step, force=True, **changed)  # type: ignore[arg-type]

    def _restart(self, *, attached: bool) -> None:
        """The trainer is gone and said nothing final, or was asked to stop by somebody else: go on from its last
        checkpoint. What happened while nobody watched (a machine that went down) is not counted against the job."""
        if not attached:
            if self._job.restarts >= MAX_RESTARTS:
                failure = self._trainer.poll(str(self._directory)).failure
                raise TrainingFailedError(
                    f"{failure.message if failure else 'The trainer was stopped from outside.'} It ended like this"
                    f" {MAX_RESTARTS + 1} times, last at step {self._step}, so it was given up. If the machine ran"
                    " out of memory, a smaller batch or a shorter maximum length helps."
                )
            job_restart_note(job=self._job)
        kept = self._job.checkpoints.exists()
        self._message = (
            "Starting again from the last checkpoint" if kept else "Starting again from the beginning"
        )
        self._submit(resume=True)

    def _note_log(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if not force and now - self._log_at < LOG_EVERY_SECONDS:
            return
        self._log_at = now
        try:
            size = (self._directory / "log.txt").stat().st_size
        except FileNotFoundError:
            return
        if size != self._log_size:
            self._log_size = size
            job_log_note(job=self._job, tail=self._trainer.log_tail(self._directory))

    def _finish(self) -> None:
        self._message = "Storing the model"
        self._report()
        result = self._trainer.result(str(self._directory))
        assert result.path is not None
        packed = self._directory / "result.tar"
        pack_model(result.path, packed)
        artifact = _store(packed)
        self._keep_checkpoints()
        self._note_log(force=True)
        log_keep(self._job)
        self._job.refresh_from_db()
        job_succeed(job=self._job, result=result, artifact=artifact)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _keep_checkpoints(self) -> None:
        """Adapters are small, so those of the checkpoints that are still there are kept; whole models are not."""
        if self._job.method != Method.LORA:
            return
        for checkpoint in self._job.checkpoints.order_by("step"):
            directory = self._directory / checkpoint.path
            if directory.is_dir():
                packed = self._directory / "checkpoint.tar"
                pack_model(directory, packed)
                job_checkpoint_store(checkpoint=checkpoint, artifact=_store(packed))

    def _end_cancelled(self) -> None:
        """Let the trainer save where it stands, then keep that."""
        asked_at = time.monotonic()
        self._trainer.terminate(self._directory)
        while self._trainer.is_running(self._directory):
            if time.monotonic() - asked_at > CANCEL_GRACE_SECONDS:
                self._trainer.kill(self._directory)
            time.sleep(0.1)
        self._read_events()
        checkpoint = self._job.checkpoints.order_by("-step").first()
        if checkpoint is not None and (self._directory / checkpoint.path).is_dir():
            packed = self._directory / "checkpoint.tar"
            pack_model(self._directory / checkpoint.path, packed)
            job_checkpoint_keep(job=self._job, artifact=_store(packed))
        self._note_log(force=True)
        log_keep(self._job)

    def _leave(self) -> None:
        """Another supervisor took over. On this machine it has the same trainer; on another it has its own."""
        worker = (
            Operation.objects.filter(pk=self._progress.operation.pk).values_list("worker", flat=True).first()
        )
        if worker and worker.rpartition(":")[0] != socket.gethostname():
            self._trainer.kill(self._directory)


def _store(packed: Path) -> Blob:
    return blob_store_file(path=packed, content_type="application/x-tar")
