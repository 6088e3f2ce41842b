"""Which queues are served by a live worker: a key in Redis that its process keeps alive."""

import threading

import redis
from django.conf import settings

from apps.operations.kinds import QUEUES

TTL_SECONDS = 15
_PREFIX = "ftportal:presence:"
_stop = threading.Event()


def start_announcing(*, queues: list[str], name: str) -> None:
    """Keep this worker's keys alive from a thread until `stop_announcing`."""
    _stop.clear()
    threading.Thread(target=_announce, args=(queues, name), name="presence", daemon=True).start()


def stop_announcing() -> None:
    _stop.set()


def _announce(queues: list[str], name: str) -> None:
    client = redis.Redis.from_url(settings.FTPORTAL_REDIS_URL, socket_timeout=2)
    while True:
        for queue in queues:
            try:
                client.set(f"{_PREFIX}{queue}:{name}", b"1", ex=TTL_SECONDS)
            except redis.RedisError:
                break  # Redis is away; the key dies by itself and comes back with it
        if _stop.wait(TTL_SECONDS / 3):
            return


def queues_without_worker() -> list[str] | None:
    """Queues that nobody serves now; None when Redis cannot say."""
    client = redis.Redis.from_url(settings.FTPORTAL_REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
    try:
        served = {
            key.decode().removeprefix(_PREFIX).split(":", 1)[0] for key in client.scan_iter(f"{_PREFIX}*")
        }
    except redis.RedisError:
        return None
    finally:
        client.close()
    return [queue for queue in QUEUES if queue not in served]
