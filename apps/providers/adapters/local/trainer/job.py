"""The job file: what one training run is asked to do. Written by whoever starts the trainer, checked here."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from apps.providers.jobdirs.errors import TrainingFailed

JOB_FILE = "job.json"

Positive = Annotated[int, Meta(ge=1)]
PositiveFloat = Annotated[float, Meta(gt=0)]
NotNegative = Annotated[float, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, lt=1)]
FileName = Annotated[str, Meta(min_length=1, pattern=r"^[^/\\]+$")]


class Lora(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rank: Positive
    alpha: Positive
    dropout: Share
    target_modules: Literal["all-linear"] | list[str]


class Job(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One training run. File names are inside the job directory; lengths are tokens."""

    job_id: Annotated[str, Meta(min_length=1)]
    base_model: Annotated[str, Meta(min_length=1)]
    base_revision: str | None
    method: Literal["lora", "full"]
    train_file: FileName
    validation_file: FileName | None
    epochs: PositiveFloat
    max_steps: Positive | None
    batch_size: Positive
    gradient_accumulation: Positive
    learning_rate: PositiveFloat
    scheduler: Literal["linear", "cosine", "constant"]
    warmup_ratio: Share
    weight_decay: NotNegative
    max_grad_norm: NotNegative
    max_length: Annotated[int, Meta(ge=8)]
    too_long: Literal["drop", "truncate", "refuse"]
    lora: Lora | None
    evaluation_steps: Positive | None
    logging_steps: Positive
    save_total_limit: Positive
    early_stopping_patience: Positive | None
    seed: Annotated[int, Meta(ge=0, lt=2**32)]
    resume: bool
    objective: Literal["supervised", "dpo"] = "supervised"
    beta: Annotated[float, Meta(gt=0, le=2)] | None = None


def load_job(job_dir: Path) -> Job:
    """Read and check JOB_DIR/job.json; TrainingFailed with code "bad_job" says what is wrong with it."""
    path = job_dir / JOB_FILE
    try:
        job = msgspec.json.decode(path.read_bytes(), type=Job)
    except FileNotFoundError:
        raise TrainingFailed("bad_job", f"There is no job file {path}.") from None
    except (msgspec.DecodeError, OSError) as error:
        raise TrainingFailed("bad_job", f"The job file {path} is not valid: {error}.") from error
    if job.method == "lora" and job.lora is None:
        raise TrainingFailed("bad_job", "The job asks for LoRA but carries no LoRA settings.")
    if job.objective == "dpo" and job.beta is None:
        raise TrainingFailed("bad_job", "The job asks for DPO but carries no beta.")
    if job.lora is not None and not job.lora.target_modules:
        raise TrainingFailed("bad_job", "The LoRA settings name no module to adapt.")
    if job.early_stopping_patience is not None and job.validation_file is None:
        raise TrainingFailed("bad_job", "Early stopping needs a validation file, and the job has none.")
    for name in (job.train_file, job.validation_file):
        if name is not None and not (job_dir / name).is_file():
            raise TrainingFailed("bad_job", f"The data file {name} is not in the job directory.")
    return job
