"""Any command at work as a trainer: what it writes to its events file, checked line by line."""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from apps.providers.adapters.custom.contract import (
    Checkpoint,
    Evaluation,
    Line,
    Message,
    Metrics,
    Plan,
    Result,
)
from apps.providers.jobdirs.files import RESULT_DIR
from apps.providers.launching.command import ToolCommand
from apps.providers.launching.job import JOB_FILE, LaunchJob
from apps.providers.launching.results import publish_result
from apps.providers.launching.tail import JsonLinesTail
from apps.providers.launching.tool import Start, Told

EVENTS = "trainer_events.jsonl"
REFUSED_AT_MOST = 20


class CustomTool:
    label = "The custom trainer"

    def __init__(self, job: LaunchJob, job_dir: Path, command: ToolCommand) -> None:
        self._job = job
        self._job_dir = job_dir
        self._command = command
        self._tail = JsonLinesTail(job_dir / EVENTS)
        self._step = 0
        self._checkpoint: tuple[int, str] | None = None
        self._result = Result()
        self._refused = 0

    def begin(self) -> Start:
        (self._job_dir / EVENTS).unlink(missing_ok=True)
        shutil.rmtree(self._job_dir / RESULT_DIR, ignore_errors=True)
        return Start(
            words=(self._command.found or self._command.program, *self._command.arguments),
            environment={
                "FTPORTAL_JOB_FILE": str(self._job_dir / JOB_FILE),
                "FTPORTAL_EVENTS": str(self._job_dir / EVENTS),
                "FTPORTAL_RESULT_DIR": str(self._job_dir / RESULT_DIR),
            },
            facts={"trainer": self.label, "command": self._command.program, "seed": self._job.settings.seed},
        )

    def look(self) -> Iterator[Told]:
        for line in self._tail.read():
            try:
                event = msgspec.convert(line, Line)
            except msgspec.ValidationError as error:
                self._refuse(line, str(error))
                continue
            told = self._told(event)
            if told is not None:
                yield told

    def _told(self, event: Line) -> Told | None:
        if isinstance(event, Message):
            print(f"message {event.text}", flush=True)
            return None
        if isinstance(event, Result):
            self._result = event
            return None
        if isinstance(event, Checkpoint):
            problem = self._checkpoint_problem(event.path)
            if problem:
                self._refuse(event.path, problem)
                return None
            self._checkpoint = (event.step, event.path)
        if isinstance(event, Metrics | Evaluation):
            self._step = max(self._step, event.step)
        data = msgspec.structs.asdict(event)
        if isinstance(event, Plan):
            data = {"examples": self._job.rows, "validation_examples": self._job.validation_rows} | {
                name: value for name, value in data.items() if value is not None
            }
        return Told(str(event.__struct_config__.tag), data)

    def _checkpoint_problem(self, path: str) -> str:
        directory = (self._job_dir / path).resolve()
        if not directory.is_relative_to(self._job_dir.resolve()) or directory == self._job_dir.resolve():
            return "a checkpoint must be a directory inside the job's directory"
        if not any(directory.glob("*.safetensors")):
            return "a checkpoint must hold safetensors weights"
        return ""

    def _refuse(self, line: object, reason: str) -> None:
        """Told in the log, so that who writes a trainer sees it; a line without use ends no training."""
        self._refused += 1
        if self._refused <= REFUSED_AT_MOST:
            print(f"event refused: {reason}: {str(line)[:200]}", flush=True)

    def left(self) -> tuple[int, str] | None:
        return self._checkpoint

    def result(self) -> Mapping[str, Any]:
        told, method = self._result, self._job.settings.method
        path = publish_result(self._job_dir / RESULT_DIR, self._job_dir, method=method, label=self.label)
        return {
            "path": path,
            "kind": "adapter" if method == "lora" else "full",
            "best_step": told.best_step,
            "validation_loss": told.validation_loss,
            "steps": self._step if told.steps is None else told.steps,
            "stopped_early": told.stopped_early,
        }
