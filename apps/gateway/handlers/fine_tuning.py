"""/v1/fine_tuning/jobs"""

from typing import Any, Literal

import msgspec
from starlette.responses import Response

from apps.accounts.models import Workspace
from apps.gateway.calls import Call, reply
from apps.gateway.database import in_thread
from apps.gateway.errors import ApiError, model_not_found
from apps.gateway.hyperparameters import read_hyperparameters
from apps.gateway.models import File, FineTuningJob, JobState, Purpose
from apps.gateway.pagination import page_of
from apps.gateway.selectors import file_get, fine_tuning_job_get, fine_tuning_jobs_of, tuned_names
from apps.gateway.served import base_model_named, tuned_model_named
from apps.gateway.services.fine_tuning import (
    LARGEST_SEED,
    JobRequest,
    fine_tuning_job_advance,
    fine_tuning_job_cancel,
    fine_tuning_job_create,
    fine_tuning_job_pause,
    fine_tuning_job_resume,
)
from apps.gateway.services.projects import project_ensure
from apps.gateway.shapes import file_shape, job_shape, seconds
from apps.jobs.models import TrainingJob
from apps.registry.models import BaseModel

JOBS_A_PAGE, MOST_JOBS = 20, 100
LONGEST_SUFFIX = 64
METHODS = ("supervised", "dpo")
METADATA_PAIRS, METADATA_KEY, METADATA_VALUE = 16, 64, 512


class MethodBody(msgspec.Struct):
    """Only the block of the method that is asked for is read."""

    type: Literal["supervised", "dpo", "reinforcement"]
    supervised: dict[str, Any] | None = None
    dpo: dict[str, Any] | None = None


class JobBody(msgspec.Struct):
    model: str
    training_file: str
    validation_file: str | None = None
    hyperparameters: dict[str, Any] | None = None
    method: MethodBody | None = None
    suffix: str | None = None
    seed: int | None = None
    metadata: dict[str, Any] | None = None
    integrations: list[dict[str, Any]] | None = None


async def create(call: Call) -> Response:
    body = await call.json(JobBody)
    return reply(await in_thread(_create, call, body))


def _create(call: Call, body: JobBody) -> dict[str, Any]:
    principal = call.principal
    workspace = principal.workspace
    asked = JobRequest(
        model=body.model,
        base_model=_base_model(workspace, body.model),
        training_file=_file(workspace, body.training_file, "training_file"),
        validation_file=(
            _file(workspace, body.validation_file, "validation_file") if body.validation_file else None
        ),
        method=body.method.type if body.method else METHODS[0],
        hyperparameters=_hyperparameters(body),
        suffix=_suffix(body.suffix),
        seed=_seed(body.seed),
        metadata=read_metadata(body.metadata),
        integrations=body.integrations or None,
    )
    project = project_ensure(principal=principal, named=call.request.headers.get("openai-project", ""))
    job = fine_tuning_job_create(project=project, asked=asked, by=principal.user)
    return _shape(fine_tuning_job_get(workspace, job.public_id))


def _base_model(workspace: Workspace, name: str) -> BaseModel:
    base = base_model_named(workspace, name)
    if base is not None and base.connection is not None:
        raise ApiError(
            f"{name} is trained at its provider, “{base.connection}”. Start that job on the pages; this API trains on"
            " the machines of this installation.",
            code="model_not_available",
            param="model",
        )
    if base is not None:
        return base
    if tuned_model_named(workspace, name) is not None:
        raise ApiError(
            f"{name} is fine-tuned already, and training goes on from base models only. Train its base on both files"
            " instead.",
            code="model_not_available",
            param="model",
        )
    raise model_not_found(name)


def _file(workspace: Workspace, public_id: str, param: str) -> File:
    file = file_get(workspace, public_id, param=param, status=400)
    if file.purpose != Purpose.FINE_TUNE:
        raise ApiError(
            f"The file {public_id} has the purpose '{file.purpose}', and not 'fine-tune'.",
            code="invalid_file_purpose",
            param=param,
        )
    shape = file_shape(file)
    if shape["status"] == "error":
        raise ApiError(
            f"The file {public_id} can't be used: {shape['status_details']}", code="invalid_file", param=param
        )
    return file


def _hyperparameters(body: JobBody) -> dict[str, Any]:
    method = body.method.type if body.method else METHODS[0]
    if method not in METHODS:
        raise ApiError(
            f"The method '{method}' is not available here; {' and '.join(map(repr, METHODS))} are.",
            code="unsupported_method",
            param="method.type",
        )
    block: dict[str, Any] | None = getattr(body.method, method, None)
    place = "hyperparameters" if block is None else f"method.{method}.hyperparameters"
    given = (body.hyperparameters if block is None else block.get("hyperparameters")) or {}
    if not isinstance(given, dict):
        raise ApiError("Hyperparameters must be an object.", code="invalid_type", param=place)
    return read_hyperparameters(given, place=place, method=method)


