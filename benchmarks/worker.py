"""A default worker as `ftportal up` runs it, for benchmarks of whole operations."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from django.conf import settings

from apps.operations.models import Operation, OperationState
from apps.operations.presence import queues_without_worker
from ftportal.environment import load
from ftportal.programs import program

START_SECONDS = 60


class Worker:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._main = psutil.Process(process.pid)
        self.peaks: dict[int, int] = {}
        """Process id -> the most memory that it had in RAM, in bytes."""

    def finish(self, limit: float = 1800) -> Operation:
        """Wait for all operations to end; the last one."""
        started = time.monotonic()
        waiting = Operation.objects.filter(state__in=(OperationState.QUEUED, OperationState.RUNNING))
        while waiting.exists():
            if time.monotonic() - started > limit:
                raise SystemExit(f"not done after {limit} s: {waiting.first()}")
            # Again and again: a process that has grown large is replaced after its work.
            self._note_peaks()
            time.sleep(0.05)
        operation = Operation.objects.latest("pk")
        if operation.state != OperationState.SUCCEEDED:
            raise SystemExit(f"{operation.kind} {operation.state}: {operation.error}")
        return operation

    def _note_peaks(self) -> None:
        for process in [self._main, *self._main.children(recursive=True)]:
            with contextlib.suppress(OSError, StopIteration):  # it has just ended
                status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
                line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
                self.peaks[process.pid] = 1024 * int(line.split()[1])


@contextmanager
def worker_running() -> Iterator[Worker]:
    default = program("default", load())
    environment = os.environ | default.variables | {"FTPORTAL_REDIS_URL": settings.FTPORTAL_REDIS_URL}
    process = subprocess.Popen(default.command, env=environment, stderr=subprocess.DEVNULL)
    try:
        started = time.monotonic()
        while "default" in (queues_without_worker() or ()):
            if process.poll() is not None or time.monotonic() - started > START_SECONDS:
                raise SystemExit("the worker did not come up")
            time.sleep(0.1)
        yield Worker(process)
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            print("# the worker did not stop in time", file=sys.stderr)
            process.kill()
            process.wait()
