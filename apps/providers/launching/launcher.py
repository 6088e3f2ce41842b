"""The program around a tool: `python -m apps.providers.adapters.<name> JOB_DIR COMMAND…`.

It does for a tool what our own trainer does for itself: one run a directory, events, a clean end when asked, a
sentence when it fails. The exit code is 0 after a result or a stop and 1 after a failure. A tool that was killed
takes the launcher with it, without a last event: whoever watches starts again from the newest checkpoint, as with a
trainer that was killed.

Why so: docs/adr/0015-other-trainers.md.
"""

import contextlib
import fcntl
import math
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from apps.providers.jobdirs.errors import StopRequested, TrainingFailed
from apps.providers.jobdirs.events import EventLog
from apps.providers.jobdirs.failures import explain
from apps.providers.jobdirs.files import LOCK_FILE, LOG_FILE, log_tail
from apps.providers.jobdirs.process import record_process
from apps.providers.jobdirs.stopping import StopSignal
from apps.providers.launching.command import ToolCommand
from apps.providers.launching.failures import TAIL_BYTES, explain_end
from apps.providers.launching.job import LaunchJob, load_job
from apps.providers.launching.processes import kill_tool, start_tool, stop_tool
from apps.providers.launching.tool import Tool

LOOK_SECONDS = 0.25
EXIT_IN_USE = 75

MakeTool = Callable[[LaunchJob, Path, ToolCommand], Tool]


class ToolKilled(Exception):
    """The tool was killed from outside, which no trainer does to itself: most often for want of memory."""


class Run:
    """One start of a tool. `execute` ends with a result event or an exception that says why none came."""

    def __init__(self, tool: Tool, job_dir: Path, events: EventLog, stop: StopSignal) -> None:
        self._tool = tool
        self._job_dir = job_dir
        self._events = events
        self._stop = stop
        self._training = False
        self._log_start = _size(job_dir / LOG_FILE)
        self.step = 0

    def execute(self) -> None:
        start = self._tool.begin()
        if start is not None:
            if start.facts:
                self._events.emit("environment", **start.facts)
            self._events.emit("phase", phase="preparing")
            if start.plan:
                self._events.emit("plan", **start.plan)
            self._work(start.words, start.environment)
        self._stop.immediate = False
        self._events.emit("phase", phase="saving")
        self._events.emit("result", **self._tool.result())
        self._events.emit("phase", phase="finished")

    def _work(self, words: Sequence[str], environment: Mapping[str, str]) -> None:
        self._stop.immediate = False
        try:
            child = start_tool(words, self._job_dir, environment)
        except OSError as error:
            raise TrainingFailed(
                "tool_missing", f"{self._tool.label} could not be started on the worker's machine: {error}."
            ) from error
        code = self._follow(child)
        if code == -signal.SIGKILL:
            raise ToolKilled
        if code != 0:
            raise explain_end(self._tool.label, code, self._own_log())

    def _follow(self, child: "subprocess.Popen[bytes]") -> int:
        while True:
            # Asked before reading: what an ended tool wrote is then all there to be read.
            code = child.poll()
            self._report()
            if code is not None:
                return code
            if self._stop.requested:
                stop_tool(self._job_dir)
                self._report()
                raise StopRequested
            time.sleep(LOOK_SECONDS)

    def _report(self) -> None:
        for type_, data in self._tool.look():
            if type_ in ("metrics", "evaluation"):
                self._begin_training()
            if type_ == "phase":
                if data["phase"] == "training":
                    self._begin_training()
                continue
            if type_ == "failed":
                raise TrainingFailed(data["code"], data["message"])
            self._events.emit(type_, **data)
            if type_ == "metrics":
                self._check(data)

    def _begin_training(self) -> None:
        if not self._training:
            self._training = True
            self._events.emit("phase", phase="training")

    def _check(self, data: Mapping[str, Any]) -> None:
        self.step = data["step"]
        loss = data.get("loss")
        if loss is not None and not math.isfinite(loss):
            raise TrainingFailed(
                "diverged",
                f"The training loss was no longer a number at step {self.step}: the run diverged. Lower the learning "
                "rate, add warm-up, or look for broken rows in the data.",
            )

    def _own_log(self) -> str:
        """What was printed since this run began."""
        written = _size(self._job_dir / LOG_FILE) - self._log_start
        return log_tail(self._job_dir, min(TAIL_BYTES, written)) if written > 0 else ""


def launch(job_dir: Path, words: Sequence[str], make_tool: MakeTool) -> int:
    """Run a tool on a job directory. `words` are the operator's command."""
    stop = StopSignal()
    stop.install()
    lock = os.open(job_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print(f"Another trainer is at work in {job_dir}.", file=sys.stderr)
        return EXIT_IN_USE
    os.set_inheritable(lock, False)
    record_process(job_dir, os.getpid())
    events = EventLog(job_dir)
    tool: Tool | None = None
    try:
        events.emit("phase", phase="loading")
        if kill_tool(job_dir):
            print("Ended what an earlier run had left running.", flush=True)
        job = load_job(job_dir)
        tool = make_tool(job, job_dir, _command(words))
        Run(tool, job_dir, events, stop).execute()
    except StopRequested:
        kill_tool(job_dir)
        step, path = (tool.left() if tool is not None else None) or (0, None)
        events.emit("stopped", step=step, path=path, reason=stop.reason)
    except ToolKilled:
        kill_tool(job_dir)
        print("The tool was killed.", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    except Exception as error:
        kill_tool(job_dir)
        if not isinstance(error, TrainingFailed):
            traceback.print_exc()
        failure = explain(error)
        events.emit("failed", code=failure.code, message=failure.message)
        return 1
    return 0


def _command(words: Sequence[str]) -> ToolCommand:
    command = ToolCommand(words[0], tuple(words[1:]))
    if command.found is None:
        raise TrainingFailed(
            "tool_missing",
            f"The command “{command.program}” that this installation names is not there, or can't be run, on the "
            "worker's machine. The operator finds out more with ftportal doctor.",
        )
    return command


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def main(make_tool: MakeTool) -> None:
    """The entry of an adapter's `__main__`; does not return."""
    if len(sys.argv) < 3:
        sys.exit("usage: python -m apps.providers.adapters.NAME JOB_DIR COMMAND…")
    code = launch(Path(sys.argv[1]).resolve(), sys.argv[2:], make_tool)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