def _suffix(suffix: str | None) -> str:
    if suffix is None:
        return ""
    if not 1 <= len(suffix) <= LONGEST_SUFFIX:
        raise ApiError(
            f"A suffix has 1 to {LONGEST_SUFFIX} characters.", code="invalid_value", param="suffix"
        )
    return suffix


def _seed(seed: int | None) -> int | None:
    if seed is not None and not 0 <= seed <= LARGEST_SEED:
        raise ApiError(f"A seed is from 0 to {LARGEST_SEED}.", code="invalid_value", param="seed")
    return seed


def read_metadata(metadata: dict[str, Any] | None) -> dict[str, str] | None:
    """Up to 16 pairs of short texts. Raises ApiError."""
    if metadata is None:
        return None
    if len(metadata) > METADATA_PAIRS:
        raise ApiError(f"At most {METADATA_PAIRS} pairs.", code="invalid_value", param="metadata")
    for key, value in metadata.items():
        if not isinstance(value, str) or len(value) > METADATA_VALUE or not 0 < len(key) <= METADATA_KEY:
            raise ApiError(
                f"Keys have up to {METADATA_KEY} characters, and values are texts of up to {METADATA_VALUE}.",
                code="invalid_value",
                param=f"metadata.{key[:METADATA_KEY]}",
            )
    return dict(metadata)


# --- Reading -------------------------------------------------------------------------------------------------


async def retrieve(call: Call) -> Response:
    return reply(await in_thread(_retrieve, call))


def _retrieve(call: Call) -> dict[str, Any]:
    return _shape(current_job(call))


def current_job(call: Call) -> FineTuningJob:
    """The job of the path, brought as far as it has come."""
    workspace, public_id = call.principal.workspace, call.parameters["job_id"]
    job = fine_tuning_job_get(workspace, public_id)
    if job.state == JobState.ENDED:
        return job
    fine_tuning_job_advance(job_id=job.pk)
    return fine_tuning_job_get(workspace, public_id)


def _shape(job: FineTuningJob) -> dict[str, Any]:
    return job_shape(
        job, tuned_name=tuned_names([job]).get(job.pk), estimated_finish=_estimate(job.training_job)
    )


def _estimate(training: TrainingJob | None) -> int | None:
    """From the pace so far; None while nothing is known."""
    if training is None or not training.is_active or not training.total_steps or not training.step:
        return None
    if training.started_at is None or training.seconds is None:
        return None
    return (seconds(training.started_at) or 0) + round(
        training.seconds / training.step * training.total_steps
    )


async def listing(call: Call) -> Response:
    return reply(await in_thread(_listing, call))


def _listing(call: Call) -> dict[str, Any]:
    jobs = fine_tuning_jobs_of(call.principal.workspace)
    wanted = call.nested("metadata")
    if call.query.get("metadata") == "null":
        jobs = jobs.filter(metadata__isnull=True)
    elif wanted:
        jobs = jobs.filter(metadata__contains=wanted)
    rows, has_more = page_of(jobs, call.query, default=JOBS_A_PAGE, most=MOST_JOBS)
    names = tuned_names(rows)
    data = [
        job_shape(job, tuned_name=names.get(job.pk), estimated_finish=_estimate(job.training_job))
        for job in rows
    ]
    return {"object": "list", "data": data, "has_more": has_more}


# --- Changing ------------------------------------------------------------------------------------------------


async def cancel(call: Call) -> Response:
    return reply(await in_thread(_cancel, call))


def _cancel(call: Call) -> dict[str, Any]:
    job = current_job(call)
    fine_tuning_job_cancel(job=job, by=call.principal.user)
    return _shape(fine_tuning_job_get(call.principal.workspace, job.public_id))


async def pause(call: Call) -> Response:
    return reply(await in_thread(_pause, call))


def _pause(call: Call) -> dict[str, Any]:
    job = current_job(call)
    fine_tuning_job_pause(job=job, by=call.principal.user)
    return _shape(fine_tuning_job_get(call.principal.workspace, job.public_id))


async def resume(call: Call) -> Response:
    return reply(await in_thread(_resume, call))


def _resume(call: Call) -> dict[str, Any]:
    job = current_job(call)
    fine_tuning_job_resume(job=job, by=call.principal.user)
    return _shape(fine_tuning_job_get(call.principal.workspace, job.public_id))
