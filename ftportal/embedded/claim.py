"""One ftportal per home: the lock, and the child processes that live and die with its holder."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil

from ftportal.embedded.errors import HomeBusyError, ServiceError
from ftportal.environment import advice_for

LOCK_NAME = "ftportal.lock"
HANDOVER = 40.0  # seconds to wait for the guardian of a killed ftportal to finish
GUARDIAN = Path(__file__).with_name("guardian.py")

SERVICE_STAGE, PROGRAM_STAGE = 0, 1  # programs stop first, the services that they use last


@dataclass(kw_only=True)
class Child:
    """A child process in a process group of its own."""

    name: str
    process: subprocess.Popen[bytes]
    stop_signal: signal.Signals

    @property
    def pid(self) -> int:
        return self.process.pid

    def ask_to_stop(self) -> None:
        """Send the stop signal to the child alone: it stops what it started in its own way."""
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)

    def kill_group(self) -> None:
        """End whatever is left of the child and of what it started in its group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


class Claim:
    """The right to run things for one home. Held from `acquire` to `release`, or until this process dies.

    Every child started through it is registered with the guardian, which stops it if this process is killed.
    """

    def __init__(self, home: Path, lock: int) -> None:
        self.home = home
        self._lock = lock
        self._guardian = subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARDIAN)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(lock,),
            cwd="/",
        )

    @classmethod
    def acquire(cls, home: Path) -> Self:
        """Take the lock of `home`, or raise HomeBusyError with the holder's process id."""
        path = home / LOCK_NAME
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unusable(path, error) from error
        deadline = time.monotonic() + HANDOVER
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = lock_holder(home)
                if holder is not None or time.monotonic() > deadline:
                    os.close(lock)
                    raise HomeBusyError(home, holder) from None
                time.sleep(0.1)  # the holder is dead: its guardian is still stopping what it left
            else:
                break
        try:
            os.truncate(lock, 0)
            os.pwrite(lock, json.dumps(process_identity(os.getpid())).encode(), 0)
        except OSError as error:
            os.close(lock)
            raise _unusable(path, error) from error
        return cls(home, lock)

    def start(
        self,
        command: Sequence[str],
        *,
        name: str,
        stage: int,
        stop_signal: signal.Signals = signal.SIGTERM,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        output: IO[bytes] | int = subprocess.PIPE,
        user: int | None = None,
        group: int | None = None,
    ) -> Child:
        """Start `command`; standard output and error go to `output`."""
        process = subprocess.Popen(
            command,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user,
            group=group,
            extra_groups=None if user is None else [],
        )
        self._tell(f"+ {process.pid} {int(stop_signal)} {stage}")
        return Child(name=name, process=process, stop_signal=stop_signal)

    def adopt(self, pid: int) -> None:
        """Let the guardian end a process that stays in our own group, where the terminal reaches it."""
        self._tell(f"+ {pid} {int(signal.SIGTERM)} {PROGRAM_STAGE}")

    def stop(self, child: Child, *, grace: float) -> int:
        """Stop one child and whatever is left of its group; returns its exit code."""
        child.ask_to_stop()
        with suppress(subprocess.TimeoutExpired):
            child.process.wait(grace)
        return self.finish(child)

    def finish(self, child: Child) -> int:
        """Kill what is left of the child's group, and forget it; returns its exit code."""
        child.kill_group()
        code = child.process.wait()
        self._tell(f"- {child.pid}")
        return code

    def release(self) -> None:
        """Give the home back. Anything still registered is stopped by the guardian before this returns."""
        if self._guardian.stdin is not None:
            with suppress(BrokenPipeError):
                self._guardian.stdin.close()
        self._guardian.wait()
        os.truncate(self._lock, 0)
        os.close(self._lock)

    def _tell(self, line: str) -> None:
        if self._guardian.stdin is None:
            return
        try:
            self._guardian.stdin.write(line.encode() + b"\n")
            self._guardian.stdin.flush()
        except BrokenPipeError:
            return  # the guardian was killed; we still stop our children ourselves

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _unusable(path: Path, error: OSError) -> ServiceError:
    return ServiceError(f"{path} cannot be written: {error.strerror}. {advice_for(error)}")


def lock_holder(home: Path) -> int | None:
    """Process id of the live ftportal that holds this home, if one can be seen."""
    identity = read_identity(home / LOCK_NAME)
    return None if identity is None else identity.pid


def process_identity(pid: int) -> dict[str, float]:
    """What tells this process from a later one with the same id."""
    return {"pid": pid, "create_time": psutil.Process(pid).create_time()}


def read_identity(path: Path) -> psutil.Process | None:
    """The process named in a file that holds `process_identity`, if that very process still runs."""
    try:
        identity = json.loads(path.read_text(encoding="utf-8"))
        process = psutil.Process(int(identity["pid"]))
        same = abs(process.create_time() - float(identity["create_time"])) < 1.0
        running = same and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None
    return process if running else None


@contextmanager
def opened_log(path: Path, *, keep_bytes: int = 10_000_000) -> Iterator[IO[bytes]]:
    """A log to append to; a long one is set aside first, as `<name>.1`."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > keep_bytes:
        path.replace(path.with_name(path.name + ".1"))
    with path.open("ab") as file:
        yield file
