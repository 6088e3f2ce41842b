"""Reads of the API, each scoped to the workspace of the key."""

from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.accounts.models import Workspace
from apps.gateway.errors import ApiError, not_found
from apps.gateway.models import File, FineTuningJob, ServedModel, WebhookDelivery, WebhookEndpoint


def files_of(workspace: Workspace) -> QuerySet[File]:
    """What was not deleted and has not expired."""
    alive = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    return (
        File.objects.filter(alive, workspace=workspace, deleted_at=None)
        .select_related("blob")
        .prefetch_related("intakes")
    )


def file_get(workspace: Workspace, public_id: str, *, param: str = "id", status: int = 404) -> File:
    """Raises ApiError where there is no such file, with the status that the request calls for."""
    file = files_of(workspace).filter(public_id=public_id).first()
    if file is None:
        error = not_found("File object", public_id, param=param)
        raise ApiError(error.message, status=status, param=param, code="file_not_found")
    return file


def fine_tuning_jobs_of(workspace: Workspace) -> QuerySet[FineTuningJob]:
    return FineTuningJob.objects.filter(workspace=workspace).select_related(
        "workspace", "intake__training_file", "intake__validation_file", "result_file", "training_job"
    )


def fine_tuning_job_get(workspace: Workspace, public_id: str) -> FineTuningJob:
    """By its public id. Raises `ApiError` (404) for one of another workspace, too."""
    job = fine_tuning_jobs_of(workspace).filter(public_id=public_id).first()
    if job is None:
        raise ApiError(
            f"Could not find fine tune: {public_id}",
            status=404,
            code="fine_tune_not_found",
            param="fine_tuning_job_id",
        )
    return job


def tuned_names(jobs: list[FineTuningJob]) -> dict[int, str]:
    """The name of the model that each job made, by the job's key; one query for all."""
    versions = {
        job.training_job.model_version_id: job.pk
        for job in jobs
        if job.training_job is not None and job.training_job.model_version_id is not None
    }
    found = ServedModel.objects.filter(model_version__in=versions, checkpoint=None)
    return {versions[version]: name for version, name in found.values_list("model_version", "name")}


def webhook_get(workspace: Workspace, public_id: str) -> WebhookEndpoint:
    """By its public id. Raises `ApiError` (404) for one of another workspace, too."""
    endpoint = (
        WebhookEndpoint.objects.select_related("workspace")
        .filter(workspace=workspace, public_id=public_id)
        .first()
    )
    if endpoint is None:
        raise not_found("webhook endpoint", public_id)
    return endpoint


def webhooks_with_last_delivery(workspace: Workspace) -> list[WebhookEndpoint]:
    """Each with `last`: its newest delivery, or None."""
    endpoints = list(WebhookEndpoint.objects.filter(workspace=workspace))
    newest = (
        WebhookDelivery.objects.filter(endpoint__in=endpoints)
        .order_by("endpoint_id", "-pk")
        .distinct("endpoint_id")
    )
    by_endpoint = {delivery.endpoint_id: delivery for delivery in newest}
    for endpoint in endpoints:
        endpoint.last = by_endpoint.get(endpoint.pk)  # type: ignore[attr-defined]
    return endpoints
