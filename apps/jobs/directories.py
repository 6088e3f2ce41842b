"""Job directories on this machine: where the trainer of a job works."""

from pathlib import Path
from typing import Protocol, cast

from django.conf import settings

from apps.providers.contracts import TrainingEvent, TrainingProgress, TrainingRequest, TrainingResult
from apps.providers.jobdirs.packing import pack_directory
from apps.providers.registry import training_provider


class SupervisedTrainer(Protocol):
    """What supervising a trainer on this machine takes, beyond what every provider offers."""

    def submit(self, request: TrainingRequest) -> str: ...
    def poll(self, handle: str, *, cursor: str = "") -> TrainingProgress: ...
    def result(self, handle: str) -> TrainingResult: ...
    def is_running(self, job_dir: Path) -> bool: ...
    def terminate(self, job_dir: Path) -> bool: ...
    def kill(self, job_dir: Path) -> bool: ...
    def read_events(self, job_dir: Path, offset: int = 0) -> tuple[list[TrainingEvent], int]: ...
    def log_tail(self, job_dir: Path, limit: int = 8192) -> str: ...


def jobs_directory() -> Path:
    return Path(settings.FTPORTAL_HOME) / "jobs"


def job_directory(job_id: int) -> Path:
    return jobs_directory() / str(job_id)


def local_trainer(*, supervisor_pid: int | None = None) -> SupervisedTrainer:
    """The trainer program of this machine. With `supervisor_pid` a run saves and ends when that process is gone."""
    provider = training_provider("local", jobs_dir=jobs_directory(), supervisor_pid=supervisor_pid)
    return cast("SupervisedTrainer", provider)


def pack_model(directory: Path, target: Path) -> None:
    """Write the model files of a directory to `target` as one deterministic tar."""
    with target.open("wb") as stream:
        pack_directory(directory, stream)
