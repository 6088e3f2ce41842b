"""Names under which tuned models are asked for."""

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.accounts.models import User, Workspace
from apps.audit.services import record
from apps.gateway.ids import checkpoint_name, new_id, tuned_name
from apps.gateway.models import ModelAlias, ServedModel
from apps.jobs.models import Checkpoint
from apps.registry.model_directory import is_directory_reference
from apps.registry.models import BaseModel, ModelVersion

UNIQUE_LENGTH = 8


def served_model_ensure(*, workspace: Workspace, version: ModelVersion, suffix: str) -> ServedModel:
    """The name of a tuned model; made at the first call."""
    found = ServedModel.objects.filter(model_version=version, checkpoint=None).first()
    if found is not None:
        return found
    base = version.base_model
    name = tuned_name(
        base=base.name if is_directory_reference(base.reference) else base.reference,
        workspace=workspace.slug,
        suffix=suffix,
        unique=new_id("", UNIQUE_LENGTH),
    )
    try:
        with transaction.atomic():
            return ServedModel.objects.create(workspace=workspace, name=name, model_version=version)
    except IntegrityError:  # somebody else named it in the meantime
        return ServedModel.objects.get(model_version=version, checkpoint=None)


def served_checkpoints_ensure(*, served: ServedModel) -> list[ServedModel]:
    """The names of the checkpoints that were kept, in the order of their steps."""
    kept = Checkpoint.objects.filter(
        job__model_version=served.model_version_id, artifact__isnull=False
    ).order_by("step")
    return [
        ServedModel.objects.get_or_create(
            model_version_id=served.model_version_id,
            checkpoint=checkpoint,
            defaults={
                "workspace_id": served.workspace_id,
                "name": checkpoint_name(served.name, checkpoint.step),
            },
        )[0]
        for checkpoint in kept
    ]


def served_models_ensure(*, workspace: Workspace) -> None:
    """Give a name to every tuned model that has none yet, as those which were trained on the pages."""
    nameless = ModelVersion.objects.filter(
        project__workspace=workspace, served_as=None, artifact__isnull=False
    ).select_related("base_model")
    for version in nameless:
        served_model_ensure(workspace=workspace, version=version, suffix=version.name)


def served_model_delete(*, served: ServedModel, by: User) -> None:
    """It can't be asked for any more. The model stays in its project: verdicts may stand on it."""
    with transaction.atomic():
        gone = ServedModel.objects.filter(pk=served.pk, deleted_at=None)
        if served.checkpoint_id is None:
            gone = gone | ServedModel.objects.filter(
                model_version_id=served.model_version_id, deleted_at=None
            )
        gone.update(deleted_at=timezone.now())
        record(workspace=served.workspace, actor=by, action="served_model.deleted", target=served)


def model_alias_set(*, workspace: Workspace, name: str, base_model: BaseModel, by: User) -> ModelAlias:
    """Let `name` mean this base model from now on."""
    with transaction.atomic():
        alias, _ = ModelAlias.objects.update_or_create(
            workspace=workspace, name=name.strip(), defaults={"base_model": base_model}
        )
        record(
            workspace=workspace,
            actor=by,
            action="model_alias.set",
            target=alias,
            after={"name": alias.name, "base_model": base_model.reference},
        )
    return alias


def model_alias_remove(*, alias: ModelAlias, by: User) -> None:
    """Requests that name it are refused from now on; jobs that were made with it stay."""
    with transaction.atomic():
        record(
            workspace=alias.workspace,
            actor=by,
            action="model_alias.removed",
            target=alias,
            before={"name": alias.name, "base_model": alias.base_model.reference},
        )
        alias.delete()
