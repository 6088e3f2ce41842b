"""The cache with a real Redis, and with none."""

import socket

from django.core.cache import cache

from apps.core.cache import ForgivingRedisCache


def test_what_was_kept_is_found():
    cache.set("tests:kept", {"loss": 0.5}, 60)
    assert cache.get("tests:kept") == {"loss": 0.5}


def test_without_redis_nothing_is_known_and_nothing_fails():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # not listening: every connection is refused
        away = ForgivingRedisCache(f"redis://127.0.0.1:{nobody.getsockname()[1]}/0", {})
        away.set("tests:lost", 1, 60)
        assert away.get("tests:lost") is None
        assert away.get("tests:lost", "unknown") == "unknown"
