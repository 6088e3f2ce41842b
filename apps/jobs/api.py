"""Training jobs by API: start, follow, cancel, read the points."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from django.shortcuts import get_object_or_404
from ninja import Query, Router, Schema, Status

from apps.accounts.permissions import Permission
from apps.core.api import REFUSALS
from apps.core.errors import PortalError
from apps.datasets.models import Version
from apps.jobs.models import MetricPoint, TrainingJob
from apps.jobs.remote.prospects import prospect
from apps.jobs.remote.recipes import CostEstimate, remote_numbers
from apps.jobs.selectors import job_details, jobs_of_project, trainable_base_models, trainable_versions
from apps.jobs.services import job_cancel, job_start
from apps.projects.access import ProjectRequest
from apps.projects.api import ProjectKey, ProjectPlace
from apps.providers.contracts import Objective
from apps.providers.opening import support_over
from apps.registry.models import BaseModel

router = Router(tags=["Training jobs"])
TRAIN, VIEW = ProjectKey(Permission.TRAIN), ProjectKey(Permission.VIEW)
JOBS_A_PAGE = 100
POINTS_A_PAGE = 5000


class BaseModelOut(Schema):
    id: int
    name: str
    reference: str
    provider: str
    connection: str | None
    """Null: of this installation."""
    context_length: int | None


class JobIn(Schema):
    version: int
    base_model: int
    name: str = ""
    method: Literal["lora", "full"] = "lora"
    """Of a model of this installation; a provider has its own."""
    objective: Objective = "supervised"
    hyperparameters: dict[str, float | int | str | None] = {}
    """What is left out takes its recommended value, or is left to the provider."""
    accept_unknown_cost: bool = False
    """Needed where a provider charges and nobody here knows the price."""


class JobOut(Schema):
    id: int
    number: int
    name: str
    state: str
    version: int
    base_model: int
    provider: str
    method: str
    objective: str
    configuration_hash: str
    step: int
    total_steps: int | None
    train_loss: float | None
    validation_loss: float | None
    best_validation_loss: float | None
    best_step: int | None
    error: str
    model: int | None
    """The model version that came out."""
    provider_status: str
    trained_tokens: int | None
    estimated_cost: Decimal | None
    cost: Decimal | None
    currency: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class PointOut(Schema):
    seq: int
    kind: str
    step: int
    epoch: float | None
    tokens: int | None
    loss: float | None
    learning_rate: float | None
    grad_norm: float | None
    token_accuracy: float | None


def _shown(job: TrainingJob) -> JobOut:
    values: dict[str, Any] = {name: getattr(job, name) for name in JobOut.model_fields if name not in _KEYS}
    values |= {
        "id": job.pk,
        "version": job.version_id,
        "base_model": job.base_model_id,
        "model": job.model_version_id,
    }
    return JobOut(**values)


_KEYS = ("id", "version", "base_model", "model")


def _job(request: ProjectRequest, pk: int) -> TrainingJob:
    return get_object_or_404(job_details(request.project), pk=pk)


@router.get(
    "/base-models/", auth=VIEW, response={200: list[BaseModelOut], **REFUSALS}, url_name="base_models"
)
def base_models(request: ProjectRequest, place: ProjectPlace) -> list[BaseModelOut]:
    """What can be trained, here and at the providers that are connected."""
    return [
        BaseModelOut(
            id=base.pk,
            name=base.name,
            reference=base.reference,
            provider=base.provider,
            connection=base.connection.name if base.connection else None,
            context_length=base.context_length,
        )
        for base in trainable_base_models(request.workspace)
    ]


@router.get("/jobs/", auth=VIEW, response={200: list[JobOut], **REFUSALS}, url_name="jobs")
def jobs(request: ProjectRequest, place: ProjectPlace, before: Query[int | None] = None) -> list[JobOut]:
    """The newest hundred jobs, or those before the job with the number `before`."""
    found = jobs_of_project(request.project)
    if before is not None:
        found = found.filter(number__lt=before)
    return [_shown(job) for job in found.order_by("-number")[:JOBS_A_PAGE]]


@router.post("/jobs/", auth=TRAIN, response={201: JobOut, **REFUSALS}, url_name="start_job")
def start(request: ProjectRequest, place: ProjectPlace, payload: JobIn) -> Status[JobOut]:
    """Freeze a configuration and queue its training."""
    version = get_object_or_404(trainable_versions(request.project), pk=payload.version)
    base = get_object_or_404(trainable_base_models(request.workspace), pk=payload.base_model)
    job = job_start(
        project=request.project,
        version=version,
        base_model=base,
        name=payload.name,
        method=payload.method,
        objective=payload.objective,
        hyperparameters=payload.hyperparameters,
        cost=_cost(version, base, payload),
        by=request.user,
    )
    return Status(201, _shown(job))


def _cost(version: Version, base: BaseModel, payload: JobIn) -> CostEstimate | None:
    """What a provider will charge. PortalError where it would refuse the data, or where nobody knows the price and the
    caller did not say that this is fine."""
    if base.connection is None:
        return None
    support = support_over(base.connection, base.reference, payload.objective)
    if support is None:
        raise PortalError(f"{base} can't be trained with {payload.objective}.", code="job_refused")
    given: dict[str, Any] = {name: value for name, value in payload.hyperparameters.items() if name != "seed"}
    ahead = prospect(
        version,
        base_model=base,
        objective=payload.objective,
        support=support,
        numbers=remote_numbers(given, support),
    )
    if ahead.problems:
        raise PortalError(" ".join(ahead.problems), code="job_refused")
    if ahead.cost is None and not payload.accept_unknown_cost:
        raise PortalError(
            "Nobody here knows what this costs. Add the price in the settings of the workspace, say the epochs, or"
            " send accept_unknown_cost.",
            code="unknown_cost",
        )
    return ahead.cost


@router.get("/jobs/{int:pk}/", auth=VIEW, response={200: JobOut, **REFUSALS}, url_name="job")
def job(request: ProjectRequest, place: ProjectPlace, pk: int) -> JobOut:
    """One job as it stands now."""
    return _shown(_job(request, pk))


@router.post("/jobs/{int:pk}/cancel/", auth=TRAIN, response={202: JobOut, **REFUSALS}, url_name="cancel_job")
def cancel(request: ProjectRequest, place: ProjectPlace, pk: int) -> Status[JobOut]:
    """Ask the job to stop; it ends within seconds here, and when the provider lets it elsewhere."""
    found = _job(request, pk)
    job_cancel(job=found, by=request.user)
    return Status(202, _shown(_job(request, pk)))


@router.get(
    "/jobs/{int:pk}/points/", auth=VIEW, response={200: list[PointOut], **REFUSALS}, url_name="points"
)
def points(
    request: ProjectRequest, place: ProjectPlace, pk: int, after: Query[int] = -1
) -> list[MetricPoint]:
    """Up to 5,000 points of the curves in order, those after the point with `seq` `after`."""
    found = _job(request, pk).points.filter(seq__gt=after).order_by("seq")
    return list(found[:POINTS_A_PAGE])
