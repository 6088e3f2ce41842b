"""Adding base models, model versions and variants. None of them changes afterwards."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, models, transaction

from apps.accounts.models import User, Workspace
from apps.artifacts.models import Blob
from apps.audit.services import record
from apps.core.canonical import canonical_hash
from apps.core.errors import PortalError
from apps.projects.models import Project
from apps.providers.models import Connection
from apps.providers.offered import OBJECTIVES, OfferedModel, offered_model
from apps.providers.opening import support_over
from apps.registry.model_directory import read_model_facts
from apps.registry.models import BaseModel, ModelVersion, Variant

SAMPLING_DEFAULTS: dict[str, Any] = {
    "max_tokens": 256,
    "temperature": 0.0,
    "top_p": 1.0,
    "seed": None,
    "stop": [],
}
"""Greedy: the same question gets the same answer, so that a comparison measures the models and not the dice."""


def base_model_ensure(
    *, workspace: Workspace, reference: str, actor: User | None, revision: str = ""
) -> BaseModel:
    """The base model that `reference` (a directory or a hub id) names, added to the workspace if new.

    Raises `ModelReferenceError` when a directory holds no model or no safetensors weights.
    """
    reference = reference.strip()
    found = BaseModel.objects.filter(
        workspace=workspace, provider="local", reference=reference, revision=revision
    ).first()
    if found is not None:
        return found
    facts = read_model_facts(reference)
    with transaction.atomic():
        base_model, created = BaseModel.objects.get_or_create(
            workspace=workspace,
            provider="local",
            reference=reference,
            revision=revision,
            defaults={
                "name": facts.name,
                "parameters": facts.parameters,
                "context_length": facts.context_length,
                "licence": facts.licence,
            },
        )
        if created:
            record(
                workspace=workspace,
                actor=actor,
                action="base_model.added",
                target=base_model,
                data={"reference": reference, "revision": revision, "parameters": facts.parameters},
            )
    return base_model


class NotOfferedError(PortalError):
    """The provider neither lists the model nor says that it trains it."""

    code = "model_not_offered"


def remote_base_model_ensure(*, connection: Connection, reference: str, actor: User | None) -> BaseModel:
    """The provider's model of this name over the connection, added to the workspace if new.

    What the connection's last listing says of it is kept: name, context, end of life. Raises NotOfferedError for a
    model that is neither listed nor trained there, ConnectionRemovedError and ProviderError.
    """
    reference = reference.strip()
    found = BaseModel.objects.filter(connection=connection, reference=reference, revision="").first()
    if found is not None:
        return found
    listed = offered_model(connection.offered, reference)
    if listed is None and not _is_trained(connection, reference):
        raise NotOfferedError(
            f"{connection.name} offers no model “{reference}”. Choose one of its list; check the connection if the"
            " list is old."
        )
    return _remote_base_model(connection, reference, listed, actor)


def remote_base_model_note(*, connection: Connection, reference: str, actor: User | None) -> BaseModel:
    """The same for a model that the provider trained once: it may offer it no more."""
    reference = reference.strip()
    found = BaseModel.objects.filter(connection=connection, reference=reference, revision="").first()
    return found or _remote_base_model(
        connection, reference, offered_model(connection.offered, reference), actor
    )


def _remote_base_model(
    connection: Connection, reference: str, listed: OfferedModel | None, actor: User | None
) -> BaseModel:
    with transaction.atomic():
        base_model, created = BaseModel.objects.get_or_create(
            workspace_id=connection.workspace_id,
            provider=connection.provider,
            connection=connection,
            reference=reference,
            revision="",
            defaults=_listed_facts(reference, listed),
        )
        if created:
            record(
                workspace=connection.workspace,
                actor=actor,
                action="base_model.added",
                target=base_model,
                data={"reference": reference, "connection": connection.pk, "provider": connection.provider},
            )
    return base_model


def _is_trained(connection: Connection, reference: str) -> bool:
    if not reference:
        return False
    return any(support_over(connection, reference, objective) is not None for objective in OBJECTIVES)


def _listed_facts(reference: str, listed: OfferedModel | None) -> dict[str, Any]:
    return {
        "name": ((listed.label if listed else "") or reference)[:120],
        "context_length": listed.context_length if listed else None,
        "end_of_life": listed.end_of_life if listed else None,
    }


def model_version_create(
    *,
    project: Project,
    base_model: BaseModel,
    kind: str,
    artifact: Blob | None,
    name: str,
    validation_loss: float | None,
    best_step: int | None,
    actor: User | None,
    provider_model: str = "",
) -> ModelVersion:
    """Register what a training job made, under the project's next number."""
    with transaction.atomic():
        Project.objects.select_for_update().get(pk=project.pk)  # one number at a time
        last = ModelVersion.objects.filter(project=project).aggregate(last=models.Max("number"))["last"]
        version = ModelVersion.objects.create(
            project=project,
            number=(last or 0) + 1,
            name=name[:120],
            base_model=base_model,
            kind=kind,
            artifact=artifact,
            provider_model=provider_model,
            validation_loss=validation_loss,
            best_step=best_step,
            created_by=actor,
        )
        record(
            workspace=project.workspace,
            actor=actor,
            action="model_version.created",
            target=version,
            data={
                "number": version.number,
                "base_model": base_model.reference,
                "artifact_sha256": artifact.sha256 if artifact else None,
            },
        )
    return version


def variant_ensure(
    *,
    project: Project,
    name: str,
    base_model: BaseModel,
    model_version: ModelVersion | None = None,
    system_prompt: str = "",
    few_shot: Sequence[Mapping[str, str]] = (),
    sampling: Mapping[str, Any] | None = None,
    actor: User | None,
) -> Variant:
    """The variant with exactly this model, prompt, examples and sampling; an existing one keeps its name."""
    sampling = {**SAMPLING_DEFAULTS, **(sampling or {})}
    prompt = system_prompt if system_prompt.strip() else ""
    examples = [{"role": message["role"], "content": message["content"]} for message in few_shot]
    identity = variant_hash(base_model, model_version, prompt, examples, sampling)
    found = Variant.objects.filter(project=project, hash=identity).first()
    if found is not None:
        return found
    try:
        with transaction.atomic():
            variant = Variant.objects.create(
                project=project,
                name=name[:120],
                base_model=base_model,
                model_version=model_version,
                system_prompt=prompt,
                few_shot=examples,
                sampling=sampling,
                hash=identity,
                created_by=actor,
            )
            record(
                workspace=project.workspace,
                actor=actor,
                action="variant.created",
                target=variant,
                data={"hash": identity},
            )
    except IntegrityError:  # somebody else made the same one in the meantime
        return Variant.objects.get(project=project, hash=identity)
    return variant


def variant_hash(
    base_model: BaseModel,
    model_version: ModelVersion | None,
    system_prompt: str,
    few_shot: Sequence[Mapping[str, str]],
    sampling: Mapping[str, Any],
) -> str:
    """SHA-256 over everything that decides the answer, and nothing else: names are left out."""
    artifact = model_version.artifact if model_version is not None else None
    return canonical_hash(
        {
            "provider": base_model.provider,
            "base": base_model.reference,
            "revision": base_model.revision,
            "artifact": artifact.sha256 if artifact is not None else None,
            "kind": model_version.kind if model_version is not None else "base",
            "provider_model": model_version.provider_model if model_version is not None else "",
            "system_prompt": system_prompt,
            "few_shot": list(few_shot),
            "sampling": dict(sampling),
        }
    )
