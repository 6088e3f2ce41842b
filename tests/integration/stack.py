"""The whole product, running: once as `ftportal up` runs it, once as separate programs that a test may kill."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, LiteralString

import httpx
import psutil
import psycopg
from psycopg.rows import dict_row

from ftportal.embedded.claim import Claim
from ftportal.embedded.redis import server_binary
from ftportal.embedded.services import services_running
from ftportal.environment import embedded_database_url, load, run_directory_for
from tests.ftportal.running import ROOT, free_port, ftportal, processes_of, variables, wait_for
from tests.integration.pages import Visitor

COME_UP = 180.0  # seconds, on a busy machine
GO_DOWN = 60.0
QUICK = {
    "FTPORTAL_HEARTBEAT_SECONDS": "1",
    "FTPORTAL_SILENT_SECONDS": "5",
    "FTPORTAL_WORKER_PROCESSES": "1",
    "OMP_NUM_THREADS": "1",  # trainer and inference take turns anyway
}
WORKERS = ("control", "default", "training")
PROGRAMS = ("web", *WORKERS, "beat", "inference")


class Stack:
    """What both ways of running have in common: an address, a database, an account, processes."""

    def __init__(self, home: Path, port: int) -> None:
        self.home = home
        self.port = port
        self.email = ""
        self.password = ""
        self.database_url = embedded_database_url(run_directory_for(home))
        self._database: psycopg.Connection[dict[str, Any]] | None = None
        self._visitors: list[Visitor] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def visitor(self) -> Visitor:
        """Somebody who signed in."""
        visitor = Visitor(self.url)
        self._visitors.append(visitor)
        page = visitor.sign_in(self.email, self.password)
        assert page.status == 200, page.text
        assert page.path != "/sign-in/", page.text
        return visitor

    def rows(self, query: LiteralString, *parameters: Any) -> list[dict[str, Any]]:
        """What the database says now."""
        if self._database is None or self._database.closed:
            self._database = psycopg.connect(self.database_url, autocommit=True, row_factory=dict_row)
        return self._database.execute(query, parameters).fetchall()

    def row(self, query: LiteralString, *parameters: Any) -> dict[str, Any]:
        found = self.rows(query, *parameters)
        assert len(found) == 1, f"{len(found)} rows for {query} {parameters}"
        return found[0]

    def value(self, query: LiteralString, *parameters: Any) -> Any:
        (value,) = self.row(query, *parameters).values()
        return value

    def processes(self, word: str) -> list[psutil.Process]:
        """Live processes of this home with `word` in their command line."""
        found = []
        for process in processes_of(self.home):
            with suppress(psutil.Error):
                if word in " ".join(process.cmdline()):
                    found.append(process)
        return found

    def trainers(self) -> list[psutil.Process]:
        return self.processes("local.trainer")

    def wait_for_web(self) -> None:
        visitor = Visitor(self.url)

        def answers() -> bool:
            with suppress(httpx.TransportError):
                return visitor.get("/healthz").status == 200
            return False

        wait_for(answers, COME_UP, f"an answer from {self.url}")
        visitor.close()

    def wait_for_workers(self) -> None:
        """Every queue is served, as the page of background work sees it."""
        visitor = self.visitor()
        address = visitor.get("/").path.split("/p/")[0].rstrip("/") + "/operations/"

        def served() -> bool:
            page = visitor.get(address)
            return page.status == 200 and "No worker is running" not in page.text

        wait_for(served, COME_UP, "every worker")

    def disconnect(self) -> None:
        """Let go of the connections of this process."""
        self.leave_database()
        for visitor in self._visitors:
            visitor.close()

    def leave_database(self) -> None:
        """The next question opens a new connection."""
        if self._database is not None:
            self._database.close()


class Together(Stack):
    """`ftportal up`."""

    def __init__(self, home: Path, **more: str) -> None:
        super().__init__(home, free_port())
        self._more = more
        self._log = home.parent / "up.log"
        self._process: subprocess.Popen[bytes] | None = None

    def printed(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def start(self) -> None:
        with self._log.open("wb") as output:
            process = self._process = subprocess.Popen(
                ftportal("up"),
                env=variables(self.home, FTPORTAL_PORT=str(self.port), **QUICK, **self._more),
                cwd="/",
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        wait_for(
            lambda: "Stop: Ctrl-C" in self.printed() or process.poll() is not None, COME_UP, "the address"
        )
        assert process.poll() is None, self.printed()[-3000:]
        if not self.password:
            found = dict(re.findall(r"(e-mail|password) +(\S+)", self.printed()))
            self.email, self.password = found["e-mail"], found["password"]
        self.wait_for_web()
        self.wait_for_workers()

    def ask_to_stop(self) -> None:
        """As Ctrl-C does; `stop` waits for the end."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Fails when something is left, or when it had ended before by itself."""
        assert self._process is not None
        self.leave_database()
        self.ask_to_stop()
        code = self._process.wait(GO_DOWN)
        assert code == 0, self.printed()[-3000:]
        left = [" ".join(process.cmdline()) for process in processes_of(self.home)]
        assert left == [], left

    def kill(self) -> None:
        """Whatever happened before, nothing of it runs on."""
        self.disconnect()
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        for process in processes_of(self.home):
            with suppress(psutil.Error):
                process.kill()


