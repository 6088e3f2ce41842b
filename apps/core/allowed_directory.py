"""Files below a directory that the operator allows, reached by relative paths that people type in.

Every step is opened from the one before it and no link is followed, so that no path leads out, whatever it says and
whatever is changed meanwhile.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from apps.core.errors import PortalError

FILES_LISTED = 500


class AllowedDirectoryError(PortalError):
    """There is no such file below the directory, or it may not be read."""

    code = "no_such_file"


@dataclass(frozen=True)
class AllowedFile:
    path: str
    """Relative to the directory, with slashes."""
    size: int


def files_below(root: Path) -> Iterator[AllowedFile]:
    """The files below the directory by name, hidden ones and links left out; at most `FILES_LISTED`."""
    listed = 0
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if name.startswith(".") or path.is_symlink() or not path.is_file():
                continue
            yield AllowedFile(path.relative_to(root).as_posix(), path.stat().st_size)
            listed += 1
            if listed == FILES_LISTED:
                return


def open_below(root: Path, relative: str) -> BinaryIO:
    """The file at a path below the directory, to read. Raises `AllowedDirectoryError`."""
    steps = PurePosixPath(relative).parts
    if not steps or relative.startswith("/") or ".." in steps or "\x00" in relative:
        raise AllowedDirectoryError(f"“{relative}” is no path below the import directory.")
    opened: list[int] = []

    def step(name: str | Path, flags: int) -> int:
        opened.append(os.open(name, os.O_RDONLY | flags, dir_fd=opened[-1] if opened else None))
        return opened[-1]

    try:
        step(root, os.O_DIRECTORY)
        for name in steps[:-1]:
            step(name, os.O_DIRECTORY | os.O_NOFOLLOW)
        # Without waiting: a pipe would never open.
        descriptor = step(steps[-1], os.O_NOFOLLOW | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise AllowedDirectoryError(f"“{relative}” is no file.")
        return os.fdopen(opened.pop(), "rb")
    except OSError:
        raise AllowedDirectoryError(
            f"“{relative}” is not in the import directory, or can't be read. Links are not followed."
        ) from None
    finally:
        for each in opened:
            os.close(each)
