"""Running and breaking real trainers in tests."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from django.db import connection

from apps.jobs.directories import job_directory
from apps.jobs.models import TrainingJob
from apps.providers.jobdirs.process import find_process

WAIT_SECONDS = 90.0


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"Waited {WAIT_SECONDS:.0f} s for {what}"
        time.sleep(0.05)


def trainer_pid(job: TrainingJob) -> int | None:
    process = find_process(job_directory(job.pk))
    return process.pid if process else None


def running_trainer(job: TrainingJob) -> int:
    pid = trainer_pid(job)
    assert pid is not None, "no trainer is running"
    return pid


def supervise(operation_id: int) -> "subprocess.Popen[bytes]":
    """The work of a worker, in a process that can be killed. It uses this test's database."""
    code = (
        "import django, sys; django.setup();"
        "from django.db import connection; connection.settings_dict['NAME'] = sys.argv[2];"
        "from apps.operations.services import operation_run; operation_run(operation_id=int(sys.argv[1]))"
    )
    name = str(connection.settings_dict["NAME"])
    return subprocess.Popen(
        [sys.executable, "-c", code, str(operation_id), name],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def kill_hard(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
