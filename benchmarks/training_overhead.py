"""Training inside ftportal, supervised through the real job, against a bare TRL script with the same configuration.

Run with Postgres and Redis up and the tables migrated (`make bench ARGS=training_overhead`).

Measured from where the data is read to the saved result; starting Python and importing torch are left out of both.
Runs alternate; the ratio is that of the medians. Prints name, ratio, limit, ok.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ftportal.settings")

import django

django.setup()

# ruff: noqa: E402 - models can only be imported once Django is set up
from django.conf import settings

from apps.accounts.models import Workspace
from apps.datasets.models import Import, Version
from apps.datasets.services import (
    dataset_create,
    import_commit_request,
    import_upload,
    version_freeze_request,
)
from apps.jobs.job_files import data_files_write, training_request
from apps.jobs.models import JobState, TrainingJob
from apps.jobs.services import job_operation, job_start
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_run
from apps.projects.models import Project
from apps.providers.jobdirs.trainer import write_job
from apps.registry.services import base_model_ensure

ROWS = 700
RUNS = 3
LIMIT = 1.05
SETTINGS = {"epochs": 2.0, "batch_size": 16, "learning_rate": 2e-3, "evaluation_steps": 20, "seed": 42}


def work() -> None:
    operation = Operation.objects.filter(state=OperationState.QUEUED).order_by("-pk")[0]
    operation_run(operation_id=operation.pk)
    operation.refresh_from_db()
    if operation.state != OperationState.SUCCEEDED:
        raise SystemExit(f"{operation.kind} {operation.state}: {operation.error}")


def make_version() -> Version:
    workspace = Workspace.objects.create(name="Benchmark", slug=f"benchmark-{uuid.uuid4().hex[:8]}")
    project = Project.objects.create(workspace=workspace, name="Benchmark", slug="benchmark")
    dataset = dataset_create(project=project, name="Tickets", actor=None)
    lines = (Path(settings.FTPORTAL_DEMO) / "support_tickets" / "tickets.jsonl").read_bytes().splitlines(True)
    import_upload(dataset=dataset, file_name="tickets.jsonl", content=lines[:ROWS], actor=None)
    work()
    record = Import.objects.select_related("dataset__project__workspace").get(dataset=dataset)
    import_commit_request(import_record=record, keep_duplicates=False, actor=None)
    work()
    version_freeze_request(
        dataset=dataset, seed=42, validation_share=0.1, test_share=0.1, group_path="", actor=None
    )
    work()
    return Version.objects.select_related("dataset__project__workspace").get(dataset=dataset)


def start(version: Version) -> TrainingJob:
    project = version.dataset.project
    base_model = base_model_ensure(
        workspace=project.workspace, reference=settings.FTPORTAL_BASE_MODEL, actor=None
    )
    return job_start(
        project=project, version=version, base_model=base_model, name="", method="lora",
        hyperparameters=SETTINGS, by=None,
    )  # fmt: skip


def inside(job: TrainingJob) -> float:
    """Seconds from the trainer's first look at the data to its published result."""
    operation = job_operation(job)
    assert operation is not None
    operation_run(operation_id=operation.pk)
    job.refresh_from_db()
    if job.state != JobState.SUCCEEDED:
        raise SystemExit(f"The job failed: {job.error}")
    started = {entry["phase"]: entry["started"] for entry in job.phases}
    return float(started["finished"] - started["preparing"])


def bare(job: TrainingJob) -> float:
    """Seconds that the script took for the same data and settings."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name) / "job"
        data_files_write(job=job, directory=directory, check=lambda: None)
        write_job(directory, training_request(job=job, directory=directory, resume=False))
        command = [sys.executable, str(ROOT / "benchmarks" / "bare_trl.py"), str(directory), f"{name}/output"]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise SystemExit(f"The bare script ended with {ended.returncode}:\n{ended.stderr[-2000:]}")
    return float(json.loads(ended.stdout.splitlines()[-1])["wall_seconds"])


def main() -> int:
    version = make_version()
    ours, theirs = [], []
    for _ in range(RUNS):
        job = start(version)
        ours.append(inside(job))
        theirs.append(bare(job))
        print(f"# inside {ours[-1]:.1f} s, bare script {theirs[-1]:.1f} s", flush=True)
    ratio = statistics.median(ours) / statistics.median(theirs)
    ok = ratio <= LIMIT
    print(f"{'training_seconds_over_bare_trl':42} {ratio:12.3f} {LIMIT:12.3f} {'ok' if ok else 'MISSED'}")
    return int(not ok)


if __name__ == "__main__":
    sys.exit(main())
