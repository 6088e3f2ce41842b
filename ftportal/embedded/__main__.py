"""Run a command with the embedded services up.

    python -m ftportal.embedded [--home DIR | --temporary] [--no-fsync] -- COMMAND …

The command finds the services through FTPORTAL_HOME. Exit code: the command's; 2 when a service cannot start.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ftportal.embedded.claim import Claim
from ftportal.embedded.errors import ServiceError
from ftportal.embedded.services import services_available
from ftportal.environment import ConfigurationError, home_directory, load


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m ftportal.embedded", description="Run with services up.")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--home", type=Path, help="the home to use (default: FTPORTAL_HOME)")
    where.add_argument(
        "--temporary", action="store_true", help="a home that is removed afterwards, for tests"
    )
    parser.add_argument("--no-fsync", action="store_true", help="quicker; a power cut may lose the data")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND …")
    arguments = parser.parse_args()
    command = [word for word in arguments.command if word != "--" or arguments.command.index(word) > 0]
    if not command:
        parser.error("name a command to run after --")
    try:
        with _home(arguments.home, temporary=arguments.temporary) as home:
            # The embedded services are the point here: a DATABASE_URL that means another one is left out.
            variables = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "REDIS_URL"}}
            variables["FTPORTAL_HOME"] = str(home)
            durable = not (arguments.temporary or arguments.no_fsync)
            with services_available(load(variables), durable=durable) as claim:
                return _run(command, variables, claim)
    except (ConfigurationError, ServiceError) as error:
        print(f"ftportal: {error}", file=sys.stderr)
        return 2


@contextmanager
def _home(given: Path | None, *, temporary: bool) -> Iterator[Path]:
    if not temporary:
        yield (given or home_directory()).absolute()
        return
    with tempfile.TemporaryDirectory(prefix="ftportal-") as name:
        yield Path(name)


def _run(command: list[str], variables: dict[str, str], claim: Claim | None) -> int:
    """Run the command; pass a stop on to it and wait, so that the services go last."""
    try:
        process = subprocess.Popen(command, env=variables)
    except OSError as error:
        print(f"ftportal: {command[0]} cannot be run: {error.strerror}", file=sys.stderr)
        return 127
    if claim is not None:
        claim.adopt(process.pid)

    def pass_on(number: int, _frame: object) -> None:
        if number != signal.SIGINT:  # the terminal sends Ctrl-C to the command as well
            process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, pass_on)
    code = process.wait()
    return 128 - code if code < 0 else code


if __name__ == "__main__":
    sys.exit(main())
