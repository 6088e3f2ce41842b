"""Which providers can be connected, in words: read without loading an adapter and the client library behind it."""

from dataclasses import dataclass

from apps.providers.contracts import ProviderRejectedError
from apps.providers.registry import PROVIDERS, provider_class


@dataclass(frozen=True)
class Listed:
    name: str
    label: str
    summary: str


CATALOGUE: tuple[Listed, ...] = (
    Listed(
        "openai",
        "OpenAI and compatible",
        "OpenAI itself, and every server with its fine-tuning API: Azure, Nebius, LocalAI, another ftportal.",
    ),
    Listed("together", "Together AI", "Open-weight models, tuned and served by Together."),
    Listed("fireworks", "Fireworks AI", "Open-weight models, tuned and served by Fireworks."),
    Listed("vertex", "Google Vertex AI", "Gemini models, with data in Cloud Storage."),
    Listed(
        "bedrock",
        "Amazon Bedrock",
        "Nova, Llama and Claude as far as your region offers them, with data in S3.",
    ),
    Listed(
        "huggingface",
        "Hugging Face endpoint",
        "Inference Endpoints and text-generation servers: asked, not trained.",
    ),
)
_BY_NAME = {each.name: each for each in CATALOGUE}


def connectable() -> list[Listed]:
    """Providers with an adapter here, in the order in which they are offered."""
    named = [each for each in CATALOGUE if each.name in PROVIDERS]
    others = [_unlisted(name) for name in PROVIDERS if name not in _BY_NAME]
    return named + [each for each in others if each is not None]


def _unlisted(name: str) -> Listed | None:
    """An adapter that somebody added; None for one that takes no settings, such as this installation's own trainer."""
    try:
        kind = provider_class(name)
    except ProviderRejectedError:
        return None
    return Listed(name, str(kind.label), "") if hasattr(kind, "settings") else None


def provider_label(name: str) -> str:
    """What people call the provider; its stored name where nothing else is known."""
    listed = _BY_NAME.get(name)
    return listed.label if listed is not None else name.capitalize()
