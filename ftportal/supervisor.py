"""Runs programs together: one log with a prefix each, one end for all, nothing left behind.

honcho prints the log. Its manager starts and stops all at once, without an order between programs, and fails on a
signal that comes while it starts; so starting and stopping are done here.
"""

import selectors
import signal
import sys
import time
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import FrameType
from typing import IO, TextIO

from honcho.colour import get_colours
from honcho.printer import Message, Printer

from ftportal.embedded.claim import PROGRAM_STAGE, Child, Claim
from ftportal.programs import RESTART_WINDOW, Program

TICK = 0.1  # seconds
KEPT_LINES = 15  # of each program, to show when it dies
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequestedError(Exception):
    """Somebody asked us to stop while we were still starting."""


class StopRequest:
    """Turns SIGINT, SIGTERM and SIGHUP into a wish to stop; later ones change nothing, stopping is bounded."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.raises = True
        for number in STOP_SIGNALS:
            signal.signal(number, self._receive)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        first = self.name is None
        self.name = signal.Signals(number).name
        if first and self.raises:
            raise StopRequestedError(self.name)


@dataclass(frozen=True, kw_only=True)
class Ending:
    """Why the programs ended. `culprit` is the one that stopped by itself; None when the stop was asked for."""

    culprit: str | None = None
    code: int = 0
    last_lines: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class _Running:
    program: Program
    child: Child
    colour: str
    lines: deque[str]
    rest: bytes = b""  # the beginning of a line that has not ended yet


class Supervisor:
    """Starts programs under a claim, relays their output, and stops them together."""

    def __init__(
        self, claim: Claim, variables: Mapping[str, str], *, width: int = 0, output: TextIO = sys.stdout
    ) -> None:
        self._claim = claim
        self._variables = dict(variables)
        self._running: dict[str, _Running] = {}
        self._ends: dict[str, deque[float]] = defaultdict(deque)  # when each ended by itself
        self._selector = selectors.DefaultSelector()
        self._colours = get_colours()
        self._printer = Printer(output, width=width)
        self._muted = False

    def start(self, program: Program) -> None:
        child = self._claim.start(
            program.command,
            name=program.name,
            stage=PROGRAM_STAGE,
            stop_signal=program.stop_signal,
            env=self._variables | program.variables,
        )
        lines: deque[str] = deque(maxlen=KEPT_LINES)
        running = _Running(program=program, child=child, colour=next(self._colours), lines=lines)
        self._running[program.name] = running
        self._selector.register(_pipe(child), selectors.EVENT_READ, running)

    def run(
        self,
        stop: StopRequest,
        *,
        later: Sequence[Program] = (),
        head_start: float = 0.0,
        ready: Callable[[], bool] = lambda: True,
        on_ready: Callable[[], None] = lambda: None,
        on_end: Callable[[str, int], Ending | None] = lambda _name, _code: None,
        services: Sequence[Child] = (),
    ) -> Ending:
        """Until a stop is asked for or a program ends.

        `later` starts once `ready`, so as not to slow down the first ones, or after `head_start` seconds;
        `on_end` is told of the end of a program that may end, and may end the rest. Nothing works without the
        `services`, so the end of one ends all.
        """
        stop.raises = False
        began = time.monotonic()
        announced = False
        waiting = list(later)
        while stop.name is None:
            self._relay(TICK)
            if not announced and ready():
                announced = True
                on_ready()
            if waiting and (announced or time.monotonic() > began + head_start):
                for program in waiting:
                    self.start(program)
                waiting = []
            for service in services:
                if (code := service.process.poll()) is not None:
                    return Ending(culprit=service.name, code=code)
            for running in list(self._running.values()):
                code = running.child.process.poll()
                if code is None:
                    continue
                ending = self._ended(running, code, on_end)
                if ending is not None:
                    return ending
        self.say(f"{stop.name} received: stopping")
        return Ending()

    def stop(self) -> None:
        """Ask every program to stop, wait for each one's grace, then kill what is left."""
        asked = time.monotonic()
        for running in self._running.values():
            running.child.ask_to_stop()
        while self._running:
            self._relay(TICK)
            for name, running in list(self._running.items()):
                late = time.monotonic() > asked + running.program.grace
                if running.child.process.poll() is not None or late:
                    self._claim.finish(running.child)
                    self._drain(running)
                    del self._running[name]

    def say(self, text: str) -> None:
        """A line of our own in the log."""
        self._print("ftportal", text, None)

    def _ended(
        self, running: _Running, code: int, on_end: Callable[[str, int], Ending | None]
    ) -> Ending | None:
        name = running.program.name
        self._claim.finish(running.child)
        self._drain(running)
        del self._running[name]
        if running.program.may_end:
            return on_end(name, code)
        if self._may_restart(running.program):
            self.say(f"{name} stopped unexpectedly (exit code {code}); starting it again")
            self.start(running.program)
            return None
        return Ending(culprit=name, code=code, last_lines=list(running.lines))

    def _may_restart(self, program: Program) -> bool:
        """A program that was killed deserves another start; one that fails again and again stops everything."""
        now, ends = time.monotonic(), self._ends[program.name]
        ends.append(now)
        while ends and ends[0] < now - RESTART_WINDOW:
            ends.popleft()
        return len(ends) <= program.restarts

    def _relay(self, timeout: float) -> None:
        """Print what the programs have said, waiting up to `timeout` seconds for something."""
        if not self._selector.get_map():
            time.sleep(timeout)
            return
        for key, _ in self._selector.select(timeout):
            self._read(key.data)

    def _read(self, running: _Running) -> bool:
        pipe = _pipe(running.child)
        data = pipe.read1(65536)  # type: ignore[attr-defined]  # a BufferedReader
        if not data:
            self._selector.unregister(pipe)
            pipe.close()
            return False
        *complete, running.rest = (running.rest + data).split(b"\n")
        for line in complete:
            self._line(running, line)
        return True

    def _drain(self, running: _Running) -> None:
        """The rest of what an ended program has said; a grandchild that holds the pipe does not keep us."""
        pipe = _pipe(running.child)
        while not pipe.closed and any(key.fileobj is pipe for key, _ in self._selector.select(0)):
            self._read(running)
        if not pipe.closed:
            self._selector.unregister(pipe)
            pipe.close()
        if running.rest:
            self._line(running, running.rest)
            running.rest = b""

    def _line(self, running: _Running, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip("\r")
        if not text.strip():
            return
        running.lines.append(text)
        self._print(running.program.name, text, running.colour)

    def _print(self, name: str, text: str, colour: str | None) -> None:
        if self._muted:
            return
        try:
            self._printer.write(
                Message(type="line", data=text, time=datetime.now(), name=name, colour=colour)
            )
        except OSError:  # the terminal or the pipe behind us is gone; the programs matter more
            self._muted = True


def _pipe(child: Child) -> IO[bytes]:
    pipe = child.process.stdout
    if pipe is None:
        raise ValueError(f"{child.name} was started without a pipe")
    return pipe
