"""From the name of a model in a request to the weights that answer."""

import time
from dataclasses import dataclass

from django.db.models import QuerySet

from apps.accounts.models import Workspace
from apps.artifacts.models import Blob
from apps.artifacts.storage import blob_open
from apps.core.bundled_model import BUNDLED_MODEL
from apps.gateway.database import in_thread
from apps.gateway.errors import ApiError, model_not_found
from apps.gateway.ids import plain
from apps.gateway.models import ModelAlias, ServedModel
from apps.gateway.services.served_models import served_models_ensure
from apps.providers.contracts import ModelReference
from apps.registry.inference import provider_for, reference_of
from apps.registry.model_directory import is_directory_reference
from apps.registry.models import BaseModel
from apps.registry.services import base_model_ensure

KNOWN_SECONDS = 5.0
KNOWN_MODELS = 10_000


@dataclass(frozen=True)
class Served:
    """A model that can be asked. `artifact` holds the weights that its base lacks."""

    name: str
    base: BaseModel
    reference: ModelReference
    artifact: Blob | None


class KnownModels:
    """Models that were looked up moments ago. Belongs to one event loop."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str], tuple[float, Served]] = {}

    async def get(self, workspace: Workspace, name: str) -> Served:
        """Raises ApiError 404 for a name that means nothing in the workspace."""
        found = self._known.get((workspace.pk, name))
        if found is not None and found[0] > time.monotonic():
            return found[1]
        served = await in_thread(resolve, workspace, name)
        if len(self._known) >= KNOWN_MODELS:
            self._known.clear()
        self._known[workspace.pk, name] = (time.monotonic() + KNOWN_SECONDS, served)
        return served


def base_models_of(workspace: Workspace) -> list[BaseModel]:
    """Every base model of the workspace; the one that ships is always among them."""
    found = list(BaseModel.objects.filter(workspace=workspace).select_related("connection").order_by("pk"))
    if not any(base.reference == BUNDLED_MODEL for base in found):
        found.append(base_model_ensure(workspace=workspace, reference=BUNDLED_MODEL, actor=None))
    return found


def api_name(base: BaseModel) -> str:
    """What programs call it: its hub id, or its name where the reference is a directory of this machine."""
    return plain(base.name) if is_directory_reference(base.reference) else base.reference


def base_model_named(workspace: Workspace, name: str) -> BaseModel | None:
    """By its own name, or by an alias of the workspace."""
    alias = (
        ModelAlias.objects.filter(workspace=workspace, name=name)
        .select_related("base_model__connection")
        .first()
    )
    if alias is not None:
        return alias.base_model
    return next((base for base in base_models_of(workspace) if api_name(base) == name), None)


def served_models_of(workspace: Workspace) -> QuerySet[ServedModel]:
    return ServedModel.objects.filter(workspace=workspace, deleted_at=None).select_related(
        "model_version__base_model__connection", "model_version__artifact", "checkpoint__artifact"
    )


def tuned_model_named(workspace: Workspace, name: str) -> ServedModel | None:
    found = served_models_of(workspace).filter(name=name).first()
    if found is None and name.startswith("ft:"):
        served_models_ensure(workspace=workspace)
        found = served_models_of(workspace).filter(name=name).first()
    return found


def resolve(workspace: Workspace, name: str) -> Served:
    """Raises ApiError 404."""
    tuned = tuned_model_named(workspace, name)
    if tuned is not None:
        version, checkpoint = tuned.model_version, tuned.checkpoint
        artifact = checkpoint.artifact if checkpoint is not None else version.artifact
        return Served(
            name=name,
            base=version.base_model,
            reference=reference_of(version.base_model, version, checkpoint=artifact),
            artifact=artifact,
        )
    base = base_model_named(workspace, name)
    if base is None:
        raise model_not_found(name)
    return Served(name=name, base=base, reference=reference_of(base, None), artifact=None)


def put_in_place(served: Served) -> None:
    """Hand the weights to the provider if it lacks them; raises ProviderError."""
    artifact = served.artifact
    if artifact is None:
        raise ApiError(f"The weights of {served.name} are missing.", status=500, retry=False)
    provider_for(served.base).ensure_model(served.reference, lambda: blob_open(artifact))
