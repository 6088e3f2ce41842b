"""`ftportal run NAME` and `ftportal worker QUEUE`: one program in this process's place, for a host of its own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from ftportal.embedded.directories import prepare as prepare_directories
from ftportal.embedded.services import services_available
from ftportal.environment import Environment
from ftportal.prepare import collect_static
from ftportal.programs import Program, child_variables, program
from ftportal.supervisor import StopRequest, StopRequestedError
from ftportal.trainers import stop_trainers


def run(environment: Environment, name: str) -> int:
    """Become the program; returns only where there is something to do after its end."""
    prepare_directories(environment)
    variables = child_variables(environment)
    if name == "web":
        collect_static(environment, variables)
    chosen = program(name, environment)
    sys.stdout.flush()
    if name != "training":
        os.execvpe(chosen.command[0], chosen.command, variables | chosen.variables)  # noqa: S606
    return with_trainers(chosen, variables | chosen.variables, environment.home / "jobs")


def with_trainers(worker: Program, variables: Mapping[str, str], jobs: Path) -> int:
    """Run the worker of trainings until a stop is asked for, then let every trainer under `jobs` write a checkpoint.

    By itself the worker would wait for its trainings to end, which may take days. Exit code: the worker's, or 0.
    """
    stop = StopRequest()
    stop.raises = False  # until there is a child to stop
    process = subprocess.Popen(worker.command, env=variables)
    try:
        stop.raises = True
        if stop.name is not None:
            raise StopRequestedError(stop.name)
        return process.wait()
    except StopRequestedError:
        process.terminate()
        try:
            process.wait(worker.grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        stop_trainers(jobs)
        return 0


def manage(environment: Environment, arguments: list[str]) -> int:
    """A Django management command with the services up: those of a running ftportal, or for its own duration."""
    command = [sys.executable, "-m", "django", *arguments]
    with services_available(environment):
        return subprocess.run(command, env=child_variables(environment), check=False).returncode
