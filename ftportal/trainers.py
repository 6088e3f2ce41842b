"""Trainers run in process groups of their own, so that they outlive a worker; `ftportal up` stops them by file."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil

from apps.providers.jobdirs.files import PROCESS_FILE
from ftportal.embedded.claim import read_identity

CHECKPOINT_TIME = 20.0  # seconds that a trainer gets to write a checkpoint after SIGTERM


def running_trainers(jobs: Path) -> list[psutil.Process]:
    """The live processes named in the process files of the job directories."""
    found = (read_identity(path) for path in jobs.glob(f"*/{PROCESS_FILE}"))
    return [process for process in found if process is not None]


def stop_trainers(jobs: Path) -> None:
    """Ask each to write a checkpoint and stop; kill the group of one that does not."""
    trainers = running_trainers(jobs)
    for trainer in trainers:
        with suppress(psutil.NoSuchProcess):
            trainer.terminate()
    deadline = time.monotonic() + CHECKPOINT_TIME
    for trainer in trainers:
        with suppress(psutil.TimeoutExpired):
            trainer.wait(max(0.0, deadline - time.monotonic()))
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(trainer.pid, signal.SIGKILL)
