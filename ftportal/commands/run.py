"""`ftportal run NAME` and `ftportal worker QUEUE`: one program in this process's place, for a host of its own."""

import os
import subprocess
import sys

from ftportal.embedded.directories import prepare as prepare_directories
from ftportal.embedded.services import services_available
from ftportal.environment import Environment
from ftportal.prepare import collect_static
from ftportal.programs import child_variables, program


def run(environment: Environment, name: str) -> int:
    """Become the program; does not return."""
    prepare_directories(environment)
    variables = child_variables(environment)
    if name == "web":
        collect_static(environment, variables)
    chosen = program(name, environment)
    sys.stdout.flush()
    os.execvpe(chosen.command[0], chosen.command, variables | chosen.variables)  # noqa: S606


def manage(environment: Environment, arguments: list[str]) -> int:
    """A Django management command with the services up: those of a running ftportal, or for its own duration."""
    command = [sys.executable, "-m", "django", *arguments]
    with services_available(environment):
        return subprocess.run(command, env=child_variables(environment), check=False).returncode
