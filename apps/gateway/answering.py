"""What lives as long as an event loop: connections to the models, and what was looked up moments ago."""

from apps.gateway.authentication import KnownKeys
from apps.gateway.rate_limits import RateLimits
from apps.gateway.served import KnownModels
from apps.providers.contracts import StreamingInference
from apps.registry.inference import streaming_for


class Answering:
    def __init__(self) -> None:
        self.keys = KnownKeys()
        self.limits = RateLimits()
        self.models = KnownModels()
        self._inference: dict[str, StreamingInference] = {}

    def inference(self, provider: str) -> StreamingInference:
        """The provider's answers; raises ProviderError where it has none for this API."""
        if provider not in self._inference:
            self._inference[provider] = streaming_for(provider)
        return self._inference[provider]

    async def close(self) -> None:
        for inference in self._inference.values():
            await inference.close()
        await self.limits.close()
