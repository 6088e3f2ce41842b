"""From a variant to the provider that answers for it."""

import atexit
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.conf import settings

from apps.artifacts.models import Blob
from apps.artifacts.storage import blob_open
from apps.core.bundled_model import model_location
from apps.core.errors import PortalError
from apps.providers.asking import IN_FLIGHT, IN_FLIGHT_REMOTE
from apps.providers.contracts import (
    ChatRequest,
    InferenceProvider,
    ModelReference,
    ProviderRejectedError,
    ProviderUnavailableError,
    StreamingInference,
)
from apps.providers.opening import adapter_for, adapter_options
from apps.providers.registry import inference_provider, streaming_inference
from apps.registry.models import BaseModel, ModelKind, ModelVersion, Variant


class ModelMissingError(PortalError):
    """The weights of a model version are not here."""

    code = "model_missing"


DEPLOY_SECONDS = 3600.0


def variant_provider(
    variant: Variant, *, waiting: Callable[[str], None] = lambda why: None
) -> InferenceProvider:
    """The provider, with the variant's model in place and ready to be asked.

    A provider that deploys the model first is waited for, up to an hour; `waiting` is called every second with what it
    says, and may raise to end the wait.
    """
    provider = provider_for(variant.base_model)
    artifact = variant.model_version.artifact if variant.model_version is not None else None
    opening = (lambda: blob_open(artifact)) if artifact is not None else None
    started = time.monotonic()
    while True:
        try:
            provider.ensure_model(model_reference(variant), opening)
        except ProviderUnavailableError as error:
            if error.code != "deploying" or time.monotonic() - started > DEPLOY_SECONDS:
                raise
            for _ in range(max(1, int(error.retry_after or 1))):
                waiting(error.message)
                time.sleep(1)
        else:
            return provider


def questions_at_once(variant: Variant) -> int:
    """How many questions a variant may be asked at the same time."""
    return IN_FLIGHT if variant.base_model.connection_id is None else IN_FLIGHT_REMOTE


def provider_for(base: BaseModel) -> InferenceProvider:
    """What answers for a base model and all that is tuned from it: the connection's provider, or the inference program
    at the address that the operator configured. ProviderRejectedError where the provider only trains."""
    if base.connection is None:
        return _provider(base.provider, **_options())
    adapter = adapter_for(base.connection)
    if not isinstance(adapter, InferenceProvider):
        raise ProviderRejectedError(
            f"“{base.connection}” answers no questions over this installation.", code="no_inference"
        )
    return adapter


def streaming_for(base: BaseModel) -> StreamingInference:
    """The same provider for an event loop; a new one, which belongs to that loop."""
    if base.connection is None:
        return streaming_inference(base.provider, **_options())
    return streaming_inference(base.provider, **adapter_options(base.connection))


def _options() -> dict[str, Any]:
    url = settings.FTPORTAL_INFERENCE_URL
    return {
        "inference_url": url,
        "inference_socket": None if url else settings.FTPORTAL_INFERENCE_SOCKET,
        "inference_token": settings.FTPORTAL_INFERENCE_TOKEN,
    }


_lock = threading.Lock()
_open: dict[tuple[Any, ...], InferenceProvider] = {}


def _provider(name: str, **options: Any) -> InferenceProvider:
    """One a process: it keeps its connections open, and is safe to share between threads. Once the operator's address
    is another, the one to the old address is closed."""
    key = (name, *sorted(options.items()))
    with _lock:
        if key not in _open:
            _close_all()
            _open[key] = inference_provider(name, **options)
        return _open[key]


@atexit.register
def _close_all() -> None:
    while _open:
        _open.popitem()[1].close()


def model_reference(variant: Variant) -> ModelReference:
    """Which weights answer, as providers name them."""
    return reference_of(variant.base_model, variant.model_version)


def reference_of(
    base: BaseModel, version: ModelVersion | None, *, checkpoint: Blob | None = None
) -> ModelReference:
    """A base model, a version trained from it, or a checkpoint on the way to that version."""
    if version is not None and version.provider_model:
        return ModelReference(provider_model=version.provider_model)
    if base.connection_id is not None:
        return ModelReference(kind="base", base=base.reference)
    location, revision = model_location(base.reference), base.revision or None
    if version is None:
        return ModelReference(kind="base", base=location, base_revision=revision)
    weights = checkpoint or version.artifact
    if weights is None or weights.sha256 is None:
        raise ModelMissingError(f"The weights of {version.name} are missing, so it cannot be asked.")
    return ModelReference(
        kind="adapter" if version.kind == ModelKind.ADAPTER else "full",
        base=location,
        base_revision=revision,
        artifact_sha256=weights.sha256,
    )


def chat_request(
    variant: Variant, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]] = ()
) -> ChatRequest:
    """What is sent for these messages, with the variant's model and sampling."""
    sampling = variant.sampling
    return ChatRequest(
        model=model_reference(variant),
        messages=messages,
        tools=tools,
        max_tokens=sampling["max_tokens"],
        temperature=sampling["temperature"],
        top_p=sampling["top_p"],
        seed=sampling["seed"],
        stop=tuple(sampling["stop"]),
    )
