"""The job file as a launcher reads it."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import msgspec

from apps.providers.contracts import Hyperparameters
from apps.providers.jobdirs.errors import TrainingFailed

JOB_FILE = "job.json"
CHUNK = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class LaunchJob:
    base_model: str
    base_revision: str | None
    settings: Hyperparameters
    rows: int
    validation_rows: int
    resume: bool


def load_job(job_dir: Path) -> LaunchJob:
    """Read JOB_DIR/job.json and count its rows; TrainingFailed with code "bad_job" or "dataset_empty"."""
    path = job_dir / JOB_FILE
    try:
        job: dict[str, Any] = json.loads(path.read_bytes())
        named = {item.name: job[item.name] for item in fields(Hyperparameters) if item.name in job}
        settings = msgspec.convert(named, Hyperparameters)
        rows = _count(job_dir / job["train_file"])
        validation = _count(job_dir / job["validation_file"]) if job["validation_file"] else 0
        if not rows:
            raise TrainingFailed(
                "dataset_empty", "No training row is left: the tool's data format can carry none of them."
            )
        return LaunchJob(
            base_model=str(job["base_model"]),
            base_revision=job["base_revision"],
            settings=settings,
            rows=rows,
            validation_rows=validation,
            resume=bool(job["resume"]),
        )
    except (OSError, ValueError, KeyError, msgspec.ValidationError) as error:
        raise TrainingFailed("bad_job", f"The job file {path} is not valid: {error}.") from error


def _count(path: Path) -> int:
    with path.open("rb") as stream:
        return sum(block.count(b"\n") for block in iter(lambda: stream.read(CHUNK), b""))
