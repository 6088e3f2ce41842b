"""The tool's processes: started in the launcher's own process group, found again, and ended."""

import contextlib
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from apps.providers.launching.command import tool_environment

MARK = "FTPORTAL_JOB_DIR"
"""In the environment of every process of a tool: tells them from others even when who started them is gone."""
STOP_SECONDS = 10.0


def start_tool(
    words: Sequence[str], job_dir: Path, environment: Mapping[str, str]
) -> "subprocess.Popen[bytes]":
    """Run a command in the job directory. What it prints goes where this process prints: the job's log.

    It stays in this process's group, so that whoever ends the group ends it, too.
    """
    return subprocess.Popen(
        list(words),
        cwd=job_dir,
        stdin=subprocess.DEVNULL,
        env=tool_environment(**environment, **{MARK: str(job_dir)}),
    )


def tool_processes(job_dir: Path) -> list[psutil.Process]:
    """Every live process of this user that was started by a tool for this job directory."""
    wanted, found = str(job_dir), []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == wanted and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def stop_tool(job_dir: Path, *, patience: float = STOP_SECONDS) -> int:
    """End the tool's processes: asked first, after `patience` seconds killed. How many there were."""
    found = tool_processes(job_dir)
    for process in found:
        _signal(process, kill=False)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        _, left = psutil.wait_procs(found, timeout=0.2)
        if not left:
            break
    for process in tool_processes(job_dir):
        _signal(process, kill=True)
    return len(found)


def kill_tool(job_dir: Path) -> int:
    """End the tool's processes at once. How many there were."""
    found = tool_processes(job_dir)
    for process in found:
        _signal(process, kill=True)
    psutil.wait_procs(found, timeout=5)
    return len(found)


def _signal(process: psutil.Process, *, kill: bool) -> None:
    with contextlib.suppress(psutil.Error):  # it may have ended meanwhile
        process.kill() if kill else process.terminate()
