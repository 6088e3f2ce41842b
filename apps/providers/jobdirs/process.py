"""Starting the trainer, finding it again from another process, and ending it.

The trainer leads a session of its own, so its process group holds everything it starts. Who it is stands in
process.json as process id and start time: the pair can't be mistaken for a later process with the same id.

Why so: docs/adr/0003-programs-without-django.md.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from apps.providers.contracts import ProviderRejectedError, ProviderUnavailableError
from apps.providers.jobdirs.files import EXIT_FILE, LOG_FILE, PROCESS_FILE

SOURCE_ROOT = Path(__file__).resolve().parents[3]
# What the trainer runs under unless the environment says otherwise.
DEFAULTS = {
    "PYTHONUNBUFFERED": "1",
    "TOKENIZERS_PARALLELISM": "true",
    # A thread that waits spins for a moment only: without end it takes the processor from the other programs of a small
    # machine, and not at all makes every hand-over a wake-up, which costs a third of the speed of a small model.
    "GOMP_SPINCOUNT": "20000",
}


def start(
    job_dir: Path,
    *,
    module: str,
    arguments: Sequence[str] = (),
    python: str = sys.executable,
    supervisor_pid: int | None = None,
    environment: Mapping[str, str] | None = None,
) -> int:
    """Start the trainer, the program `module` of ours, on a job directory and return its process id.

    It is called with the directory and `arguments`. With `supervisor_pid` it saves and ends when that process
    disappears. `environment` is added to this process's own. ProviderRejectedError with code "already_running" if
    a trainer works there already.
    """
    if is_running(job_dir):
        raise ProviderRejectedError("A trainer is already running for this job.", code="already_running")
    variables = {**DEFAULTS, **os.environ, **(environment or {})}
    variables["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SOURCE_ROOT), os.environ.get("PYTHONPATH")]))
    variables.pop("FTPORTAL_SUPERVISOR_PID", None)
    if supervisor_pid is not None:
        variables["FTPORTAL_SUPERVISOR_PID"] = str(supervisor_pid)
    (job_dir / EXIT_FILE).unlink(missing_ok=True)
    with (job_dir / LOG_FILE).open("ab") as log:
        try:
            child = subprocess.Popen(
                [python, "-m", module, str(job_dir.resolve()), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=variables,
                cwd=job_dir,
                start_new_session=True,
            )
        except OSError as error:
            raise ProviderUnavailableError(
                f"The trainer could not be started: {error}.", code="not_started"
            ) from error
    record_process(job_dir, child.pid)
    # The child is followed by process id, also from other processes; tell Popen not to complain about it.
    child.returncode = 0
    return child.pid


def record_process(job_dir: Path, pid: int) -> None:
    """Write process.json in one piece. Both the starter and the trainer write it: the same content."""
    try:
        created = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return
    temporary = job_dir / f"{PROCESS_FILE}.{os.getpid()}"
    temporary.write_text(json.dumps({"pid": pid, "create_time": created}))
    temporary.replace(job_dir / PROCESS_FILE)


def find_process(job_dir: Path) -> psutil.Process | None:
    """The live trainer of a job directory, whoever started it; None when there is none."""
    try:
        recorded = json.loads((job_dir / PROCESS_FILE).read_text())
        process = psutil.Process(recorded["pid"])
        if abs(process.create_time() - recorded["create_time"]) > 1.0:
            return None
        if process.status() == psutil.STATUS_ZOMBIE and _has_ended(job_dir, process.pid):
            return None
    except (FileNotFoundError, ValueError, KeyError, psutil.NoSuchProcess):
        return None
    return process


def _has_ended(job_dir: Path, pid: int) -> bool:
    """An ended child of this process stays listed until it is waited for; keep its exit status. It is not
    over while some of its threads still wind down."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return True
    if ended == pid:
        (job_dir / EXIT_FILE).write_text(str(os.waitstatus_to_exitcode(status)))
    return ended == pid


def exit_code(job_dir: Path) -> int | None:
    """Exit code of the ended trainer, negative for a signal; None when no one who started it saw the end."""
    try:
        return int((job_dir / EXIT_FILE).read_text())
    except (FileNotFoundError, ValueError):
        return None


def is_running(job_dir: Path) -> bool:
    return find_process(job_dir) is not None


def terminate(job_dir: Path) -> bool:
    """Ask the trainer to save a checkpoint and end; False when none is running."""
    process = find_process(job_dir)
    if process is None:
        return False
    # Only the leader: it decides how its own children end.
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGTERM)
    return True


def kill(job_dir: Path) -> bool:
    """End the trainer's whole process group at once, without a checkpoint; False when none is running."""
    process = find_process(job_dir)
    if process is None:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return True
