"""What the trainer of a job gets: the data files in its directory, and the request that describes the run."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

from django.conf import settings

from apps.core.bundled_model import model_location
from apps.core.errors import PortalError
from apps.datasets.models import Split
from apps.datasets.selectors import version_rows_jsonl
from apps.jobs.models import Objective, TrainingJob
from apps.jobs.replay import choose_rows
from apps.jobs.selectors import pair_counts
from apps.providers.contracts import Hyperparameters, LoraSettings, TrainingRequest

TRAIN_FILE = "train.jsonl"
VALIDATION_FILE = "validation.jsonl"
CHECK_EVERY_ROWS = 2000


class DataChangedError(PortalError):
    """What would be trained on is not what the job's frozen configuration says."""

    code = "data_changed"


def replay_file() -> Path:
    return Path(settings.FTPORTAL_DEMO) / "general_skills" / "replay.jsonl"


def data_files_write(*, job: TrainingJob, directory: Path, check: Callable[[], None]) -> None:
    """Write the version's rows, and the general rows after them. `check` is called often and may raise."""
    directory.mkdir(parents=True, exist_ok=True)
    replay = job.configuration["replay"]
    general: Iterable[bytes] = ()
    if replay is not None:
        chosen = choose_rows(replay_file(), count=replay["rows"], seed=job.hyperparameters["seed"])
        if chosen.sha256 != replay["sha256"]:
            raise DataChangedError(
                "The general data that this job mixes in has changed since the job was made. Start a new job."
            )
        general = chosen.rows
    _write(directory / TRAIN_FILE, (version_rows_jsonl(job.version, Split.TRAIN), general), check)
    if _validates(job):
        _write(directory / VALIDATION_FILE, (version_rows_jsonl(job.version, Split.VALIDATION),), check)


def _validates(job: TrainingJob) -> bool:
    if job.objective == Objective.DPO:
        return pair_counts(job.version).validation > 0
    return job.version.validation_count > 0


def _write(path: Path, sources: Iterable[Iterable[bytes]], check: Callable[[], None]) -> None:
    with path.open("wb") as file:
        written = 0
        for source in sources:
            for line in source:
                file.write(line.rstrip(b"\r\n") + b"\n")
                written += 1
                if written % CHECK_EVERY_ROWS == 0:
                    check()


def training_request(*, job: TrainingJob, directory: Path, resume: bool) -> TrainingRequest:
    validation = directory / VALIDATION_FILE
    base = job.configuration["base_model"]
    return TrainingRequest(
        job_id=str(job.pk),
        base_model=model_location(base["reference"]),
        base_revision=base["revision"] or None,
        train_file=directory / TRAIN_FILE,
        validation_file=validation if validation.is_file() else None,
        hyperparameters=_hyperparameters(job),
        resume=resume,
    )


def _hyperparameters(job: TrainingJob) -> Hyperparameters:
    values: dict[str, Any] = dict(job.hyperparameters)
    values.pop("replay_rows")
    rank, alpha, dropout = (values.pop(name) for name in ("lora_rank", "lora_alpha", "lora_dropout"))
    lora = LoraSettings(rank=rank, alpha=alpha, dropout=dropout) if job.method == "lora" else None
    return Hyperparameters(
        method=cast("Any", job.method), objective=cast("Any", job.objective), lora=lora, **values
    )
