"""How many requests a key may make a minute, counted in Redis for all web processes together."""

import logging
import time
from dataclasses import dataclass

import redis.asyncio
from django.conf import settings

from apps.gateway.errors import ApiError

logger = logging.getLogger(__name__)

WINDOW = 60
REDIS_SECONDS = 0.25


@dataclass(frozen=True)
class Allowance:
    limit: int
    remaining: int
    resets_in: float

    def headers(self) -> list[tuple[bytes, bytes]]:
        return [
            (b"x-ratelimit-limit-requests", str(self.limit).encode()),
            (b"x-ratelimit-remaining-requests", str(self.remaining).encode()),
            (b"x-ratelimit-reset-requests", f"{self.resets_in:.3f}s".encode()),
        ]


class RateLimits:
    """Belongs to one event loop. While Redis is away nothing is limited: a team's work goes on."""

    def __init__(self) -> None:
        self._limit = settings.FTPORTAL_API_REQUESTS_PER_MINUTE
        self._redis = (
            redis.asyncio.Redis.from_url(
                settings.FTPORTAL_REDIS_URL,
                socket_timeout=REDIS_SECONDS,
                socket_connect_timeout=REDIS_SECONDS,
            )
            if self._limit
            else None
        )

    async def take(self, key_id: int) -> Allowance | None:
        """One request of this key. Raises ApiError 429; None where nothing is limited."""
        if self._redis is None:
            return None
        now = time.time()
        window = int(now // WINDOW)
        name = f"gateway:requests:{key_id}:{window}"
        try:
            async with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.incr(name)
                pipeline.expire(name, 2 * WINDOW)
                count, _ = await pipeline.execute()
        except (redis.RedisError, OSError) as error:
            logger.warning("gateway.limits_away", extra={"reason": str(error)})
            return None
        left = (window + 1) * WINDOW - now
        allowance = Allowance(self._limit, max(0, self._limit - count), left)
        if count > self._limit:
            raise ApiError(
                f"Rate limit reached: this key may make {self._limit} requests a minute. Try again in {left:.0f} s.",
                status=429,
                code="rate_limit_exceeded",
                retry=True,
                headers={
                    "Retry-After": str(max(1, round(left))),
                    **{name.decode(): value.decode() for name, value in allowance.headers()},
                },
            )
        return allowance

    async def close(self) -> None:
        if self._redis is not None:
            await self._redis.aclose()
