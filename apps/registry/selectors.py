"""Reading models and variants."""

from datetime import date
from typing import Any

from django.db.models import Count, QuerySet

from apps.accounts.models import Workspace
from apps.projects.models import Project
from apps.providers.lifetimes import LifeLeft, life_of
from apps.providers.matching import hosts_of
from apps.providers.offered import offered_model
from apps.registry.models import BaseModel, ModelVersion, Variant


def base_models_of(workspace: Workspace) -> QuerySet[Any]:
    """With the number of versions trained from each, and the connection of those at a provider."""
    return (
        BaseModel.objects.filter(workspace=workspace)
        .select_related("connection")
        .annotate(version_count=Count("versions"))
        .order_by("name", "pk")
    )


def life_left(base_model: BaseModel, today: date) -> LifeLeft | None:
    """What is known of the end of a provider's model, by its listing, then by the list that ships; None: nothing, and
    for models that this installation loads itself."""
    connection = base_model.connection
    if connection is None:
        return None
    listed = offered_model(connection.offered, base_model.reference)
    return life_of(
        provider=base_model.provider,
        model=base_model.reference,
        today=today,
        hosts=hosts_of(connection.settings),
        listed=listed.end_of_life if listed is not None else None,
        noted=base_model.end_of_life,
    )


def model_versions_of(project: Project) -> QuerySet[ModelVersion]:
    """Newest first, with the job and the data behind each."""
    return (
        ModelVersion.objects.filter(project=project)
        .select_related("base_model__connection", "artifact", "created_by", "training_job__version__dataset")
        .order_by("-number")
    )


def newest_model_of(project: Project) -> ModelVersion | None:
    """The fine-tuned model with the highest number."""
    return ModelVersion.objects.filter(project=project).order_by("-number").first()


def variants_of(project: Project) -> QuerySet[Variant]:
    """Newest first."""
    return (
        Variant.objects.filter(project=project)
        .select_related("base_model", "model_version", "created_by")
        .order_by("-pk")
    )
