"""The supervisor, with small programs of the test's own in place of ours."""

import io
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ftportal.commands.run import with_trainers
from ftportal.embedded.claim import SERVICE_STAGE, Claim, process_identity
from ftportal.programs import Program
from ftportal.supervisor import Ending, StopRequest, Supervisor
from ftportal.trainers import running_trainers, stop_trainers
from tests.ftportal.running import wait_for

FOREVER = "import signal; print('ready', flush=True); signal.pause()"
STUBBORN = (
    "import signal; signal.signal(15, signal.SIG_IGN); print('ready', flush=True)\nwhile 1: signal.pause()"
)
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); {FOREVER}"


@pytest.fixture
def claim(tmp_path: Path) -> Iterator[Claim]:
    with Claim.acquire(tmp_path) as claim:
        yield claim


@pytest.fixture
def stop() -> Iterator[StopRequest]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield StopRequest()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def supervisor(claim: Claim, log: io.StringIO) -> Iterator[Supervisor]:
    supervisor = Supervisor(claim, os.environ, output=log)
    yield supervisor
    supervisor.stop()


def python(name: str, code: str, *, may_end: bool = False, grace: float = 5.0) -> Program:
    return Program(name=name, command=[sys.executable, "-c", code], may_end=may_end, grace=grace)


def when(condition: Callable[[], bool], number: signal.Signals) -> None:
    """Send ourselves a signal once the condition holds."""

    def watch() -> None:
        wait_for(condition, 20)
        os.kill(os.getpid(), number)

    threading.Thread(target=watch, daemon=True).start()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_that_was_asked_for_is_no_failure(
    supervisor: Supervisor, stop: StopRequest, log: io.StringIO, number: signal.Signals
):
    supervisor.start(python("one", FOREVER))
    when(lambda: "ready" in log.getvalue(), number)
    assert supervisor.run(stop) == Ending()
    supervisor.stop()
    assert f"{number.name} received" in log.getvalue()
    assert not [child for child in psutil.Process().children() if FOREVER in child.cmdline()]


def test_the_program_that_ended_is_named_with_its_last_words(supervisor: Supervisor, stop: StopRequest):
    supervisor.start(python("steady", FOREVER))
    supervisor.start(
        python("weak", "print('first\\nsecond'); print('no more memory', end=''); raise SystemExit(3)")
    )
    ending = supervisor.run(stop)
    assert (ending.culprit, ending.code) == ("weak", 3)
    assert ending.last_lines == ["first", "second", "no more memory"]


def test_a_program_that_was_killed_is_started_again_but_not_for_ever(
    supervisor: Supervisor, stop: StopRequest, log: io.StringIO
):
    supervisor.start(python("weak", "print('up'); import os; os.kill(os.getpid(), 9)"))
    ending = supervisor.run(stop)
    assert (ending.culprit, ending.code) == ("weak", -9)
    assert log.getvalue().count("starting it again") == 3


def test_the_end_of_a_service_ends_all(supervisor: Supervisor, stop: StopRequest, claim: Claim):
    supervisor.start(python("steady", FOREVER))
    service = claim.start([sys.executable, "-c", "raise SystemExit(7)"], name="redis", stage=SERVICE_STAGE)
    assert supervisor.run(stop, services=[service]) == Ending(culprit="redis", code=7)


def test_later_programs_wait_until_the_first_is_ready(
    supervisor: Supervisor, stop: StopRequest, log: io.StringIO, tmp_path: Path
):
    mark = tmp_path / "ready"
    supervisor.start(python("web", f"open({str(mark)!r}, 'w').close(); {FOREVER}"))
    late = python("worker", f"import os; print('saw', os.path.exists({str(mark)!r})); {FOREVER}")
    when(lambda: "saw" in log.getvalue(), signal.SIGTERM)
    supervisor.run(
        stop, later=[late], head_start=60, ready=mark.exists, on_ready=lambda: supervisor.say("announced")
    )
    assert "saw True" in log.getvalue()
    assert log.getvalue().index("announced") < log.getvalue().index("saw True")


