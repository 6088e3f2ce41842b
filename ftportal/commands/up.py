"""`ftportal up` and `ftportal demo`: services, web, workers, together until a stop is asked for."""

import http.client
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ftportal import preflight
from ftportal.embedded.claim import Child, Claim
from ftportal.embedded.directories import prepare as prepare_directories
from ftportal.embedded.errors import tail
from ftportal.embedded.postgres import data_directory
from ftportal.embedded.services import services_running
from ftportal.environment import Environment
from ftportal.prepare import FirstAdmin, prepare
from ftportal.programs import NAMES, Program, child_variables, program
from ftportal.supervisor import Ending, StopRequest, StopRequestedError, Supervisor
from ftportal.trainers import stop_trainers

WEB_HEAD_START = 20.0  # seconds after which the workers start even if no page has come
DEMO = "demo"


def up(environment: Environment) -> int:
    """Run until SIGINT, SIGTERM or SIGHUP: exit code 0. A program that fails again and again ends all: 1."""
    return _run(environment, demo=None)


def demo(environment: Environment, *, exit_when_done: bool) -> int:
    """The same, with the demo project run through it. With `exit_when_done`: 0 only if every step succeeded."""
    command = [sys.executable, "-m", "ftportal.commands.demo_step"]
    if exit_when_done:
        command.append("--exit")
    return _run(environment, demo=Program(name=DEMO, command=command, may_end=True))


def _run(environment: Environment, *, demo: Program | None) -> int:
    stop = StopRequest()
    try:
        programs = _programs(environment, demo)
        prepare_directories(environment)
        preflight.check_free_space(environment.home)  # without room not even the lock can be written
        with Claim.acquire(environment.home) as claim:
            preflight.check(environment)
            if environment.embedded_postgres and not (data_directory(environment) / "PG_VERSION").exists():
                print(f"ftportal: the first start makes a database in {environment.home} …", flush=True)
            with services_running(environment, claim) as services:
                variables = child_variables(environment) | {"FTPORTAL_SUPERVISOR_PID": str(os.getpid())}
                admin = prepare(environment, variables)
                ending = _supervise(
                    environment, claim, variables, stop, services, admin=admin, programs=programs
                )
                stop.raises = False
    except StopRequestedError:
        return 0
    if ending.culprit is None:
        return ending.code
    print(
        f"\nftportal: {ending.culprit} stopped unexpectedly (exit code {ending.code}); all else was stopped."
    )
    # Programs speak through us; a service writes a log of its own.
    last = ending.last_lines or tail(environment.home / "logs" / f"{ending.culprit}.log").splitlines()
    if last:
        print("Its last lines:\n  " + "\n  ".join(last))
    return 1


def _programs(environment: Environment, demo: Program | None) -> list[Program]:
    """Web first. Raises ConfigurationError for a variable of theirs that makes no sense."""
    names = [name for name in NAMES if name != "inference" or environment.inference_socket is not None]
    programs = [program(name, environment) for name in names]
    return programs if demo is None else [*programs, demo]


def _supervise(
    environment: Environment,
    claim: Claim,
    variables: dict[str, str],
    stop: StopRequest,
    services: list[Child],
    *,
    admin: FirstAdmin | None,
    programs: list[Program],
) -> Ending:
    web, *others = programs
    supervisor = Supervisor(
        claim, variables, width=max(map(len, [each.name for each in programs] + ["ftportal"]))
    )

    def on_end(name: str, code: int) -> Ending | None:
        if "--exit" in programs[-1].command:
            return Ending(code=code)
        result = "done" if code == 0 else f"failed (exit code {code})"
        supervisor.say(f"{name} {result}; the dashboard stays at {url(environment)} until Ctrl-C")
        return None

    with _stopping(supervisor, environment):
        supervisor.start(web)
        return supervisor.run(
            stop,
            later=others,
            head_start=WEB_HEAD_START,
            ready=lambda: answers(environment),
            on_ready=lambda: announce(environment, admin),
            on_end=on_end,
            services=services,
        )


@contextmanager
def _stopping(supervisor: Supervisor, environment: Environment) -> Iterator[None]:
    """Programs first, so that nobody starts a trainer any more; then the trainers; the services come later."""
    try:
        yield
    finally:
        supervisor.stop()
        stop_trainers(environment.home / "jobs")


def url(environment: Environment) -> str:
    host = environment.host
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not listened on
        host = "localhost"
    return f"http://{f'[{host}]' if ':' in host else host}:{environment.port}/"


def answers(environment: Environment) -> bool:
    """Whether the web program answers a request."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(environment.host, environment.host)  # noqa: S104
    connection = http.client.HTTPConnection(host, environment.port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def announce(environment: Environment, admin: FirstAdmin | None) -> None:
    lines = [f"ftportal is at {url(environment)}"]
    if admin is not None:
        lines += [
            "",
            "First sign-in (shown this once; change the password afterwards):",
            f"  e-mail    {admin.email}",
            f"  password  {admin.password}",
        ]
    lines += ["", f"Data: {environment.home}   Stop: Ctrl-C"]
    width = max(map(len, lines))
    print("┌─" + "─" * width + "─┐")
    for line in lines:
        print(f"│ {line.ljust(width)} │")
    print("└─" + "─" * width + "─┘", flush=True)
