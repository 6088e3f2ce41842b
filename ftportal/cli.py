"""The `ftportal` command."""

import argparse
import os
import sys

# Before anything that only a newer Python can read.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(f"ftportal needs Python 3.11 or newer; this is {sys.version.split()[0]}.")

from ftportal.embedded.errors import ServiceError
from ftportal.environment import ConfigurationError, Environment, load
from ftportal.preflight import PreflightError, check_settings
from ftportal.prepare import PreparationError
from ftportal.programs import NAMES, QUEUES


def main(arguments: list[str] | None = None) -> int:
    """Exit code 0: done or stopped as asked. 1: something failed. 2: it could not start, with the reason."""
    parser = build_parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command not in {"manage", "apikey"}:
        parser.error(f"unknown argument: {rest[0]}")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ftportal.settings")
    try:
        return dispatch(options, rest, load())
    except (ConfigurationError, ServiceError, PreflightError, PreparationError) as error:
        print(f"ftportal: {error}", file=sys.stderr)
        return 2


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ftportal", description="Run LLM fine-tuning projects as a team.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("up", help="start everything on this machine; Ctrl-C stops it")
    demo = commands.add_parser("demo", help="start everything and run the demo project through it")
    demo.add_argument(
        "--exit", action="store_true", help="stop afterwards; exit code 0 if every step succeeded"
    )
    run = commands.add_parser("run", help="one program alone, for a host of its own")
    run.add_argument("name", choices=NAMES)
    worker = commands.add_parser("worker", help="one worker alone, for a host of its own")
    worker.add_argument("queue", choices=QUEUES)
    apikey = commands.add_parser("apikey", help="keys for the API", add_help=False)
    apikey.add_argument("action", choices=["create"])
    doctor = commands.add_parser(
        "doctor", help="what is configured, reachable or missing, and how to mend it"
    )
    doctor.add_argument("--json", action="store_true", help="for programs")
    commands.add_parser("manage", help="a Django management command", add_help=False)
    return parser


def dispatch(options: argparse.Namespace, rest: list[str], environment: Environment) -> int:
    if options.command != "doctor":  # which reports them
        check_settings()
    if options.command == "up":
        from ftportal.commands.up import up

        return up(environment)
    if options.command == "demo":
        from ftportal.commands.up import demo

        return demo(environment, exit_when_done=options.exit)
    if options.command == "doctor":
        from ftportal.doctor import main as doctor

        return doctor(environment, as_json=options.json)
    from ftportal.commands.run import manage, run

    if options.command == "apikey":
        return manage(environment, ["apikey_create", *rest])
    if options.command == "manage":
        return manage(environment, rest)
    return run(environment, options.name if options.command == "run" else options.queue)


if __name__ == "__main__":
    sys.exit(main())
