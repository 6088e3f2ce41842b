"""Brings the database and the static files up to date, and only when something has changed.

Whether something has changed is found out without Django, in milliseconds; the work itself is a program:

    python -m ftportal.prepare [--migrate] [--static] [--admin]      prints one JSON object on its last line
"""

import argparse
import contextlib
import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from ftportal.environment import CHECKOUT, Environment

RECORD = "prepared.json"
CODE = Path(__file__).resolve().parent


class PreparationError(Exception):
    """The database or the static files could not be brought up to date."""


@dataclass(frozen=True, kw_only=True)
class FirstAdmin:
    """The account made at the first start; its password is shown once."""

    email: str
    password: str


@dataclass(frozen=True, kw_only=True)
class Needs:
    migrate: bool
    static: bool
    admin: bool

    @property
    def arguments(self) -> list[str]:
        wanted = {"--migrate": self.migrate, "--static": self.static, "--admin": self.admin}
        return [option for option, want in wanted.items() if want]


def prepare(environment: Environment, variables: Mapping[str, str]) -> FirstAdmin | None:
    """Do what is needed; returns the account if one was made. Raises PreparationError."""
    state = _state()
    needs = find_needs(environment, state)
    if not needs.arguments:
        return None
    print("ftportal: bringing the database and the static files up to date …", flush=True)
    outcome = _run(needs.arguments, variables)
    _write_record(environment, state | {"applied": applied_migrations(environment.database_url)})
    admin = outcome.get("admin")
    return FirstAdmin(**admin) if isinstance(admin, dict) else None


def collect_static(environment: Environment, variables: Mapping[str, str]) -> None:
    """The static files alone, for a host that only serves the web. Raises PreparationError."""
    state = _state()
    if static_is_stale(environment, state):
        _run(["--static"], variables)
        _write_record(environment, _record(environment) | {"static": state["static"]})


def _run(arguments: list[str], variables: Mapping[str, str]) -> dict[str, object]:
    command = [sys.executable, "-m", "ftportal.prepare", *arguments]
    result = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if result.returncode:
        said = "\n".join((result.stdout + result.stderr).splitlines()[-20:])
        raise PreparationError(f"The database or the static files could not be brought up to date:\n{said}")
    outcome: dict[str, object] = json.loads(result.stdout.splitlines()[-1])
    return outcome


def _record(environment: Environment) -> dict[str, object]:
    try:
        record: dict[str, object] = json.loads(
            (environment.home / "cache" / RECORD).read_text(encoding="utf-8")
        )
    except (OSError, ValueError):
        return {}
    return record


def _write_record(environment: Environment, record: Mapping[str, object]) -> None:
    (environment.home / "cache" / RECORD).write_text(json.dumps(record), encoding="utf-8")


def find_needs(environment: Environment, state: Mapping[str, object]) -> Needs:
    record = _record(environment)
    applied = applied_migrations(environment.database_url)
    migrated = (
        record.get("migrations") == state["migrations"] and applied and record.get("applied") == applied
    )
    return Needs(
        migrate=not migrated,
        static=static_is_stale(environment, state),
        admin=not migrated or not _has_users(environment.database_url),
    )


def static_is_stale(environment: Environment, state: Mapping[str, object]) -> bool:
    collected = (environment.home / "static" / "staticfiles.json").is_file()
    return not collected or _record(environment).get("static") != state["static"]


def applied_migrations(database_url: str) -> int:
    """How many migrations the database has had; 0 for a new one."""
    return int(_value(database_url, "SELECT count(*) FROM django_migrations") or 0)


def _has_users(database_url: str) -> bool:
    return bool(_value(database_url, "SELECT EXISTS (SELECT FROM accounts_user)"))


def _value(database_url: str, query: LiteralString) -> Any:
    """One value from the database; None when the table is not there yet."""
    try:
        with psycopg.connect(database_url, connect_timeout=10) as connection:
            row = connection.execute(query).fetchone()
            return None if row is None else row[0]
    except psycopg.errors.UndefinedTable:
        return None
    except psycopg.OperationalError as error:
        raise PreparationError(
            f"The database cannot be reached: {str(error).strip()}. Check DATABASE_URL and that Postgres runs."
        ) from error


def _state() -> dict[str, str]:
    """Digests of what migrations and static files are made from."""
    common = [CODE / "settings.py", CHECKOUT / "requirements" / "lock.txt"]
    migrations = sorted((CODE.parent / "apps").glob("*/migrations/*.py"))
    static = [CODE / "static_storage.py", CHECKOUT / "package-lock.json"]
    own = sorted(path for path in (CHECKOUT / "static").rglob("*") if path.is_file())
    return {"migrations": _digest([*common, *migrations]), "static": _digest([*common, *static, *own])}


def _digest(paths: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes() if path.is_file() else b""
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ftportal.prepare")
    for option in ("--migrate", "--static", "--admin"):
        parser.add_argument(option, action="store_true")
    arguments = parser.parse_args()

    import django
    from django.core.management import call_command

    outcome: dict[str, object] = {}
    with contextlib.redirect_stdout(sys.stderr):
        django.setup()
        if arguments.migrate:
            call_command("migrate", interactive=False, verbosity=1)
        if arguments.static:
            call_command("collectstatic", interactive=False, clear=True, verbosity=0)
        if arguments.admin:
            from apps.accounts.services import first_admin_create

            admin = first_admin_create()
            if admin is not None:
                outcome["admin"] = {"email": admin.email, "password": admin.password}
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
