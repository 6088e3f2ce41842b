"""Whatever services the environment leaves to us, for the length of a block.

Why so: docs/adr/0001-embedded-services.md.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ftportal.embedded import directories, postgres, redis
from ftportal.embedded.claim import Child, Claim, lock_holder
from ftportal.embedded.errors import HomeBusyError
from ftportal.environment import Environment, load

JOIN_LIMIT = 60.0  # seconds to wait for services that another ftportal is just starting


@dataclass(frozen=True, kw_only=True)
class ServiceURLs:
    """Where the services of a home are."""

    database_url: str
    redis_url: str


@contextmanager
def services_running(
    environment: Environment, claim: Claim, *, durable: bool = True
) -> Iterator[list[Child]]:
    """Run what `environment` wants embedded, under a claim that the caller holds. Postgres stops last."""
    directories.prepare(environment)
    with ExitStack() as stack:
        children = []
        if environment.embedded_postgres:
            children.append(
                stack.enter_context(postgres.postgres_running(environment, claim, durable=durable))
            )
        if environment.embedded_redis:
            children.append(stack.enter_context(redis.redis_running(environment, claim, durable=durable)))
        yield children


@contextmanager
def services_available(environment: Environment, *, durable: bool = True) -> Iterator[Claim | None]:
    """For one command: use the services of an ftportal that runs on this home, else run them for the block.

    Yields the claim in the second case. Raises ServiceError.
    """
    if not (environment.embedded_postgres or environment.embedded_redis):
        yield None
        return
    directories.make(environment.home, mode=0o700, parents=True)
    try:
        claim = Claim.acquire(environment.home)
    except HomeBusyError:
        _wait_for_others(environment)
        yield None
        return
    with claim, services_running(environment, claim, durable=durable):
        yield claim


@contextmanager
def embedded_services(home: Path, *, durable: bool = True) -> Iterator[ServiceURLs]:
    """Both services under `home`, whatever the environment says. For tests."""
    environment = load({"FTPORTAL_HOME": str(home)})
    directories.prepare(environment)
    with Claim.acquire(environment.home) as claim, services_running(environment, claim, durable=durable):
        yield ServiceURLs(database_url=environment.database_url, redis_url=environment.redis_url)


def _wait_for_others(environment: Environment) -> None:
    """The holder of the home may be just starting, or run something else than services."""
    deadline = time.monotonic() + JOIN_LIMIT
    while not _reachable(environment):
        if time.monotonic() > deadline:
            raise HomeBusyError(environment.home, lock_holder(environment.home))
        time.sleep(0.1)


def _reachable(environment: Environment) -> bool:
    if environment.embedded_postgres and not postgres.is_ready(postgres.data_directory(environment)):
        return False
    return not environment.embedded_redis or redis.answers(redis.socket_path(environment))