def test_later_programs_do_not_wait_for_ever(supervisor: Supervisor, stop: StopRequest, log: io.StringIO):
    supervisor.start(python("web", "import signal; signal.pause()"))
    when(lambda: "ready" in log.getvalue(), signal.SIGTERM)
    supervisor.run(
        stop,
        later=[python("worker", FOREVER)],
        head_start=0.2,
        ready=lambda: False,
        on_ready=lambda: supervisor.say("announced"),
    )
    assert "announced" not in log.getvalue()


def test_a_step_may_end_and_may_end_the_rest(supervisor: Supervisor, stop: StopRequest):
    supervisor.start(python("steady", FOREVER))
    supervisor.start(python("first", "pass", may_end=True))
    # The second step works for a while, so that the first ends before it.
    supervisor.start(python("second", "import time; time.sleep(0.3); raise SystemExit(4)", may_end=True))
    ended: list[tuple[str, int]] = []

    def on_end(name: str, code: int) -> Ending | None:
        ended.append((name, code))
        return Ending(code=code) if name == "second" else None

    assert supervisor.run(stop, on_end=on_end) == Ending(code=4)
    assert ended == [("first", 0), ("second", 4)]


def test_one_that_does_not_listen_is_killed_with_its_children(
    supervisor: Supervisor, stop: StopRequest, log: io.StringIO
):
    supervisor.start(python("stubborn", STUBBORN, grace=0.5))
    supervisor.start(python("parent", PARENT, grace=0.5))
    when(lambda: log.getvalue().count("ready") == 3, signal.SIGTERM)
    supervisor.run(stop)
    family = [each for each in psutil.Process().children(recursive=True) if STUBBORN in each.cmdline()]
    assert len(family) == 2
    supervisor.stop()
    psutil.wait_procs(family, timeout=5)
    assert not any(process.is_running() for process in family)


def test_a_broken_terminal_does_not_stop_the_programs(claim: Claim, stop: StopRequest):
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("gone")

    supervisor = Supervisor(claim, os.environ, output=Gone())
    supervisor.start(python("step", "print('hello')", may_end=True))
    assert supervisor.run(stop, on_end=lambda name, code: Ending(code=code)) == Ending(code=0)


def test_trainers_are_found_by_file_and_stopped_with_their_group(claim: Claim, tmp_path: Path):
    jobs = tmp_path / "jobs"
    polite = claim.start([sys.executable, "-c", PARENT], name="trainer", stage=1)
    stranger = claim.start([sys.executable, "-c", FOREVER], name="stranger", stage=1)
    identities = {
        "a": process_identity(polite.pid),
        "b": process_identity(stranger.pid) | {"create_time": 1.0},  # the number was used again
        "c": {},
    }
    for name, identity in identities.items():
        (jobs / name).mkdir(parents=True)
        (jobs / name / "process.json").write_text(json.dumps(identity))
    assert polite.process.stdout is not None
    assert [polite.process.stdout.readline() for _ in range(2)] == [b"ready\n"] * 2
    assert [trainer.pid for trainer in running_trainers(jobs)] == [polite.pid]
    family = [psutil.Process(polite.pid), *psutil.Process(polite.pid).children()]
    assert len(family) == 2
    stop_trainers(jobs)
    psutil.wait_procs(family, timeout=5)
    assert not any(process.is_running() for process in family)
    assert stranger.process.poll() is None
    for child in (polite, stranger):
        claim.finish(child)
        assert child.process.stdout is not None
        child.process.stdout.close()


@pytest.mark.usefixtures("stop")  # puts the handlers of signals back
def test_a_worker_on_a_host_of_its_own_stops_with_its_trainers(claim: Claim, tmp_path: Path):
    trainer = claim.start([sys.executable, "-c", FOREVER], name="trainer", stage=1)
    directory = tmp_path / "jobs" / "a"
    directory.mkdir(parents=True)
    (directory / "process.json").write_text(json.dumps(process_identity(trainer.pid)))
    waiting = tmp_path / "waiting"
    worker = python(
        "training",
        f"import signal; signal.signal(15, signal.SIG_IGN); open({str(waiting)!r}, 'w').close()\n"
        "while 1: signal.pause()",
        grace=0.2,
    )
    when(waiting.exists, signal.SIGTERM)
    assert with_trainers(worker, os.environ, tmp_path / "jobs") == 0
    assert not psutil.pid_exists(trainer.pid)
    assert trainer.process.stdout is not None
    trainer.process.stdout.close()
    claim.finish(trainer)
