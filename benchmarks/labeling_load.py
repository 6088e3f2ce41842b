"""A team labels all at once: real HTTP, real web processes, real Postgres, with faults.

    python -m ftportal.embedded --temporary -- python -m benchmarks labeling_load

Three parts on one session of `--items` items with two labels each. First 20 people in a closed loop without a pause:
labels a second. Then 32 people who think for two seconds: how long a claim and a submit take. Then 32 people label
everything that is left, every tenth submit is sent twice at once, and web processes are killed in the middle; at the
end no label may be too many, lost, or the second one of the same person. Exit code 1 when a limit is missed.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ftportal.settings")

import django
import psutil

django.setup()

# ruff: noqa: E402 - models can only be imported once Django is set up
from django.db import connection
from django.test import Client

from apps.accounts.models import Membership, User
from apps.accounts.permissions import Role
from apps.labeling.models import Session
from apps.labeling.services.sessions import (
    QuestionWish,
    SessionWish,
    question_add,
    session_create,
    session_open,
)
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_run
from benchmarks.many_rows import dataset_of_many, version_of

LABELS = ["refund", "delivery", "account", "other"]
CLOSED_LOOP_PEOPLE, PEOPLE = 20, 32
LEAST_LABELS_A_SECOND = 100
THINKING_SECONDS = 2.0
LIMIT_SECONDS = 0.060

failed = False


def report(name: str, value: float, limit: float, *, at_least: bool = False) -> None:
    global failed  # noqa: PLW0603 - one script, one verdict
    ok = value >= limit if at_least else value <= limit
    failed = failed or not ok
    print(f"{name:42} {value:12.3f} {limit:12.3f} {'ok' if ok else 'MISSED'}", flush=True)


# --- The world ----------------------------------------------------------------------------------------------


def world(items: int) -> tuple[Session, list[dict[str, str]]]:
    """An open session, and the cookies of everybody who labels in it."""
    dataset = dataset_of_many(items)
    lead = User.objects.create_user("lead@example.org", name="Lead")
    Membership.objects.create(workspace=dataset.project.workspace, user=lead, role=Role.LEAD)
    wish = SessionWish(name="Load", version=version_of(dataset), overlap=2, everyone=True, shows_answer=False)
    session = session_create(project=dataset.project, wish=wish, actor=lead)
    options = {"labels": [{"value": label} for label in LABELS]}
    question = QuestionWish(key="intent", kind="choose_one", title="What is it about?", options=options)
    question_add(session=session, wish=question, actor=lead)
    session_open(session=session, actor=lead)
    for operation in Operation.objects.filter(state=OperationState.QUEUED):
        operation_run(operation_id=operation.pk)
    session.refresh_from_db()
    return session, [cookies_of(session, number) for number in range(PEOPLE)]


def cookies_of(session: Session, number: int) -> dict[str, str]:
    user = User.objects.create_user(f"labeler{number}@example.org", name=f"Labeler {number}")
    Membership.objects.create(workspace=session.project.workspace, user=user, role=Role.LABELER)
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    token = "a" * 32
    return {"sessionid": client.cookies["sessionid"].value, "csrftoken": token}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def web(port: int, processes: int):  # noqa: ANN201
    """The web program as `ftportal up` starts it, with so many processes."""
    command = [
        sys.executable, "-m", "uvicorn", "ftportal.asgi:application", "--host", "127.0.0.1", "--port", str(port),
        "--lifespan", "off", "--no-access-log", "--log-level", "error", "--workers", str(processes),
    ]  # fmt: skip
    program = subprocess.Popen(command, cwd=Path(__file__).resolve().parent.parent)
    try:
        deadline = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert time.monotonic() < deadline, "the web program did not come up"
            time.sleep(0.1)
        yield program
    finally:
        program.terminate()
        program.wait(30)


def kill_one(program: subprocess.Popen[bytes]) -> None:
    """One web process, without warning; the program starts another."""
    children = [
        child for child in psutil.Process(program.pid).children() if "spawn_main" in " ".join(child.cmdline())
    ]
    random.choice(children).send_signal(signal.SIGKILL)
    print("# killed a web process", flush=True)


# --- The people ---------------------------------------------------------------------------------------------


@dataclass
class Person:
    """One labeler: a browser with one connection, and what it was told."""

    base: str
    port: int
    cookies: dict[str, str]
    chance: random.Random
    times: dict[str, list[float]] = field(default_factory=lambda: {"claim": [], "submit": []})
    sent: list[str] = field(default_factory=list)
    held: list[dict[str, Any]] = field(default_factory=list)
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def call(self, name: str, data: dict[str, Any]) -> dict[str, Any]:
        """Ask until an answer comes: a lost connection is asked again, as the page does."""
        while True:
            start = time.perf_counter()
            try:
                status, body = await asyncio.wait_for(self._ask(name, data), 30)
            except (OSError, asyncio.IncompleteReadError, TimeoutError, IndexError):
                self._drop()
                await asyncio.sleep(0.2)
                continue
            if status >= 500:
                await asyncio.sleep(0.2)
                continue
            assert status == 200, (status, body)
            if name in self.times:
                self.times[name].append(time.perf_counter() - start)
            return dict(body)

    async def _ask(self, name: str, data: dict[str, Any]) -> tuple[int, Any]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self._streams
        body = json.dumps(data).encode()
        cookies = "; ".join(f"{key}={value}" for key, value in self.cookies.items())
        writer.write(
            f"POST {self.base}{name}/ HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nCookie: {cookies}\r\n"
            f"X-CSRFToken: {self.cookies['csrftoken']}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
        answer = await reader.readexactly(length)
        status = int(head.split(" ")[1])
        return status, json.loads(answer) if "application/json" in head.lower() else answer[:300]

    def _drop(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None

    async def claim(self) -> bool:
        self.held = (await self.call("claim", {"have": []}))["held"]
        return bool(self.held)

    async def submit(self, *, twice: bool = False) -> None:
        lease = self.held[0]
        label = {
            "item": lease["item"],
            "token": lease["token"],
            "client_id": str(uuid.UUID(int=self.chance.getrandbits(128))),
            "answers": {"intent": self.chance.choice(LABELS)},
            "seconds": 2.0,
            "have": [each["item"] for each in self.held],
        }
        self.sent.append(label["client_id"])
        if twice:
            other = Person(self.base, self.port, self.cookies, self.chance)
            answers = await asyncio.gather(self.call("submit", label), other.call("submit", label))
            other._drop()
            assert answers[0]["kept"]["id"] == answers[1]["kept"]["id"], answers
            answer = answers[0]
        else:
            answer = await self.call("submit", label)
        self.held = answer["held"]


async def closed_loop(people: list[Person], seconds: float) -> float:
    """Labels a second, by people who never pause."""
    end = time.monotonic() + seconds

    async def work(person: Person) -> int:
        await person.claim()
        done = 0
        while time.monotonic() < end and person.held:
            await person.submit()
            done += 1
        return done

    start = time.monotonic()
    counts = await asyncio.gather(*(work(person) for person in people))
    return sum(counts) / (time.monotonic() - start)


async def with_thinking(people: list[Person], seconds: float) -> None:
    end = time.monotonic() + seconds

    async def work(person: Person) -> None:
        await asyncio.sleep(person.chance.random() * THINKING_SECONDS)
        while time.monotonic() < end and await person.claim():
            await asyncio.sleep(person.chance.uniform(0.5, 1.5) * THINKING_SECONDS)
            await person.submit()

    await asyncio.gather(*(work(person) for person in people))


async def to_the_end(people: list[Person], program: subprocess.Popen[bytes], kills: int) -> None:
    """Until nobody gets anything more; every tenth submit is sent twice, and web processes die."""
    finished = asyncio.Event()

    async def work(person: Person) -> None:
        while await person.claim():
            while person.held:
                await person.submit(twice=len(person.sent) % 10 == 9)

    async def fault() -> None:
        for _ in range(kills):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(finished.wait(), 4)
                return
            kill_one(program)

    faults = asyncio.create_task(fault())
    await asyncio.gather(*(work(person) for person in people))
    finished.set()
    await faults


def verify(session: Session, sent: list[str]) -> None:
    def value(statement: str, *parameters: Any) -> int:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return int(cursor.fetchone()[0] or 0)

    surplus = value(
        "SELECT count(*) FROM labeling_submission WHERE session_id = %s AND state <> 'counts'", session.pk
    )
    over = value(
        "SELECT sum(n - 2) FROM (SELECT count(*) AS n FROM labeling_submission"
        " WHERE session_id = %s AND state = 'counts' GROUP BY item_id) AS c WHERE n > 2",
        session.pk,
    )
    kept = value("SELECT count(*) FROM labeling_submission WHERE client_id = ANY(%s::uuid[])", sent)
    doubled = value(
        "SELECT count(*) FROM (SELECT 1 FROM labeling_submission WHERE session_id = %s AND state = 'counts'"
        " GROUP BY item_id, user_id HAVING count(*) > 1) AS c",
        session.pk,
    )
    labels = value(
        "SELECT count(*) FROM labeling_submission WHERE session_id = %s AND state = 'counts'", session.pk
    )
    counted = value("SELECT sum(submitted_count) FROM labeling_participant WHERE session_id = %s", session.pk)
    print(f"# {len(sent)} labels were sent, {labels} are there, {session.seat_count} were wanted", flush=True)
    report("labeling_surplus_labels", surplus + over, 0)
    report("labeling_lost_labels", len(set(sent)) - kept, 0)
    report("labeling_items_twice_by_one_person", doubled, 0)
    report("labeling_labels_missing_at_the_end", session.seat_count - labels, 0)
    report("labeling_counters_off", abs(counted - labels), 0)


def computed(program: subprocess.Popen[bytes], backend: int) -> dict[str, float]:
    """Seconds of processor time so far, of who did it: on a busy machine they say more than what passed."""

    def of(processes: list[psutil.Process]) -> float:
        seconds = 0.0
        for process in processes:
            with contextlib.suppress(psutil.Error):
                used = process.cpu_times()
                seconds += used.user + used.system
        return seconds

    found = {"web": of(psutil.Process(program.pid).children(recursive=True)), "people": time.process_time()}
    with contextlib.suppress(psutil.Error):
        server = psutil.Process(backend).parent()
        # Backends that ended are in the server's own account of its children.
        ended = server.cpu_times()
        found["database"] = of(server.children()) + ended.children_user + ended.children_system
    return found


def p95(times: list[float]) -> float:
    ordered = sorted(times)
    return ordered[-(-95 * len(ordered) // 100) - 1]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=15.0, help="of the first and of the second part")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--kills", type=int, default=3)
    given = parser.parse_args()
    session, cookies = world(given.items)
    port = free_port()
    project = session.project
    base = f"/w/{project.workspace.slug}/p/{project.slug}/label/sessions/{session.pk}/work/"
    people = [Person(base, port, each, random.Random(number)) for number, each in enumerate(cookies)]

    connection.ensure_connection()
    backend = connection.connection.info.backend_pid

    async def run(program: subprocess.Popen[bytes]) -> None:
        await closed_loop(people, 1.0)  # the processes load what they need
        before, start = computed(program, backend), time.monotonic()
        rate = await closed_loop(people[:CLOSED_LOOP_PEOPLE], given.seconds)
        labels = rate * (time.monotonic() - start)
        work = {
            name: 1000 * (seconds - before[name]) / labels
            for name, seconds in computed(program, backend).items()
        }
        print(
            "# work a label: " + ", ".join(f"{name} {each:.1f} ms" for name, each in work.items()), flush=True
        )
        report("labeling_closed_loop_labels_a_second", rate, LEAST_LABELS_A_SECOND, at_least=True)
        for person in people:
            person.times = {"claim": [], "submit": []}
        await with_thinking(people, given.seconds)
        for name in ("claim", "submit"):
            times = [each for person in people for each in person.times[name]]
            print(
                f"# {name}: {len(times)}, median {1000 * sorted(times)[len(times) // 2]:.1f} ms", flush=True
            )
            report(f"labeling_{name}_p95_over_60_ms", p95(times) / LIMIT_SECONDS, 1)
        await to_the_end(people, program, given.kills)

    with web(port, given.processes) as program:
        asyncio.run(run(program))
    verify(session, [client_id for person in people for client_id in person.sent])
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
