"""Chat rows imported, checked by all checks and frozen by a worker as it runs in production: time, and memory.

Run with Postgres and Redis up and the tables migrated:

    python -m ftportal.embedded --temporary -- python -m benchmarks whole_import

Prints one line a measurement: name, value, limit, ok. Exit code 1 when a limit is missed. `--rows` and `--many-rows`
change the sizes of the two runs; 0 leaves one out.
"""

import argparse
import os
import sys
import uuid
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ftportal.settings")

import django

django.setup()

# ruff: noqa: E402 - models can only be imported once Django is set up
from apps.accounts.models import Workspace
from apps.datasets.models import CheckReport, CheckState, Dataset, Import, Version
from apps.datasets.services import (
    checks_request,
    dataset_create,
    import_commit_request,
    import_upload,
    version_freeze_request,
)
from apps.projects.models import Project
from benchmarks import import_rows
from benchmarks.import_rows import chat_lines, report, timed
from benchmarks.worker import Worker, worker_running

SECONDS = 60.0
"""For 100,000 rows on two cores."""
MEMORY = 500_000_000


def pieces(count: int) -> Iterator[bytes]:
    lines = chat_lines(count)
    while piece := b"".join(islice(lines, 2000)):
        yield piece


def run(worker: Worker, project: Project, count: int) -> tuple[float, float]:
    """From the file to the frozen version, and what the checks of that version take: seconds."""
    dataset = dataset_create(project=project, name=f"{count} tickets", actor=None)
    steps: dict[str, float] = {}
    steps["upload"] = timed(
        lambda: import_upload(dataset=dataset, file_name="tickets.jsonl", content=pieces(count), actor=None)
    )
    steps["read"] = timed(worker.finish)
    record = Import.objects.select_related("dataset__project__workspace").get(dataset=dataset)
    import_commit_request(import_record=record, keep_duplicates=False, actor=None)
    steps["commit"] = timed(worker.finish)
    dataset = Dataset.objects.select_related("project__workspace").get(pk=dataset.pk)
    checked = checks_request(dataset=dataset, actor=None)
    steps["checks"] = timed(worker.finish)
    version_freeze_request(
        dataset=dataset,
        seed=42,
        validation_share=0.1,
        test_share=0.1,
        group_path="metadata.wording",
        actor=None,
    )
    both = timed(worker.finish)  # the version of checked rows is checked right after it is frozen
    version = Version.objects.select_related("dataset__project__workspace").get(dataset=dataset)
    assert version.row_count == count
    assert version.frozen_at is not None
    steps["freeze"] = (version.frozen_at - version.created_at).total_seconds()
    again = both - steps["freeze"]
    assert CheckReport.objects.get(version=version).state == CheckState.DONE
    for name, seconds in steps.items():
        print(f"# {name}: {seconds:.1f} s, {count / seconds:,.0f} rows/s", flush=True)
    print(f"# checks of the version, facts known: {again:.1f} s", flush=True)
    for each in CheckReport.objects.get(pk=checked.pk).checks:
        if each["seconds"] >= 0.1:
            print(f"#   {each['name']}: {each['seconds']:.1f} s", flush=True)
    report("checks_of_known_rows_over_first_checks", again / steps["checks"], 0.6, at_most=True)
    return sum(steps.values()), again


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--many-rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    workspace = Workspace.objects.create(name="Benchmark", slug=f"benchmark-{uuid.uuid4().hex[:8]}")
    project = Project.objects.create(workspace=workspace, name="Whole", slug="whole")
    print(f"{'# name':42} {'value':>12} {'limit':>12}", flush=True)
    if arguments.rows:
        with worker_running() as worker:
            seconds, _ = run(worker, project, arguments.rows)
        limit = SECONDS * arguments.rows / 100_000
        print(f"# {seconds:.1f} s in all", flush=True)
        report("import_check_freeze_over_60_s_per_100k", seconds / limit, 1, at_most=True)
    if arguments.many_rows:
        with worker_running() as worker:
            run(worker, project, arguments.many_rows)
        peaks = sorted(worker.peaks.values(), reverse=True)
        print(f"# peaks of the worker's processes: {', '.join(f'{peak / 1e6:.0f} MB' for peak in peaks)}")
        report("worker_peak_memory_over_500_mb", peaks[0] / MEMORY, 1, at_most=True)
    return 1 if import_rows.failed else 0


if __name__ == "__main__":
    sys.exit(main())
