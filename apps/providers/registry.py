"""Every provider by name. An adapter's module is imported on first use, so an unused one costs nothing."""

from importlib import import_module
from typing import Any

from apps.providers.contracts import (
    InferenceProvider,
    ProviderRejectedError,
    StreamingInference,
    TrainingProvider,
)

PROVIDERS: dict[str, str] = {
    "local": "apps.providers.adapters.local.adapter:LocalProvider",
    "axolotl": "apps.providers.adapters.axolotl.adapter:AxolotlTrainer",
    "bedrock": "apps.providers.adapters.bedrock.adapter:BedrockProvider",
    "custom": "apps.providers.adapters.custom.adapter:CustomTrainer",
    "fireworks": "apps.providers.adapters.fireworks.adapter:FireworksProvider",
    "huggingface": "apps.providers.adapters.huggingface.adapter:HuggingFaceProvider",
    "llama_factory": "apps.providers.adapters.llama_factory.adapter:LlamaFactoryTrainer",
    "openai": "apps.providers.adapters.openai.adapter:OpenAIProvider",
    "together": "apps.providers.adapters.together.adapter:TogetherProvider",
    "vertex": "apps.providers.adapters.vertex.adapter:VertexProvider",
}


def provider_class(name: str) -> type[Any]:
    """The adapter's class; ProviderRejectedError with code "unknown_provider" for an unknown name, "client_missing"
    where the provider's client library is not installed."""
    dotted = PROVIDERS.get(name)
    if dotted is None:
        known = ", ".join(sorted(PROVIDERS))
        raise ProviderRejectedError(
            f"There is no provider called “{name}”. The known ones are: {known}.", code="unknown_provider"
        )
    module, _, attribute = dotted.partition(":")
    try:
        loaded: type[Any] = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if not error.name or error.name.startswith("apps."):
            raise
        raise ProviderRejectedError(
            f"The client library of this provider is not installed: {error.name}. The operator installs it with"
            " pip install 'ftportal[providers]' and starts the processes again.",
            code="client_missing",
        ) from error
    return loaded


def training_provider(name: str, **options: Any) -> TrainingProvider:
    """A new training provider; `options` are the adapter's own constructor arguments."""
    provider = provider_class(name)(**options)
    if not isinstance(provider, TrainingProvider):
        raise ProviderRejectedError(f"The provider “{name}” does not train models.", code="no_training")
    return provider


def inference_provider(name: str, **options: Any) -> InferenceProvider:
    """A new inference provider; `options` are the adapter's own constructor arguments."""
    provider = provider_class(name)(**options)
    if not isinstance(provider, InferenceProvider):
        raise ProviderRejectedError(f"The provider “{name}” does not answer chats.", code="no_inference")
    return provider


def streaming_inference(name: str, **options: Any) -> StreamingInference:
    """The provider's answers for an event loop; ProviderRejectedError where it has none."""
    make = getattr(provider_class(name), "streaming", None)
    if make is None:
        raise ProviderRejectedError(
            f"Models of the provider “{name}” can't be asked over this API.", code="no_streaming"
        )
    made: StreamingInference = make(**options)
    return made
