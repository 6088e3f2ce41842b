"""How fast rows come in, against a bare COPY of the same rows.

Reading a file, checking every row, looking for exact duplicates and staging the rows is compared with a COPY of them
into a table without any index; the whole import, with its commit, with a COPY into the table that it ends in, which has
keys, ten indexes and the words that are searched. Both may take twice as long as the COPY.

Run with Postgres and Redis up and the tables migrated:

    python -m ftportal.embedded --temporary -- sh -c "python manage.py migrate -v0 && python benchmarks/import_rows.py"

Prints one line a measurement: name, value, limit, ok. Exit code 1 when a limit is missed. `--rows` changes the size.
"""

import argparse
import json
import os
import random
import statistics
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ftportal.settings")

import django

django.setup()

# ruff: noqa: E402 - models can only be imported once Django is set up
from django.db import connection, transaction
from django.utils import timezone

from apps.accounts.models import Workspace
from apps.datasets.models import Dataset, Example, Import
from apps.datasets.services import dataset_create, import_commit_request, import_upload
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_run
from apps.projects.models import Project

COPIES = 2.0
TIMES = 3

failed = False


def report(name: str, value: float, limit: float, *, at_most: bool) -> None:
    global failed  # noqa: PLW0603 - one script, one verdict
    ok = value <= limit if at_most else value >= limit
    failed = failed or not ok
    print(f"{name:42} {value:12.3f} {limit:12.3f} {'ok' if ok else 'MISSED'}", flush=True)


def timed(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def chat_lines(count: int) -> Iterator[bytes]:
    """Rows like those of a help desk: about 450 bytes, 20 answers, groups of 20 wordings."""
    words = [
        f"{stem}{ending}"
        for stem in ("order", "card", "login", "parcel", "invoice", "refund", "screen")
        for ending in "ABCDEFGH"
    ]
    random_ = random.Random(7)
    for number in range(count):
        text = f"Ticket {number}: " + " ".join(random_.choices(words, k=40))
        messages = [
            {"role": "system", "content": "Sort the ticket."},
            {"role": "user", "content": text},
            {"role": "assistant", "content": f"category {number % 20}"},
        ]
        row = {"messages": messages, "metadata": {"wording": f"w{number // 20}"}}
        yield json.dumps(row).encode() + b"\n"


def work() -> None:
    operation = Operation.objects.filter(state=OperationState.QUEUED).order_by("-pk")[0]
    operation_run(operation_id=operation.pk)
    operation.refresh_from_db()
    if operation.state != OperationState.SUCCEEDED:
        raise SystemExit(f"{operation.kind} {operation.state}: {operation.error}")


def bare_copy(rows: list[tuple[Any, ...]]) -> float:
    """Seconds to COPY the columns of the rows into a table without an index."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE bench_copy (line bigint, raw bytea, payload jsonb, content_hash text, text text)"
        )
        start = time.perf_counter()
        with cursor.copy("COPY bench_copy (line, raw, payload, content_hash, text) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        seconds = time.perf_counter() - start
        cursor.execute("DROP TABLE bench_copy")
    return seconds


def copy_into_dataset(dataset: Dataset, rows: list[tuple[Any, ...]]) -> float:
    """Seconds to COPY the rows into the table where they end up: its indexes, its searched words, its keys."""
    statement = (
        "COPY datasets_example (dataset_id, line, raw, payload, content_hash, text, created_at) FROM STDIN"
    )
    now = timezone.now()
    start = time.perf_counter()
    with transaction.atomic(), connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for row in rows:
                copy.write_row((dataset.pk, *row, now))
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        seconds = time.perf_counter() - start
        transaction.set_rollback(True)
    return seconds


def staged_rows(record: Import) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT line, raw, payload::text, content_hash, text FROM datasets_importrow WHERE import_id = %s",
            [record.pk],
        )
        return [(line, bytes(raw), *rest) for line, raw, *rest in cursor.fetchall()]


def import_whole(project: Project, count: int) -> None:
    """Rows are read, checked, looked through for exact duplicates and staged, some times over; then committed once."""
    content = list(chat_lines(count))
    ratios: list[float] = []
    uploads: list[float] = []
    checks: list[float] = []
    for number in range(TIMES):
        dataset = dataset_create(project=project, name=f"Tickets {number}", actor=None)
        start = time.perf_counter()
        import_upload(dataset=dataset, file_name="tickets.jsonl", content=content, actor=None)
        uploads.append(time.perf_counter() - start)
        checks.append(timed(work))
        record = Import.objects.select_related("dataset__project__workspace").latest("pk")
        rows = staged_rows(record)
        copies = [bare_copy(rows), bare_copy(rows)]
        ratios.append(checks[-1] / statistics.mean(copies))
    import_commit_request(import_record=record, keep_duplicates=False, actor=None)
    commit = timed(work)
    assert Example.objects.filter(dataset=dataset).count() == count
    into_dataset = copy_into_dataset(dataset, rows)
    upload, check = statistics.median(uploads), statistics.median(checks)
    for name, seconds in (("upload", upload), ("check", check), ("commit", commit)):
        print(f"# {name}: {seconds:.1f} s, {count / seconds:,.0f} rows/s")
    print(f"# bare COPY: {copies[0]:.1f} s; into the table of the dataset: {into_dataset:.1f} s")
    print(f"# all of it over the bare COPY into a table without an index: {(check + commit) / copies[0]:.1f}")
    report("import_check_over_bare_copy", statistics.median(ratios), COPIES, at_most=True)
    report(
        "whole_import_over_copy_into_dataset", (upload + check + commit) / into_dataset, COPIES, at_most=True
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    arguments = parser.parse_args()
    workspace = Workspace.objects.create(name="Benchmark", slug=f"benchmark-{uuid.uuid4().hex[:8]}")
    project = Project.objects.create(workspace=workspace, name="Import", slug="import")
    print(f"{'# name':42} {'value':>12} {'limit':>12}")
    import_whole(project, arguments.rows)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
