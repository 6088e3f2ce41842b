"""Things as the protocol shows them."""

from datetime import datetime
from typing import Any

from apps.gateway.hyperparameters import shown_values
from apps.gateway.models import (
    CheckpointPermission,
    File,
    FineTuningJob,
    Intake,
    IntakeState,
    JobState,
    Purpose,
    ServedModel,
    StoredCompletion,
    WebhookEndpoint,
)
from apps.gateway.served import api_name
from apps.jobs.models import JobState as TrainingState
from apps.registry.models import BaseModel


def seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def file_shape(file: File) -> dict[str, Any]:
    """`intakes` of a file to train on are those that `files_of` has fetched with it."""
    status, details = "processed", None
    intake = _own_intake(file)
    if intake is not None and intake.state != IntakeState.READY:
        status = "error" if intake.state == IntakeState.FAILED else "uploaded"
        details = intake.error or None
    return {
        "id": file.public_id,
        "object": "file",
        "bytes": file.blob.size,
        "created_at": seconds(file.created_at),
        "expires_at": seconds(file.expires_at),
        "filename": file.name,
        "purpose": file.purpose,
        "status": status,
        "status_details": details,
    }


def _own_intake(file: File) -> Intake | None:
    if file.purpose != Purpose.FINE_TUNE:
        return None
    alone = [intake for intake in file.intakes.all() if intake.validation_file_id is None]
    return min(alone, key=lambda intake: intake.pk) if alone else None


def job_status(job: FineTuningJob) -> str:
    """In the protocol's words. A job whose end was asked for counts as ended."""
    training = job.training_job
    if job.cancelled_at is not None:
        return "cancelled"
    if job.state == JobState.VALIDATING:
        return "validating_files"
    if training is None:
        return "failed"
    if job.state == JobState.STARTED:
        waiting = (TrainingState.QUEUED, TrainingState.PAUSED)
        return "queued" if training.state in waiting else "running"
    ended = {TrainingState.SUCCEEDED: "succeeded", TrainingState.CANCELLED: "cancelled"}
    return ended.get(TrainingState(training.state), "failed")


def job_shape(job: FineTuningJob, *, tuned_name: str | None, estimated_finish: int | None) -> dict[str, Any]:
    training = job.training_job
    used = training.hyperparameters if training is not None else None
    values = shown_values(job.hyperparameters, used)
    intake = job.intake
    succeeded = job_status(job) == "succeeded"
    return {
        "id": job.public_id,
        "object": "fine_tuning.job",
        "created_at": seconds(job.created_at),
        "error": job.error,
        "estimated_finish": estimated_finish,
        "fine_tuned_model": tuned_name if succeeded else None,
        "finished_at": seconds(job.finished_at),
        # By the protocol those of the method supervised alone stand here, too.
        "hyperparameters": values if job.method == "supervised" else {},
        "integrations": job.integrations,
        "metadata": job.metadata,
        "method": {"type": job.method, job.method: {"hyperparameters": values}},
        "model": job.model,
        "organization_id": job.workspace.slug,
        "result_files": [job.result_file.public_id] if job.result_file else [],
        "seed": job.seed,
        "status": job_status(job),
        "trained_tokens": job.trained_tokens,
        "training_file": intake.training_file.public_id,
        "validation_file": intake.validation_file.public_id if intake.validation_file else None,
    }


def base_model_shape(base: BaseModel, name: str | None = None) -> dict[str, Any]:
    return _model_shape(name or api_name(base), base.created_at, "system")


def served_model_shape(served: ServedModel) -> dict[str, Any]:
    return _model_shape(served.name, served.created_at, served.workspace.slug)


def _model_shape(name: str, created: datetime, owner: str) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": seconds(created),
        "owned_by": owner,
        "shutdown_date": None,
    }


def permission_shape(permission: CheckpointPermission) -> dict[str, Any]:
    return {
        "id": permission.public_id,
        "object": "checkpoint.permission",
        "created_at": seconds(permission.created_at),
        "project_id": permission.project_id_text,
    }


def webhook_shape(endpoint: WebhookEndpoint, secret: str | None = None) -> dict[str, Any]:
    shape = {
        "id": endpoint.public_id,
        "object": "webhook_endpoint",
        "created_at": seconds(endpoint.created_at),
        "updated_at": seconds(endpoint.updated_at),
        "name": endpoint.name,
        "url": endpoint.url,
        "event_types": endpoint.event_types,
        "signing_secret_hint": endpoint.hint,
    }
    return shape if secret is None else {**shape, "signing_secret": secret}


def stored_shape(stored: StoredCompletion) -> dict[str, Any]:
    return {**stored.reply, "metadata": stored.metadata}
