"""What every trainer on this machine shares: a job directory, a program of ours that works in it, and its events.

The program is started as a process of its own, writes events.jsonl and keeps to the directory's lock. Anything that
knows the directory can find it, read it and end it.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, ClassVar

from apps.providers.contracts import (
    Estimate,
    Hyperparameters,
    JobUnknownError,
    Objective,
    Problem,
    ProviderRejectedError,
    RowTokens,
    TrainingEvent,
    TrainingFailure,
    TrainingProgress,
    TrainingRequest,
    TrainingResult,
    TrainingState,
)
from apps.providers.jobdirs import process
from apps.providers.jobdirs.estimate import estimate_run
from apps.providers.jobdirs.files import FINAL_TYPES, log_tail, read_events

FINAL_STATES = {
    "result": TrainingState.SUCCEEDED,
    "stopped": TrainingState.STOPPED,
    "failed": TrainingState.FAILED,
}


class JobDirectoryTrainer:
    """A handle is a job directory's path; a cursor is a byte offset in its events file.

    `jobs_dir` is where `submit` makes job directories. The program's own interpreter is `python`; with
    `supervisor_pid` it ends when that process is gone.
    """

    name: ClassVar[str]
    program: ClassVar[str]
    """The module that is run with a job directory."""
    data_formats: ClassVar[Mapping[Objective, str]] = {}
    """Export formats of datasets that its files are in; chat lines for an objective that is not named."""

    def __init__(
        self,
        *,
        jobs_dir: Path | None = None,
        python: str = sys.executable,
        supervisor_pid: int | None = None,
    ) -> None:
        self._jobs_dir = jobs_dir
        self._python = python
        self._supervisor_pid = supervisor_pid

    def arguments(self) -> Sequence[str]:
        """What the program is told after the job directory."""
        return ()

    def validate(self, request: TrainingRequest) -> list[Problem]:
        """Everything that is wrong with the request and can be seen without loading the model."""
        settings = request.hyperparameters
        problems = []
        if settings.method == "lora" and settings.lora is None:
            problems.append(
                Problem(
                    code="no_lora", field="lora", message="LoRA needs its settings: rank, alpha and dropout."
                )
            )
        if settings.objective == "dpo" and settings.beta is None:
            problems.append(
                Problem(code="no_beta", field="beta", message="DPO needs a beta above 0 and up to 2.")
            )
        if settings.early_stopping_patience is not None and request.validation_file is None:
            problems.append(
                Problem(
                    code="no_validation",
                    field="early_stopping_patience",
                    message="Early stopping watches the validation loss, and there is no validation data.",
                )
            )
        if request.validation_file is None:
            problems.append(
                Problem(
                    code="no_validation",
                    field="validation_file",
                    severity="warning",
                    message="Without validation data overfitting can't be seen; the last checkpoint is kept.",
                )
            )
        for name, path in (("train_file", request.train_file), ("validation_file", request.validation_file)):
            if path is not None and not path.is_file():
                problems.append(Problem(code="no_file", field=name, message=f"There is no file {path}."))
        base = Path(request.base_model)
        if base.is_absolute() and not (base / "config.json").is_file():
            problems.append(
                Problem(
                    code="no_model", field="base_model", message=f"There is no model in the directory {base}."
                )
            )
        return problems

    def estimate(
        self, request: TrainingRequest, rows: Sequence[RowTokens], *, tokens_per_second: float | None = None
    ) -> Estimate:
        return estimate_run(rows, request.hyperparameters, tokens_per_second=tokens_per_second)

    def submit(self, request: TrainingRequest) -> str:
        """Write the job directory and start the trainer. A job that runs or has ended is not started again,
        unless it is asked to resume and did not succeed."""
        if self._jobs_dir is None:
            raise ProviderRejectedError("This provider has no directory for jobs.", code="no_jobs_dir")
        errors = [problem for problem in self.validate(request) if problem.severity == "error"]
        if errors:
            raise ProviderRejectedError(errors[0].message, code=errors[0].code)
        job_dir = self._jobs_dir / request.job_id
        job_dir.mkdir(parents=True, exist_ok=True)
        last = self._last_final(job_dir)
        if process.is_running(job_dir) or (
            last is not None and (not request.resume or last.type == "result")
        ):
            return str(job_dir)
        write_job(job_dir, request)
        self.start(job_dir)
        return str(job_dir)

    def poll(self, handle: str, *, cursor: str = "") -> TrainingProgress:
        job_dir = self._job_dir(handle)
        # Asked before reading: what an ended trainer wrote is then all there to be read.
        running = process.is_running(job_dir)
        events, offset = read_events(job_dir, int(cursor or 0))
        final = None if running else self._last_final(job_dir)
        if running:
            state, failure = TrainingState.RUNNING, None
        elif final is None:
            state = TrainingState.FAILED
            failure = TrainingFailure(code="crashed", message=_crash_message(job_dir))
        else:
            state, failure = FINAL_STATES[final.type], _failure(final)
        return TrainingProgress(state=state, events=tuple(events), cursor=str(offset), failure=failure)

    def cancel(self, handle: str) -> None:
        process.terminate(self._job_dir(handle))

    def result(self, handle: str) -> TrainingResult:
        job_dir = self._job_dir(handle)
        final = self._last_final(job_dir)
        if final is None or final.type != "result":
            raise ProviderRejectedError("The job has no result.", code="no_result")
        data = final.data
        return TrainingResult(
            kind=data["kind"],
            path=job_dir / data["path"],
            best_step=data["best_step"],
            validation_loss=data["validation_loss"],
            steps=data["steps"],
        )

    # --- The trainer process, for callers that write job directories themselves -----------------------------

    def start(self, job_dir: Path) -> int:
        """Start the trainer on a prepared job directory; its process id."""
        return process.start(
            job_dir,
            module=self.program,
            arguments=self.arguments(),
            python=self._python,
            supervisor_pid=self._supervisor_pid,
        )

    def is_running(self, job_dir: Path) -> bool:
        return process.is_running(job_dir)

    def terminate(self, job_dir: Path) -> bool:
        """Ask for a checkpoint and a clean end; False when nothing runs."""
        return process.terminate(job_dir)

    def kill(self, job_dir: Path) -> bool:
        """End the whole process group at once; False when nothing runs."""
        return process.kill(job_dir)

    def read_events(self, job_dir: Path, offset: int = 0) -> tuple[list[TrainingEvent], int]:
        return read_events(job_dir, offset)

    def log_tail(self, job_dir: Path, limit: int = 8192) -> str:
        return log_tail(job_dir, limit)

    def _job_dir(self, handle: str) -> Path:
        job_dir = Path(handle)
        if not job_dir.is_dir():
            raise JobUnknownError(f"There is no job directory {job_dir}.")
        return job_dir

    def _last_final(self, job_dir: Path) -> TrainingEvent | None:
        """The event that ended the newest run, None when a run is unfinished or nothing ran."""
        last: TrainingEvent | None = None
        offset = -1
        position = 0
        while position != offset:
            offset = position
            events, position = read_events(job_dir, offset)
            for event in events:
                if event.type in FINAL_TYPES:
                    last = event
                elif event.type == "phase" and event.data["phase"] == "loading":
                    last = None
        return last


def write_job(job_dir: Path, request: TrainingRequest) -> None:
    """Write job.json and put the data files beside it."""
    settings = request.hyperparameters
    job: dict[str, Any] = {
        "job_id": request.job_id,
        "base_model": request.base_model,
        "base_revision": request.base_revision,
        "train_file": _place(request.train_file, job_dir, "train.jsonl"),
        "validation_file": None,
        "resume": request.resume,
    }
    if request.validation_file is not None:
        job["validation_file"] = _place(request.validation_file, job_dir, "validation.jsonl")
    for item in fields(Hyperparameters):
        job[item.name] = getattr(settings, item.name)
    job["lora"] = asdict(settings.lora) if settings.lora is not None else None
    temporary = job_dir / "job.json.new"
    temporary.write_text(json.dumps(job, indent=1))
    temporary.replace(job_dir / "job.json")


def _place(source: Path, job_dir: Path, name: str) -> str:
    target = job_dir / name
    if source.resolve() != target.resolve():
        target.unlink(missing_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copyfile(source, target)
    return name


def _failure(event: TrainingEvent) -> TrainingFailure | None:
    if event.type != "failed":
        return None
    return TrainingFailure(code=event.data["code"], message=event.data["message"])


def _crash_message(job_dir: Path) -> str:
    tail = log_tail(job_dir, 2000).strip()
    last_line = tail.splitlines()[-1] if tail else ""
    code = process.exit_code(job_dir)
    if code == -signal.SIGKILL:
        return "The trainer was killed. The usual reason is that the machine ran out of memory."
    return f"The trainer ended without saying why. Its last words were: {last_line or 'none'}"
