"""Telling open pages that something changed. A hint only: pages read the state from the database."""

import logging
from functools import cache

import redis
import redis.asyncio
from django.conf import settings

logger = logging.getLogger(__name__)


@cache
def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.FTPORTAL_REDIS_URL, socket_timeout=2, socket_connect_timeout=2)


def channel_of_workspace(workspace_id: int) -> str:
    return f"ftportal:workspace:{workspace_id}"


def channel_of_subject(subject_type: str, subject_id: int) -> str:
    return f"ftportal:{subject_type}:{subject_id}"


def announce(*channels: str) -> None:
    """Wake the pages that listen. Without Redis nothing is lost: they look again by themselves."""
    try:
        for channel in channels:
            _client().publish(channel, b"1")
    except redis.RedisError as error:
        logger.warning("live.announce_failed", extra={"reason": str(error)})


def async_client() -> redis.asyncio.Redis:
    """A connection of its own for one listening page."""
    return redis.asyncio.Redis.from_url(settings.FTPORTAL_REDIS_URL)
