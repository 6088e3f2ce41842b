"""The live stream through a real web server, while points arrive and the job ends."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time

import httpx
import psutil
import pytest
from django.conf import settings
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from apps.jobs.ingest import events_ingest
from apps.jobs.models import JobState, TrainingJob
from apps.operations.live import announce, channel_of_subject
from apps.providers.contracts import TrainingEvent

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.integration]


@pytest.fixture
def server(tmp_path):
    """uvicorn on this test's database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "test_site.py").write_text(
        "import django; django.setup()\n"
        "from django.db import connection\n"
        f"connection.settings_dict['NAME'] = {connection.settings_dict['NAME']!r}\n"
        "from django.conf import settings\n"
        f"settings.DATABASES['default']['NAME'] = {connection.settings_dict['NAME']!r}\n"
        "from ftportal.handler import get_portal_application\n"
        "application = get_portal_application()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "test_site:application", "--port", str(port), "--lifespan", "off",
         "--log-level", "warning", "--timeout-graceful-shutdown", "1"],
        env=os.environ | {"FTPORTAL_DEBUG": "1", "PYTHONPATH": f"{tmp_path}{os.pathsep}{settings.BASE_DIR}"},
    )  # fmt: skip
    base = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(f"{base}/healthz")
            break
        except httpx.TransportError:
            assert time.monotonic() < deadline, "the server did not start"
            assert process.poll() is None, "the server ended"
            time.sleep(0.1)
    yield base, process.pid
    process.terminate()
    process.wait(20)


class Listener:
    """Reads a stream in a thread and keeps its events as (name, data)."""

    def __init__(self, url: str, cookies: dict[str, str]) -> None:
        self.events: list[tuple[str, str]] = []
        self.ended = threading.Event()
        self.status = 0
        self._url, self._cookies = url, cookies
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with (
            contextlib.suppress(httpx.TransportError),  # the server ends with the test
            httpx.stream("GET", self._url, cookies=self._cookies, timeout=60) as response,
        ):
            self.status = response.status_code
            name, data = "", []
            for line in response.iter_lines():
                if line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    data.append(line[6:])
                elif not line and data:
                    self.events.append((name, "\n".join(data)))
                    name, data = "", []
        self.ended.set()

    def wait_for(self, name: str, text: str, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not any(n == name and text in data for n, data in list(self.events)):
            assert time.monotonic() < deadline, f"no {name or 'message'} with {text!r} in {self.events}"
            time.sleep(0.02)


def report(job: TrainingJob, seq: int, step: int) -> None:
    data = {"step": step, "loss": 1 / step, "learning_rate": 1e-3, "grad_norm": 1.0, "tokens_per_second": 5.0}
    events_ingest(job_id=job.pk, events=[TrainingEvent(seq=seq, time=time.time(), type="metrics", data=data)])
    announce(channel_of_subject("jobs.trainingjob", job.pk))


@pytest.fixture
def watched(start, project, client_of, people, server):
    job = start(name="Watched")
    TrainingJob.objects.filter(pk=job.pk).update(state=JobState.RUNNING, total_steps=10)
    path = reverse("jobs:stream", args=[project.workspace.slug, project.slug, job.pk])
    cookies = {"sessionid": client_of(people.vic).cookies["sessionid"].value}
    return job, lambda: Listener(server[0] + path, cookies)


def test_points_state_and_end_reach_a_viewer(watched):
    job, listen = watched
    report(job, 0, 1)
    viewer = listen()
    viewer.wait_for("metrics", "0")
    viewer.wait_for("", "step 1 of 10")
    started = time.monotonic()
    report(job, 1, 2)
    viewer.wait_for("metrics", "1")
    assert time.monotonic() - started < 5
    viewer.wait_for("", "step 2 of 10")
    # Somebody who comes later is told where things stand at once.
    late = listen()
    late.wait_for("metrics", "1")
    late.wait_for("", "step 2 of 10")
    TrainingJob.objects.filter(pk=job.pk).update(
        state=JobState.FAILED, error="It diverged.", finished_at=timezone.now()
    )
    announce(channel_of_subject("jobs.trainingjob", job.pk))
    for listener in (viewer, late):
        listener.wait_for("", "It diverged.")
        assert listener.ended.wait(30)
        assert listener.events[-1][0] == "end"


def test_many_viewers_hold_no_connection_and_no_growing_crowd_of_threads(watched, server):
    """The server's pool has 16 connections: were they held by viewers, the 17th would wait in vain."""
    assert settings.DATABASES["default"]["OPTIONS"]["pool"]["max_size"] == 16
    job, listen = watched
    report(job, 0, 1)
    viewers = [listen() for _ in range(40)]
    for viewer in viewers:
        viewer.wait_for("metrics", "0")
    for step in range(2, 6):
        report(job, step - 1, step)
    for viewer in viewers:
        viewer.wait_for("metrics", "4")
    # One thread for each request while it is open, and the shared pool of at most 36.
    assert psutil.Process(server[1]).num_threads() < 40 + 60
    TrainingJob.objects.filter(pk=job.pk).update(state=JobState.CANCELLED, finished_at=timezone.now())
    announce(channel_of_subject("jobs.trainingjob", job.pk))
    assert all(viewer.ended.wait(30) for viewer in viewers)


def test_the_page_goes_on_without_redis_messages(watched):
    job, listen = watched
    viewer = listen()
    viewer.wait_for("", "Waiting for a worker")
    TrainingJob.objects.filter(pk=job.pk).update(step=7, events_seen=8)
    viewer.wait_for("metrics", "7", seconds=20)


def test_a_stream_needs_a_signed_in_member(watched, server, project, client_of, people):
    job, _ = watched
    path = reverse("jobs:stream", args=[project.workspace.slug, project.slug, job.pk])
    assert httpx.get(server[0] + path).status_code == 302
    cookies = {"sessionid": client_of(people.zoe).cookies["sessionid"].value}
    assert httpx.get(server[0] + path, cookies=cookies).status_code == 404
