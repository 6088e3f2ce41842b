"""What can go wrong with the services; each message is a sentence for the person at the terminal."""

from pathlib import Path


class ServiceError(Exception):
    """A service cannot start or stay up; the message says why and what to do."""


class HomeBusyError(ServiceError):
    """Another ftportal holds this home."""

    def __init__(self, home: Path, pid: int | None) -> None:
        self.pid = pid
        holder = f"process {pid}" if pid else "a process that cannot be seen from here"
        stop = f"stop that one (kill {pid})" if pid else "stop that one"
        super().__init__(
            f"{home} is in use by another ftportal ({holder}): {stop},"
            " or set FTPORTAL_HOME to another directory."
        )


def tail(path: Path, lines: int = 12) -> str:
    """The last lines of a log, for an error message; empty when there is no log."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
