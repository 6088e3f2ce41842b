"""The directories of a home, and who may enter them."""

import os
import pwd
import stat
import subprocess
from pathlib import Path

from ftportal.embedded.errors import ServiceError
from ftportal.environment import Environment, advice_for

SERVICE_USER = "pgserver"  # the name that the Postgres package uses as well
PRIVATE = ("cache", "jobs", "logs", "redis")


def service_account() -> pwd.struct_passwd | None:
    """The account that Postgres runs under: None for this one. As root another is needed; it is made once."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(SERVICE_USER)
    except KeyError:
        pass
    command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVICE_USER]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
        return pwd.getpwnam(SERVICE_USER)
    except (OSError, KeyError, subprocess.CalledProcessError) as error:
        raise ServiceError(
            f"Postgres does not run as root, and an account {SERVICE_USER!r} for it cannot be made ({error}):"
            f" make it with '{' '.join(command[:2])} {SERVICE_USER}', run ftportal as an ordinary user,"
            " or set DATABASE_URL."
        ) from error


def prepare(environment: Environment) -> None:
    """Make the directories under the home and the one for sockets. Raises ServiceError."""
    # As root, Postgres runs under another account and must pass through; names inside stay unlisted.
    mode = 0o711 if os.geteuid() == 0 else 0o700
    make(environment.home, mode=mode, parents=True)
    for name in PRIVATE:
        make(environment.home / name, mode=0o700)
    make(environment.run_directory, mode=mode)
    found = environment.run_directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise ServiceError(
            f"{environment.run_directory}, where the sockets go, belongs to another user:"
            " remove it, or set FTPORTAL_HOME to a shorter path."
        )


def make(path: Path, *, mode: int, parents: bool = False) -> None:
    """Make a directory that this user can write to; an existing one is only ever opened further."""
    try:
        if not path.exists():
            path.mkdir(mode=mode, parents=parents, exist_ok=True)
            path.chmod(mode)
        elif mode & stat.S_IXOTH and not path.stat().st_mode & stat.S_IXOTH:
            path.chmod(stat.S_IMODE(path.stat().st_mode) | stat.S_IXOTH)
        writable = os.access(path, os.W_OK | os.X_OK)
    except OSError as error:
        raise ServiceError(
            f"{path} cannot be used: {error.strerror or error}. {advice_for(error)}"
        ) from error
    if not writable:
        denied = PermissionError("this user may not write to it")
        raise ServiceError(f"{path} cannot be used: {denied}. {advice_for(denied)}")


def give(path: Path, account: pwd.struct_passwd | None) -> None:
    """Make a private directory that belongs to `account` (None: this user)."""
    make(path, mode=0o700)
    if account is not None:
        os.chown(path, account.pw_uid, account.pw_gid)


def let_through(path: Path) -> list[Path]:
    """Let other accounts pass through (not list) every parent of `path`; returns those that were changed."""
    changed = []
    for parent in path.resolve().parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            parent.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
            changed.append(parent)
    return changed


def let_read(path: Path) -> None:
    """Let other accounts read and run everything below `path` (a package installed under a strict umask)."""
    for each in (path, *path.rglob("*")):
        mode = stat.S_IMODE(each.lstat().st_mode)
        if not each.is_symlink():
            each.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))
