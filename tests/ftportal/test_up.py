"""`ftportal up` as a whole: what it prints, what it refuses, and what is left of it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ftportal.preflight import PreflightError, check_browser_packages, check_free_space
from tests.ftportal.running import (
    as_ordinary_user,
    free_port,
    ftportal,
    processes_of,
    run,
    start,
    variables,
    wait_for,
)

pytestmark = pytest.mark.integration

PROGRAMS = {"web", "control", "default", "training", "beat", "inference"}
COME_UP = 120.0  # seconds, on a busy machine


@dataclass(kw_only=True)
class Up:
    """A running `ftportal up` and what it has printed."""

    process: "subprocess.Popen[str]"
    port: int
    home: Path
    log: Path

    def printed(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def get(self, path: str) -> tuple[int, str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as response:
            return response.status, response.read().decode()

    def doctor(self) -> tuple[int, dict[str, str]]:
        result = run(ftportal("doctor", "--json"), variables(self.home))
        findings = json.loads(result.stdout)["findings"]
        return result.returncode, {finding["part"]: finding["status"] for finding in findings}


def start_up(home: Path, **more: str) -> Up:
    port = free_port()
    log = home.parent / f"up-{port}.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            ftportal("up"), env=variables(home, FTPORTAL_PORT=str(port), **more), cwd="/",
            stdout=output, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
    return Up(process=process, port=port, home=home, log=log)


@pytest.fixture(scope="module")
def first_up(lasting_home: Path) -> Iterator[Up]:
    """The first start on this home; the tests that end it come last in this file."""
    up = start_up(lasting_home)
    with up.process:
        wait_for(
            lambda: "Stop: Ctrl-C" in up.printed() or up.process.poll() is not None, COME_UP, "the address"
        )
        yield up
        up.process.kill()


def names_of(home: Path) -> set[str]:
    """What runs for a home, by the words that tell the programs apart."""
    words = {
        "uvicorn": "web", "--queues control": "control", "--queues default": "default",
        "--queues training": "training", " beat ": "beat", "local.inference": "inference",
        "/postgres -D": "postgres", "redis-server": "redis", "guardian.py": "guardian",
    }  # fmt: skip
    lines = [" ".join(process.cmdline()) for process in processes_of(home)]
    return {name for word, name in words.items() if any(word in line for line in lines)}


def test_the_first_start_serves_pages_and_makes_one_account(first_up: Up):
    assert first_up.process.poll() is None, first_up.printed()
    assert f"ftportal is at http://127.0.0.1:{first_up.port}/" in first_up.printed()
    status, page = first_up.get("/sign-in/")
    assert status == 200
    stylesheet = re.search(r'href="(/static/[^"]+\.css)"', page)
    assert stylesheet is not None
    assert first_up.get(stylesheet[1])[0] == 200
    assert len(re.findall(r"password  \S+", first_up.printed())) == 1


def test_everything_runs_and_the_doctor_agrees(first_up: Up):
    wait_for(lambda: names_of(first_up.home) >= PROGRAMS | {"postgres", "redis"}, COME_UP, "every program")

    def report() -> dict[str, str] | None:
        code, statuses = first_up.doctor()
        return statuses if code == 0 else None

    statuses = wait_for(report, COME_UP, "a report without a failure")
    parts = {"Postgres", "migrations", "Redis", "workers", "inference", "secret key", "settings"}
    assert {part: statuses[part] for part in parts} == dict.fromkeys(parts, "ok")


def test_a_second_up_is_refused(first_up: Up):
    result = run(ftportal("up"), variables(first_up.home, FTPORTAL_PORT=str(free_port())))
    assert result.returncode == 2
    assert result.stderr == (
        f"ftportal: {first_up.home} is in use by another ftportal (process {first_up.process.pid}):"
        f" stop that one (kill {first_up.process.pid}), or set FTPORTAL_HOME to another directory.\n"
    )


def test_a_management_command_uses_the_running_services(first_up: Up):
    code = "from apps.accounts.models import User; print(User.objects.count(), 'account')"
    result = run(ftportal("manage", "shell", "-c", code), variables(first_up.home))
    assert "1 account" in result.stdout, result.stderr


def test_sigterm_leaves_nothing(first_up: Up):
    started = time.monotonic()
    first_up.process.terminate()
    assert first_up.process.wait(60) == 0, first_up.printed()
    assert time.monotonic() - started < 30
    assert processes_of(first_up.home) == []


@pytest.fixture
def again(first_up: Up) -> Iterator[Up]:
    """A later start on the same home."""
    up = start_up(first_up.home)
    with up.process:
        wait_for(
            lambda: names_of(up.home) >= PROGRAMS or up.process.poll() is not None, COME_UP, "every program"
        )
        yield up
        up.process.kill()


def test_a_later_start_shows_no_password_and_kill_9_leaves_nothing(again: Up):
    assert again.get("/sign-in/")[0] == 200
    assert "password" not in again.printed()
    again.process.kill()
    again.process.wait()
    wait_for(lambda: not processes_of(again.home), 60, "the end of every process")


def test_a_program_that_dies_is_started_again(again: Up):
    (web,) = [process for process in processes_of(again.home) if "uvicorn" in process.cmdline()]
    web.send_signal(signal.SIGKILL)
    wait_for(lambda: "starting it again" in again.printed(), 60, "the restart")
    wait_for(lambda: "uvicorn" in str([each.cmdline() for each in processes_of(again.home)]), COME_UP, "web")


def test_without_redis_all_ends_and_it_is_named(again: Up):
    (redis,) = [process for process in processes_of(again.home) if "redis-server" in process.name()]
    redis.send_signal(signal.SIGKILL)
    code = again.process.wait(60)
    assert code == 1, again.printed()
    assert "redis stopped unexpectedly (exit code -9)" in again.printed()
    said = again.printed().split("Its last lines:", 1)[1]
    assert "ready to accept connections" in said.lower(), "the end of Redis's own log"
    assert processes_of(again.home) == []


def test_a_stop_during_the_start(home: Path):
    process = start(ftportal("up"), variables(home, FTPORTAL_PORT=str(free_port())))
    with process:
        wait_for((home / "postgres.new").exists, 60, "the first step")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    wait_for(lambda: not processes_of(home), 30, "the end of every process")


def test_a_busy_port_is_named_with_who_has_it(home: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run(ftportal("up"), variables(home, FTPORTAL_PORT=str(port)))
    assert result.returncode == 2
    assert f"Port {port} on 127.0.0.1 is in use by process {os.getpid()}" in result.stderr
    assert f"FTPORTAL_PORT={port + 1}" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert processes_of(home) == []


def test_an_unwritable_home_is_refused(home: Path):
    home.mkdir()
    home.chmod(0o555)
    result = run(as_ordinary_user(ftportal("up")), variables(home))
    home.chmod(0o755)
    assert result.returncode == 2
    assert str(home) in result.stderr
    assert "set FTPORTAL_HOME to a directory of its own" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_full_disk_is_refused(tmp_path: Path):
    with pytest.raises(
        PreflightError, match=r"Only \d+ MB are free where .* make room, or set FTPORTAL_HOME"
    ):
        check_free_space(tmp_path, minimum=10**18)


def test_missing_browser_packages_are_named(tmp_path: Path):
    (tmp_path / "package.json").write_text('{"dependencies": {"htmx.org": "4.0.1", "uplot": "1.6.32"}}')
    (tmp_path / "node_modules" / "uplot").mkdir(parents=True)
    (tmp_path / "node_modules" / "uplot" / "package.json").write_text("{}")
    with pytest.raises(PreflightError, match=r"The browser packages htmx\.org are not in .* run make setup"):
        check_browser_packages(tmp_path)


def test_a_file_in_place_of_the_home_is_named(tmp_path: Path):
    (tmp_path / "home").write_text("")
    result = run(ftportal("up"), variables(tmp_path / "home"))
    assert result.returncode == 2
    assert "A file is where a directory should be: set FTPORTAL_HOME" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "value", "what_to_do"),
    [
        ("FTPORTAL_DEBUG", "maybe", "set it to 1 or 0"),
        ("FTPORTAL_EXPANSION_LIMIT_MB", "much", "set it to a whole number"),
        ("FTPORTAL_TRUSTED_ORIGINS", "tune.example.org", "https://tune.example.org"),
        ("FTPORTAL_WORKER_PROCESSES", "0", "set it to a whole number from 1"),
    ],
)
def test_a_variable_that_makes_no_sense_is_one_sentence_before_anything_starts(
    home: Path, name: str, value: str, what_to_do: str
):
    result = run(ftportal("up"), variables(home, **{name: value}))
    assert result.returncode == 2
    assert result.stderr.startswith(f"ftportal: {name} is ")
    assert what_to_do in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (home / "postgres").exists()


def test_an_unreachable_redis_is_named(home: Path):
    given = {
        "REDIS_URL": f"redis://:hunter2@127.0.0.1:{free_port()}/0",
        "FTPORTAL_PORT": str(free_port()),
    }
    result = run(ftportal("up"), variables(home, **given))
    assert result.returncode == 2
    assert "Redis cannot be reached" in result.stderr
    assert "Check REDIS_URL and that Redis runs" in result.stderr
    assert "hunter2" not in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert processes_of(home) == []


def test_an_unreachable_database_is_named(home: Path):
    given = {
        "DATABASE_URL": f"postgresql://u:hunter2@127.0.0.1:{free_port()}/x",
        "FTPORTAL_SECRET_KEY": "s" * 50,
        "FTPORTAL_ENCRYPTION_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
        "FTPORTAL_PORT": str(free_port()),
    }
    result = run(ftportal("up"), variables(home, **given))
    assert result.returncode == 2
    assert "The database cannot be reached" in result.stderr
    assert "Check DATABASE_URL and that Postgres runs" in result.stderr
    assert "hunter2" not in result.stderr
    assert processes_of(home) == []


def test_an_old_python_gets_a_sentence():
    source = Path(sys.modules["ftportal"].__path__[0]) / "cli.py"
    code = (
        "import sys; sys.version_info = (3, 10, 0); sys.version = '3.10.0 (main)';"
        f"exec(compile(open({str(source)!r}).read(), 'cli.py', 'exec'))"
    )
    result = run([sys.executable, "-c", code], dict(os.environ))
    assert result.returncode == 1
    assert result.stderr == "ftportal needs Python 3.11 or newer; this is 3.10.0.\n"
