"""Trainers and directories of jobs that have ended: nothing of them may go on."""

import logging
import shutil
import time
from pathlib import Path

from apps.artifacts.storage import blob_store_file
from apps.jobs.directories import SupervisedTrainer, job_directory, jobs_directory, machine_trainer
from apps.jobs.models import TrainingJob
from apps.jobs.services import job_log_attach

logger = logging.getLogger(__name__)

KILL_WAIT_SECONDS = 5.0


def log_keep(job: TrainingJob) -> None:
    """Store the whole log of a job, if it wrote one."""
    path = job_directory(job.pk) / "log.txt"
    if path.is_file():
        job_log_attach(job=job, log=blob_store_file(path=path, content_type="text/plain"))


def orphans_stop() -> int:
    """Stop the trainers on this machine whose job has ended, and remove the directories of such jobs.

    Returns how many trainers were stopped. Run by every supervisor at its start, and every minute by an idle worker.
    """
    root = jobs_directory()
    if not root.is_dir():
        return 0
    ids = [int(path.name) for path in root.iterdir() if path.name.isdecimal() and path.is_dir()]
    active = set(
        TrainingJob.objects.filter(pk__in=ids, state__in=TrainingJob.OPEN).values_list("pk", flat=True)
    )
    return sum(directory_clear(job_id) for job_id in ids if job_id not in active)


def directory_clear(job_id: int) -> bool:
    """Stop what works in the directory of an ended job, keep its log, and remove it. True if something ran."""
    directory = job_directory(job_id)
    if not directory.is_dir():
        return False
    provider = TrainingJob.objects.filter(pk=job_id).values_list("provider", flat=True).first()
    stopped = _kill(machine_trainer(provider) if provider else machine_trainer(), directory)
    if stopped:
        logger.warning("job.orphan_stopped", extra={"job": job_id})
    job = TrainingJob.objects.filter(pk=job_id, log=None).first()
    if job is not None:
        log_keep(job)
    shutil.rmtree(directory, ignore_errors=True)
    return stopped


def _kill(trainer: SupervisedTrainer, directory: Path) -> bool:
    stopped = trainer.kill(directory)
    deadline = time.monotonic() + KILL_WAIT_SECONDS
    while stopped and trainer.is_running(directory) and time.monotonic() < deadline:
        time.sleep(0.05)
    return stopped
