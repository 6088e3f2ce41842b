"""Storing a trainer's points: the whole path from the events file to rows, against a bare COPY of the same rows.

Run with Postgres and Redis up and the tables migrated (`make bench ARGS=metric_ingest`).

The path reads and decodes the JSON lines, checks what is new under the job's lock, copies, and keeps the last values.
Both sides store the same number of points into the same table, alternating; medians. Prints name, ratio, limit, ok.
"""

import json
import os
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ftportal.settings")

import django

django.setup()

# ruff: noqa: E402 - models can only be imported once Django is set up
from django.db import connection

from apps.accounts.models import Workspace
from apps.datasets.models import Dataset, Version
from apps.jobs.directories import local_trainer
from apps.jobs.ingest import COPY, events_ingest
from apps.jobs.models import MetricPoint, TrainingJob
from apps.projects.models import Project
from apps.registry.models import BaseModel

POINTS = 100_000
ROUNDS = 5
LIMIT = 4.0
"""A bare COPY has no JSON to read. Even at this ratio a point costs some 20 microseconds, and a step milliseconds."""


def make_project() -> tuple[Project, Version, BaseModel]:
    workspace = Workspace.objects.create(name="Benchmark", slug=f"benchmark-{uuid.uuid4().hex[:8]}")
    project = Project.objects.create(workspace=workspace, name="Benchmark", slug="benchmark")
    dataset = Dataset.objects.create(project=project, name="Benchmark")
    version = Version.objects.create(dataset=dataset, number=1)
    return project, version, BaseModel.objects.create(workspace=workspace, reference="/none", name="none")


def write_events(path: Path) -> None:
    with path.open("w") as file:
        for seq in range(POINTS):
            event = {
                "seq": seq, "time": 1.7e9 + seq / 10, "type": "metrics", "step": seq + 1, "epoch": seq / 1000,
                "tokens": seq * 812, "loss": 2.345678 + seq % 7 / 100, "learning_rate": 0.000123456,
                "grad_norm": 0.7654321, "tokens_per_second": 1234.5678, "token_accuracy": 0.87654,
            }  # fmt: skip
            file.write(json.dumps(event) + "\n")


def tail(job: TrainingJob, directory: Path) -> float:
    """Seconds from the file to the rows."""
    trainer, offset = local_trainer(), 0
    started = time.perf_counter()
    while True:
        events, following = trainer.read_events(directory, offset)
        if not events:
            return time.perf_counter() - started
        events_ingest(job_id=job.pk, events=events)
        offset = following


def bare_copy(job: TrainingJob) -> float:
    rows = [
        (job.pk, seq, "train", seq + 1, seq / 1000, seq * 812, seq / 10, 2.345678 + seq % 7 / 100, 0.000123456,
         0.7654321, 1234.5678, 0.87654, None, None)
        for seq in range(POINTS)
    ]  # fmt: skip
    started = time.perf_counter()
    with connection.cursor() as cursor, cursor.copy(COPY) as copy:
        for row in rows:
            copy.write_row(row)
    return time.perf_counter() - started


def main() -> int:
    project, version, base_model = make_project()

    def job(number: int) -> TrainingJob:
        return TrainingJob.objects.create(
            project=project, number=number, name=f"Job {number}", version=version, base_model=base_model,
            method="lora", configuration={}, configuration_hash="-",
        )  # fmt: skip

    tailing, copying = [], []
    with tempfile.TemporaryDirectory() as name:
        write_events(Path(name) / "events.jsonl")
        for number in range(ROUNDS):
            first, second = job(2 * number), job(2 * number + 1)
            tailing.append(tail(first, Path(name)))
            copying.append(bare_copy(second))
            assert MetricPoint.objects.filter(job=first).count() == POINTS
            MetricPoint.objects.filter(job__in=[first, second]).delete()
    ours, bare = statistics.median(tailing), statistics.median(copying)
    print(f"# tailing {POINTS / ours:,.0f} points/s, bare COPY {POINTS / bare:,.0f} points/s")
    ratio, ok = ours / bare, ours / bare <= LIMIT
    print(f"{'metric_ingest_over_bare_copy':42} {ratio:12.3f} {LIMIT:12.3f} {'ok' if ok else 'MISSED'}")
    return int(not ok)


if __name__ == "__main__":
    sys.exit(main())
