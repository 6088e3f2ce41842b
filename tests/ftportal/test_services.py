"""The embedded Postgres and Redis: start, stop, crash, and two holders of one home.

Making a database costs a second, so the tests that only start it again share a home.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from ftportal.embedded.claim import lock_holder
from ftportal.embedded.services import embedded_services
from tests.ftportal.running import (
    NOBODY,
    as_ordinary_user,
    processes_of,
    run,
    start,
    variables,
    wait_for,
    with_services,
)

pytestmark = pytest.mark.integration

SERVERS = {"postgres", "redis-server", "valkey-server"}

# Prints the version, and how often it was run on this Postgres and on this Redis.
VISIT = """
import psycopg, redis
from ftportal.environment import load
environment = load()
with psycopg.connect(environment.database_url) as connection:
    connection.execute("CREATE TABLE IF NOT EXISTS visits (at timestamptz DEFAULT now())")
    connection.execute("INSERT INTO visits DEFAULT VALUES")
    visits = connection.execute("SELECT count(*) FROM visits").fetchone()[0]
    version = connection.info.server_version // 10000
print(version, visits, redis.Redis.from_url(environment.redis_url).incr("visits"))
"""
WAIT = "print('up', flush=True); import signal; signal.pause()"


@pytest.fixture(scope="module")
def made_home(lasting_home: Path) -> Path:
    assert visit(lasting_home) == [18, 1, 1]
    return lasting_home


def visit(home: Path) -> list[int]:
    result = run(with_services(sys.executable, "-c", VISIT), variables(home))
    assert result.returncode == 0, result.stderr
    return [int(word) for word in result.stdout.split()]


def refusal(home: Path) -> str:
    result = run(with_services("true"), variables(home))
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert processes_of(home) == []
    return result.stderr


@pytest.fixture
def waiting(made_home: Path) -> Iterator["subprocess.Popen[str]"]:
    """A command that holds the services of `made_home`."""
    process = start(with_services(sys.executable, "-c", WAIT), variables(made_home))
    with process:
        assert process.stdout is not None
        assert any(line == "up\n" for line in process.stdout), "it ended without coming up"
        yield process
        process.kill()


def servers_of(home: Path) -> list[psutil.Process]:
    return [process for process in processes_of(home) if process.name() in SERVERS]


def test_data_survives_a_restart_and_nothing_stays(made_home: Path):
    _, visits, counted = visit(made_home)
    assert visit(made_home) == [18, visits + 1, counted + 1]
    assert processes_of(made_home) == []


def test_an_ordinary_user_needs_no_other_account(home: Path):
    if os.geteuid() == 0:
        home.mkdir()
        os.chown(home, NOBODY, NOBODY)
    result = run(as_ordinary_user(with_services(sys.executable, "-c", VISIT)), variables(home))
    assert result.stdout == "18 1 1\n", result.stderr
    assert {path.stat().st_uid for path in home.iterdir()} == {home.stat().st_uid}
    assert processes_of(home) == []


def test_only_the_owner_gets_in(made_home: Path, waiting: object):
    others = 0o077 if os.geteuid() != 0 else 0o066  # root's Postgres account passes through
    assert (made_home / "run").stat().st_mode & others == 0
    assert (made_home / "run" / "postgres").stat().st_mode & 0o077 == 0
    assert (made_home / "run" / "redis.sock").stat().st_mode & 0o077 == 0
    servers = servers_of(made_home)
    assert len(servers) >= 2
    assert not [connection for each in servers for connection in each.net_connections("inet")]


def test_a_second_one_is_refused_and_names_the_first(made_home: Path, waiting: "subprocess.Popen[str]"):
    code = f"from ftportal.embedded.services import embedded_services as e; e({str(made_home)!r}).__enter__()"
    result = run([sys.executable, "-c", code], variables(made_home))
    assert (
        f"{made_home} is in use by another ftportal (process {waiting.pid}): stop that one" in result.stderr
    )


def test_a_command_joins_the_services_that_run_already(made_home: Path, waiting: "subprocess.Popen[str]"):
    assert visit(made_home)[0] == 18
    assert lock_holder(made_home) == waiting.pid


def test_the_exit_code_is_the_commands(made_home: Path):
    command = with_services(sys.executable, "-c", "raise SystemExit(7)")
    assert run(command, variables(made_home)).returncode == 7


def test_sigterm_ends_the_command_and_then_the_services(made_home: Path, waiting: "subprocess.Popen[str]"):
    waiting.terminate()
    assert waiting.wait(30) == 128 + signal.SIGTERM
    assert processes_of(made_home) == []


def test_kill_9_leaves_nothing_and_the_next_start_recovers(made_home: Path, waiting: "subprocess.Popen[str]"):
    waiting.kill()
    waiting.wait()
    assert visit(made_home)[0] == 18  # at once, while the guardian is still stopping what was left
    wait_for(lambda: not processes_of(made_home), 20, "the end of every process")


def test_everything_killed_at_once_recovers(made_home: Path, waiting: "subprocess.Popen[str]"):
    for process in processes_of(made_home):
        process.kill()
    waiting.wait()
    wait_for(lambda: not processes_of(made_home), 20, "the end of every process")
    assert (made_home / "postgres" / "postmaster.pid").exists()
    assert visit(made_home)[0] == 18


def test_an_orphaned_server_is_stopped_first(made_home: Path, waiting: "subprocess.Popen[str]"):
    """With the guardian killed as well, servers stay; a second one must not run on their data."""
    orphans = servers_of(made_home)
    assert len(orphans) >= 2
    for process in processes_of(made_home):
        if process not in orphans:
            process.kill()
    waiting.wait()
    assert any(orphan.is_running() for orphan in orphans)
    assert visit(made_home)[0] == 18
    assert not any(orphan.is_running() for orphan in orphans)


def test_pid_files_whose_number_went_to_another_process(made_home: Path):
    _, visits, _ = visit(made_home)
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as bystander:
        now = int(psutil.Process(bystander.pid).create_time())
        data = made_home / "postgres"
        stale = [bystander.pid, data, now, 5432, made_home / "run" / "postgres", "", "1 1", "ready"]
        (data / "postmaster.pid").write_text("\n".join(map(str, stale)) + "\n")
        identity = json.dumps({"pid": bystander.pid, "create_time": now - 86400})
        (made_home / "run" / "redis.pid").write_text(identity)
        (made_home / "ftportal.lock").write_text(identity)
        try:
            assert visit(made_home)[1] == visits + 1
            assert bystander.poll() is None
        finally:
            bystander.kill()


def test_a_server_that_cannot_start_says_what_it_said(made_home: Path):
    configuration = made_home / "postgres" / "postgresql.conf"
    kept = configuration.read_bytes()
    configuration.write_text("no_such_setting = 1\n")
    try:
        said = refusal(made_home)
    finally:
        configuration.write_bytes(kept)
    assert "Postgres stopped while it started" in said
    assert 'unrecognized configuration parameter "no_such_setting"' in said


def test_data_of_another_version_is_left_alone(home: Path):
    data = home / "postgres"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("16\n")
    assert f"{data} was made by PostgreSQL 16, this is 18" in refusal(home)
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]


def test_a_long_and_awkward_home_with_a_half_made_database(home: Path):
    long = home / ("long name with spaces & %41 " + "x" * 80)
    (long / "postgres.new").mkdir(parents=True)
    (long / "postgres.new" / "PG_VERSION").write_text("18\n")
    with embedded_services(long, durable=False) as urls, psycopg.connect(urls.database_url) as connection:
        # Sorting and folding do not depend on the machine's locale.
        row = connection.execute("SELECT lower('ÄÖ'), 'Z' < 'a', current_setting('TimeZone')").fetchone()
        assert row == ("äö", True, "UTC")
    assert processes_of(long) == []


def test_a_home_that_cannot_be_written_to(home: Path):
    home.mkdir()
    home.chmod(0o555)
    try:
        result = run(as_ordinary_user(with_services("true")), variables(home))
    finally:
        home.chmod(0o755)
    assert result.returncode == 2
    assert str(home) in result.stderr
    assert "Give this user the right to write there, or set FTPORTAL_HOME" in result.stderr
    assert "Traceback" not in result.stderr
