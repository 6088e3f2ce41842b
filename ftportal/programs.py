"""The programs that make up ftportal, each as a command line: what `ftportal up` starts together and
`ftportal run NAME` starts alone, on a host of its own."""

import os
import signal
import sys
from dataclasses import dataclass, field

from ftportal.environment import ConfigurationError, Environment, env_int

RESTART_WINDOW = 120.0  # seconds
WORKER_KILOBYTES = 250_000
"""A process of the default worker that has grown over this is replaced after its work: what a million rows leave behind
in pieces is never given back otherwise."""
LEAN_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1000000", "MALLOC_TRIM_THRESHOLD_": "1000000"}
"""glibc gives large arrays back as soon as they are freed, instead of keeping more and more of them for later."""
NAMES = ("web", "control", "default", "training", "beat", "inference")
QUEUES = ("control", "default", "training")


@dataclass(frozen=True, kw_only=True)
class Program:
    """A command line with a name for the log."""

    name: str
    command: list[str]
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 8.0  # seconds between the stop signal and SIGKILL
    may_end: bool = False  # a step rather than a server: its end is no failure
    restarts: int = 3  # times within RESTART_WINDOW that it is started again after it ended by itself
    variables: dict[str, str] = field(default_factory=dict)


def program(name: str, environment: Environment) -> Program:
    """The program called `name`, one of NAMES."""
    if name == "web":
        return _web(environment)
    if name == "beat":
        return _beat(environment)
    if name == "inference":
        return _inference(environment)
    return _worker(name)


def child_variables(environment: Environment) -> dict[str, str]:
    """What a program finds in its environment."""
    return os.environ | {
        "FTPORTAL_HOME": str(environment.home),
        "DJANGO_SETTINGS_MODULE": "ftportal.settings",
        "PYTHONUNBUFFERED": "1",
    }


def _web(environment: Environment) -> Program:
    processes = env_int("FTPORTAL_WEB_PROCESSES", default=1, minimum=1, maximum=64)
    command = [
        sys.executable, "-m", "uvicorn", "ftportal.asgi:application", "--host", environment.host,
        "--port", str(environment.port), "--lifespan", "off", "--no-access-log", "--log-level", "warning",
        "--timeout-graceful-shutdown", "3",
    ]  # fmt: skip
    if processes > 1:
        command += ["--workers", str(processes)]
    return Program(name="web", command=command)


def _worker(queue: str) -> Program:
    """A Celery worker for one queue. What it waits for (a trainer, a provider) needs threads; work of its own,
    processes."""
    pool, count, grace = {
        "control": ("threads", 1, 8.0),
        "default": ("prefork", env_int("FTPORTAL_WORKER_PROCESSES", default=2, minimum=1), 8.0),
        # It would wait for the training to end. The trainer is stopped on its own, and resumes at the next start.
        "training": ("threads", env_int("FTPORTAL_TRAINING_CONCURRENCY", default=1, minimum=1), 2.0),
    }[queue]
    command = [
        *_celery(), "worker", "--queues", queue, "--hostname", f"{queue}@%h", "--pool", pool,
        "--concurrency", str(count), "--without-gossip", "--without-mingle", "--loglevel", "INFO",
    ]  # fmt: skip
    if pool != "prefork":
        return Program(name=queue, command=command, grace=grace)
    command += ["--max-memory-per-child", str(WORKER_KILOBYTES)]
    return Program(name=queue, command=command, grace=grace, variables=LEAN_MEMORY)


def _beat(environment: Environment) -> Program:
    schedule = environment.home / "cache" / "beat-schedule"
    return Program(name="beat", command=[*_celery(), "beat", "--schedule", str(schedule), "--pidfile="])


def _inference(environment: Environment) -> Program:
    cache = environment.home / "cache" / "models"
    command = [sys.executable, "-m", "apps.providers.adapters.local.inference", "--cache", str(cache)]
    return Program(
        name="inference",
        command=command + _inference_address(environment),
        grace=2.0,
        variables={"FTPORTAL_INFERENCE_TOKEN": environment.inference_token},
    )


def _inference_address(environment: Environment) -> list[str]:
    """Beside the others on a socket; on a host of its own on a port, which the others know by URL."""
    port = env_int("FTPORTAL_INFERENCE_PORT", default=0, minimum=0, maximum=65535)
    if port and environment.inference_url is not None:
        return ["--host", environment.host, "--port", str(port)]
    if not port and environment.inference_socket is not None:
        return ["--socket", str(environment.inference_socket)]
    missing = "FTPORTAL_INFERENCE_URL" if port else "FTPORTAL_INFERENCE_PORT"
    raise ConfigurationError(
        f"{missing} is not set: on a host of its own the inference program needs a port to listen on,"
        " and every program the URL at which it is reached."
    )


def _celery() -> list[str]:
    # Root in a container is no news, and the messages carry ids, not pickled objects.
    quiet = ["-W", "ignore:You're running the worker with superuser privileges"]
    return [sys.executable, *quiet, "-m", "celery", "--app", "ftportal.celery", "--quiet"]
