"""Following 1,000 jobs at providers: how much of one core it takes at the pace at which old jobs are asked about.

Run with Postgres and Redis up and the tables migrated (`make bench ARGS=provider_polling`).

A stub of the OpenAI protocol, a program of its own, answers that nothing is new, which is what nearly every answer
says. All jobs are due at once; the processor time of asking about each of them once and storing that nothing changed,
over the time in which each is asked about once. Half of a second round answers with a new event. Prints name, value,
limit, ok.
"""

import os
import socket
import subprocess
import sys
import time
import uuid
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ftportal.settings")
os.environ["FTPORTAL_ALLOW_PRIVATE_URLS"] = "1"

import django

django.setup()

# ruff: noqa: E402 - models can only be imported once Django is set up
from django.utils import timezone

from apps.accounts.models import Workspace
from apps.datasets.models import Dataset, Version
from apps.jobs.models import JobState, TrainingJob
from apps.jobs.remote.polling import SLOWEST_SECONDS, poll_due_jobs
from apps.projects.models import Project
from apps.providers.services import connection_create
from apps.registry.models import BaseModel

JOBS = 1000
ROUNDS = 3
LIMIT = 0.10
"""Of one core."""
STUB = """
import asyncio, json, sys
job = {"id": "ftjob-1", "object": "fine_tuning.job", "created_at": 1, "error": None, "finished_at": None,
    "fine_tuned_model": None, "hyperparameters": {"n_epochs": 3}, "model": "gpt-4.1-mini", "organization_id": "org-1",
    "result_files": [], "status": "running", "trained_tokens": None, "training_file": "file-1",
    "validation_file": None, "seed": 1, "metadata": {"ftportal_job": "x"}}
events = {"object": "list", "data": [{"id": "ftevent-%d" % number, "object": "fine_tuning.job.event",
    "created_at": 20 - number, "level": "info", "message": "Fine-tuning job started", "type": "message", "data": {}}
    for number in range(8)], "has_more": False}
def whole(body):
    body = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body) + body
replies = {False: whole(job), True: whole(events)}
class Stub(asyncio.Protocol):
    def connection_made(self, transport): self.transport, self.data = transport, b""
    def data_received(self, data):
        self.data += data
        head, found, _ = self.data.partition(b"\\r\\n\\r\\n")
        if found:
            line = head.split(b"\\r\\n")[0]
            if b"checkpoints" in line:
                self.transport.write(whole({"object": "list", "data": [], "has_more": False}))
            else:
                self.transport.write(replies[b"/events" in line])
            self.data = b""
async def main():
    server = await asyncio.get_running_loop().create_server(Stub, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
"""


def make_jobs(port: int) -> None:
    workspace = Workspace.objects.create(name="Benchmark", slug=f"benchmark-{uuid.uuid4().hex[:8]}")
    project = Project.objects.create(workspace=workspace, name="Benchmark", slug="benchmark")
    version = Version.objects.create(
        dataset=Dataset.objects.create(project=project, name="Benchmark"), number=1
    )
    connection = connection_create(
        workspace=workspace, provider="openai", name="Stub",
        settings={"base_url": f"http://127.0.0.1:{port}/v1"}, secrets={"api_key": "sk-benchmark-000000"}, by=None,
    )  # fmt: skip
    base = BaseModel.objects.create(
        workspace=workspace, provider="openai", connection=connection, reference="gpt-4.1-mini", name="mini"
    )
    # Old enough to be asked about at the slowest pace.
    sent = timezone.now() - timedelta(hours=5)
    TrainingJob.objects.bulk_create(
        TrainingJob(
            project=project, number=number, name=f"Job {number}", version=version, base_model=base,
            provider="openai", method="managed", configuration={}, configuration_hash="-", state=JobState.RUNNING,
            handle=f"ftjob-{number}", submission_started_at=sent, started_at=sent, next_poll_at=None,
        )
        for number in range(1, JOBS + 1)
    )  # fmt: skip


def one_round() -> float:
    """Processor seconds for asking about every job once."""
    TrainingJob.objects.filter(name__startswith="Job ", provider="openai").update(next_poll_at=timezone.now())
    before = time.process_time()
    polled = poll_due_jobs()
    assert polled == JOBS, polled
    return time.process_time() - before


def main() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    stub = subprocess.Popen([sys.executable, "-c", STUB, str(port)])
    try:
        wait_for(port)
        make_jobs(port)
        first = one_round()  # every job's events are new
        seconds = min(one_round() for _ in range(ROUNDS))
    finally:
        stub.kill()
        stub.wait()
        TrainingJob.objects.filter(name__startswith="Job ", provider="openai").update(next_poll_at=None)
    share = seconds / SLOWEST_SECONDS
    print(
        f"# {seconds / JOBS * 1000:.1f} ms a poll without news, {first / JOBS * 1000:.1f} ms with eight events,"
        f" each job every {SLOWEST_SECONDS:.0f} s"
    )
    ok = share <= LIMIT
    print(f"{'polling_1000_jobs_share_of_core':42} {share:12.3f} {LIMIT:12.3f} {'ok' if ok else 'MISSED'}")
    return int(not ok)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("The stub did not come up.")


if __name__ == "__main__":
    sys.exit(main())
