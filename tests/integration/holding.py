"""Stopping a process in its tracks, so that a fault comes in the middle of its work however quick the machine is."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.ftportal.running import wait_for
from tests.integration.main_job import PATIENCE
from tests.integration.stack import Stack

STEP_TIME = 0.005  # seconds between two looks: shorter than a step of the tiny model


def hold_trainer(stack: Stack, job: int, *, step: int, limit: float = 2 * PATIENCE) -> psutil.Process:
    """The job's trainer, stopped (SIGSTOP) once it has reported this step; `release` lets it go on."""
    events = stack.home / "jobs" / str(job) / "events.jsonl"
    deadline = time.monotonic() + limit
    while not _reported(events, step):
        assert time.monotonic() < deadline, f"the trainer of job {job} did not reach step {step} in {limit} s"
        time.sleep(STEP_TIME)
    (trainer,) = stack.trainers()
    trainer.suspend()
    return trainer


def _reported(events: Path, step: int) -> bool:
    """Whether the newest whole lines tell of this step or a later one."""
    try:
        with events.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 2000))
            lines = file.read().split(b"\n")[:-1]
    except FileNotFoundError:
        return False
    for line in reversed(lines):
        with suppress(ValueError):
            event = json.loads(line)
            if event["type"] == "metrics":
                return bool(event["step"] >= step)
    return False


@contextmanager
def held(process: psutil.Process) -> Iterator[None]:
    """For the length of a block."""
    process.suspend()
    try:
        yield
    finally:
        release(process)


def release(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.resume()


def has_pending(process: psutil.Process, number: signal.Signals) -> bool:
    """Whether a stopped process has been sent this signal, which it will see when it goes on."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    masks = [
        int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigPnd", "ShdPnd"))
    ]
    return any(mask & (1 << (number - 1)) for mask in masks)


def wait_for_signal(process: psutil.Process, number: signal.Signals, limit: float) -> None:
    wait_for(lambda: has_pending(process, number), limit, f"{number.name} to reach process {process.pid}")
