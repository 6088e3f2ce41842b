"""What has to be right before anything starts; each problem is one sentence that says what to do."""

import errno
import json
import shutil
import socket
from importlib import import_module
from pathlib import Path

import psutil

from ftportal.environment import CHECKOUT, Environment

MINIMUM_FREE_BYTES = 500 * 1024 * 1024


class PreflightError(Exception):
    """ftportal cannot start here; the message says why and what to do."""


def check(environment: Environment) -> None:
    """Raises PreflightError with the first problem found. The home exists already."""
    check_browser_packages(CHECKOUT)
    check_port(environment.host, environment.port)
    if not environment.embedded_redis:
        check_redis(environment.redis_url)


def check_settings() -> None:
    """Whether every variable makes sense, those that only Django's settings read included."""
    # Imported here: it costs what importing Django costs, and what it reads may be what is wrong.
    from django.core.exceptions import ImproperlyConfigured

    try:
        import_module("ftportal.settings")
    except ImproperlyConfigured as error:
        raise PreflightError(str(error)) from error


def check_free_space(path: Path, *, minimum: int = MINIMUM_FREE_BYTES) -> None:
    free = shutil.disk_usage(path).free
    if free < minimum:
        raise PreflightError(
            f"Only {free // 2**20} MB are free where {path} is, and {minimum // 2**20} MB are needed:"
            " make room, or set FTPORTAL_HOME to a directory on a larger disk."
        )


def missing_browser_packages(root: Path) -> list[str]:
    """The packages of package.json that are not in node_modules."""
    wanted = json.loads((root / "package.json").read_text(encoding="utf-8"))["dependencies"]
    return [name for name in sorted(wanted) if not (root / "node_modules" / name / "package.json").is_file()]


def check_browser_packages(root: Path) -> None:
    missing = missing_browser_packages(root)
    if missing:
        raise PreflightError(
            f"The browser packages {', '.join(missing)} are not in {root / 'node_modules'}: run make setup"
            " (or npm ci) there."
        )


def check_port(host: str, port: int) -> None:
    try:
        address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(address[0], socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address[4])
    except socket.gaierror as error:
        raise PreflightError(
            f"FTPORTAL_HOST is {host!r}, which is no address of this machine: {error}."
        ) from error
    except OSError as error:
        raise PreflightError(_port_problem(host, port, error)) from error


def check_redis(url: str) -> None:
    """The server that REDIS_URL names; its address is not repeated, since it may hold a password."""
    import redis  # only where it is not our own

    try:
        with redis.Redis.from_url(url, socket_connect_timeout=5, socket_timeout=5) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        raise PreflightError(
            f"Redis cannot be reached: {str(error).rstrip('.')}. Check REDIS_URL and that Redis runs."
        ) from error


def _port_problem(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {host} is in use{_listener(port)}: stop that, or choose another port,"
            f" for example FTPORTAL_PORT={port + 1 if port < 65535 else 8000}."
        )
    if error.errno == errno.EACCES:
        return f"This user may not listen on port {port}: set FTPORTAL_PORT to one from 1024 up."
    return (
        f"Nothing can listen on {host} port {port} ({error.strerror}): check FTPORTAL_HOST and FTPORTAL_PORT."
    )


def _listener(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            listening = connection.status == psutil.CONN_LISTEN and getattr(connection.laddr, "port", None)
            if listening == port and connection.pid:
                return f" by process {connection.pid} ({psutil.Process(connection.pid).name()})"
    except psutil.Error:
        pass
    return ""
