"""Runs ftportal as a user would, and looks at the process table to see what is left of it."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import psutil

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534

T = TypeVar("T")


def variables(home: Path, **more: str) -> dict[str, str]:
    """The environment of a process whose ftportal lives in `home`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FTPORTAL_", "PYTEST_")) and name not in {"DATABASE_URL", "REDIS_URL"}
    }
    return kept | {"FTPORTAL_HOME": str(home), "PYTHONPATH": str(ROOT)} | more


def ftportal(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "ftportal.cli", *arguments]


def with_services(*command: str) -> list[str]:
    return [sys.executable, "-m", "ftportal.embedded", "--no-fsync", "--", *command]


def start(command: list[str], env: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command, env=env, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def run(command: list[str], env: Mapping[str, str], limit: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=env, cwd="/", capture_output=True, text=True, timeout=limit, check=False
    )


def as_ordinary_user(command: list[str]) -> list[str]:
    """The command as nobody, when this is root. It may still read everything: Python may lie in root's home."""
    if os.geteuid() != 0:
        return command
    return [
        "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
        "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search",
        "--bounding-set=-all,+dac_read_search", *command,
    ]  # fmt: skip


def processes_of(home: Path) -> list[psutil.Process]:
    """Every live process that names this home in its command line or its environment."""
    found = []
    for process in psutil.process_iter():
        try:
            named = any(str(home) in word for word in process.cmdline())
            named = named or process.environ().get("FTPORTAL_HOME") == str(home)
            if named and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_for(condition: Callable[[], T | None], limit: float = 60, what: str = "the condition") -> T:
    deadline = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what} did not come in {limit} s"
        time.sleep(0.05)  # between two looks


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