class Apart(Stack):
    """Every program by itself, as on hosts of their own: one may die and the others live."""

    def __init__(self, home: Path, stack: ExitStack) -> None:
        super().__init__(home, free_port())
        self._redis_port = free_port()
        self._programs: dict[str, subprocess.Popen[bytes]] = {}
        self._variables = variables(
            home,
            FTPORTAL_PORT=str(self.port),
            REDIS_URL=f"redis://127.0.0.1:{self._redis_port}/0",
            PYTHONUNBUFFERED="1",
            DJANGO_SETTINGS_MODULE="ftportal.settings",
            **QUICK,
        )
        home.mkdir(mode=0o700)
        environment = load(self._variables)
        claim = stack.enter_context(Claim.acquire(home))
        stack.enter_context(services_running(environment, claim, durable=False))  # Postgres alone
        self._prepare()

    def _prepare(self) -> None:
        self.start_redis()
        result = subprocess.run(
            [sys.executable, "-m", "ftportal.prepare", "--migrate", "--static", "--admin"],
            env=self._variables,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stderr[-3000:]
        admin = json.loads(result.stdout.splitlines()[-1])["admin"]
        self.email, self.password = admin["email"], admin["password"]

    def start_redis(self) -> None:
        data = self.home / "redis"
        data.mkdir(exist_ok=True)
        command = [
            str(server_binary()), "--port", str(self._redis_port), "--bind", "127.0.0.1", "--dir", str(data),
            "--appendonly", "yes", "--appendfsync", "everysec", "--save", "",
        ]  # fmt: skip
        self._spawn("redis", command)

    def redis_is_down(self) -> bool:
        return not self._runs("redis")

    def _runs(self, name: str) -> bool:
        return name in self._programs and self._programs[name].poll() is None

    def start(self, *names: str) -> None:
        for name in names:
            self._spawn(name, ftportal("run", name))

    def _spawn(self, name: str, command: list[str]) -> None:
        with (self.home.parent / f"{name}.log").open("ab") as output:
            self._programs[name] = subprocess.Popen(
                command,
                env=self._variables,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, *names: str) -> None:
        """kill -9 a program with the children of its own group; a trainer has a group of its own."""
        for name in names:
            process = self._programs.pop(name)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def ensure(self, *names: str) -> None:
        """Start what does not run, and wait for it."""
        missing = [name for name in names if not self._runs(name)]
        if not missing:
            return
        self.start(*missing)
        self.wait_for_web()
        self.wait_for_workers()

    def log(self, name: str) -> str:
        return (self.home.parent / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        self.disconnect()
        for process in self._programs.values():
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for leftover in [*self.trainers(), *self.processes("local.inference")]:
            with suppress(psutil.Error):
                leftover.kill()


@contextmanager
def temporary_home() -> Iterator[Path]:
    """A short path: sockets live in it. What went wrong is kept as the programs' logs, in pytest's output."""
    parent = Path(tempfile.mkdtemp(prefix="ftp-"))
    try:
        yield parent / "home"
    finally:
        shutil.rmtree(parent, ignore_errors=True)


@contextmanager
def running_together(**more: str) -> Iterator[Together]:
    """`more`: further variables of its environment."""
    with temporary_home() as home:
        stack = Together(home, **more)
        try:
            stack.start()
            yield stack
            stack.stop()
        finally:
            stack.kill()


@contextmanager
def running_apart() -> Iterator[Apart]:
    with temporary_home() as home, ExitStack() as services:
        stack = Apart(home, services)
        try:
            stack.start(*PROGRAMS)
            stack.wait_for_web()
            stack.wait_for_workers()
            yield stack
        finally:
            stack.stop()
