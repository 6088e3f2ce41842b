"""What lives as long as an event loop: connections to the models, and what was looked up moments ago."""

from apps.gateway.authentication import KnownKeys
from apps.gateway.rate_limits import RateLimits
from apps.gateway.served import KnownModels
from apps.providers.contracts import StreamingInference
from apps.registry.inference import streaming_for
from apps.registry.models import BaseModel


class Answering:
    def __init__(self) -> None:
        self.keys = KnownKeys()
        self.limits = RateLimits()
        self.models = KnownModels()
        self._inference: dict[object, StreamingInference] = {}

    def inference(self, base: BaseModel) -> StreamingInference:
        """What answers for a base model and what is tuned from it; raises ProviderError where nothing does here."""
        connection = base.connection
        key = base.provider if connection is None else (connection.pk, connection.updated_at)
        if key not in self._inference:
            self._inference[key] = streaming_for(base)
        return self._inference[key]

    async def close(self) -> None:
        for inference in self._inference.values():
            await inference.close()
        await self.limits.close()
