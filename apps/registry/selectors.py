"""Reading models and variants."""

from typing import Any

from django.db.models import Count, QuerySet

from apps.accounts.models import Workspace
from apps.projects.models import Project
from apps.registry.models import BaseModel, ModelVersion, Variant


def base_models_of(workspace: Workspace) -> QuerySet[Any]:
    """With the number of versions trained from each."""
    return (
        BaseModel.objects.filter(workspace=workspace)
        .annotate(version_count=Count("versions"))
        .order_by("name", "pk")
    )


def model_versions_of(project: Project) -> QuerySet[ModelVersion]:
    """Newest first, with the job and the data behind each."""
    return (
        ModelVersion.objects.filter(project=project)
        .select_related("base_model", "artifact", "created_by", "training_job__version__dataset")
        .order_by("-number")
    )


def newest_model_of(project: Project) -> ModelVersion | None:
    return ModelVersion.objects.filter(project=project).order_by("-number").first()


def variants_of(project: Project) -> QuerySet[Variant]:
    return (
        Variant.objects.filter(project=project)
        .select_related("base_model", "model_version", "created_by")
        .order_by("-pk")
    )
