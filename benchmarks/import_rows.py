"""How fast rows come in and freeze, and how fast a million of them are paged and searched.

Run with Postgres and Redis up and the tables migrated:

    python -m ftportal.embedded --temporary -- sh -c "python manage.py migrate -v0 && python benchmarks/import_rows.py"

Prints one line a measurement: name, value, limit, ok. Exit code 1 when a limit is missed. `--rows` and
`--search-rows` change the sizes.
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

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ftportal.settings")

import django

django.setup()

# ruff: noqa: E402 - models can only be imported once Django is set up
from django.db import connection

from apps.accounts.models import Workspace
from apps.datasets.models import Dataset, Example, Import, Version
from apps.datasets.row_filters import RowFilter
from apps.datasets.row_finding import find_ids
from apps.datasets.selectors import examples_page
from apps.datasets.services import (
    dataset_create,
    import_commit_request,
    import_upload,
    version_freeze_request,
)
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_run
from apps.projects.models import Project

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


def bare_copy(source: Import) -> float:
    """Seconds to COPY the very same columns of the very same rows into a table without an index."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT line, raw, payload::text, content_hash, text FROM datasets_importrow WHERE import_id = %s",
            [source.pk],
        )
        rows = cursor.fetchall()
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


def import_and_freeze(project: Project, count: int) -> Dataset:
    dataset = dataset_create(project=project, name="Tickets", actor=None)
    content = list(chat_lines(count))
    upload = timed(
        lambda: import_upload(dataset=dataset, file_name="tickets.jsonl", content=content, actor=None)
    )
    check = timed(work)
    record = Import.objects.select_related("dataset__project__workspace").get(dataset=dataset)
    copy = bare_copy(record)
    import_commit_request(import_record=record, keep_duplicates=False, actor=None)
    commit = timed(work)
    version_freeze_request(
        dataset=dataset,
        seed=42,
        validation_share=0.1,
        test_share=0.1,
        group_path="metadata.wording",
        actor=None,
    )
    freeze = timed(work)
    version = Version.objects.get(dataset=dataset)
    assert version.row_count == Example.objects.filter(dataset=dataset).count() == count
    for name, seconds in (("upload", upload), ("check", check), ("commit", commit), ("freeze", freeze)):
        print(f"# {name}: {seconds:.1f} s, {count / seconds:,.0f} rows/s")
    print(f"# bare COPY: {copy:.1f} s, {count / copy:,.0f} rows/s")
    report("check_seconds_over_bare_copy", check / copy, 12, at_most=True)
    report("import_seconds_over_bare_copy", (upload + check + commit) / copy, 25, at_most=True)
    report(
        "upload_to_frozen_seconds_per_100k_rows",
        (upload + check + commit + freeze) * 100_000 / count,
        60,
        at_most=True,
    )
    return dataset


def page_and_search(project: Project, count: int) -> None:
    """Times of the slowest page: common words, rare ones, ones that are only at the end, deep pages."""
    dataset = dataset_create(project=project, name="Many", actor=None)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO datasets_example (dataset_id, line, raw, payload, content_hash, text, created_at)
            SELECT %s, n, convert_to(t, 'UTF8'), jsonb_build_object('messages', jsonb_build_array(
                jsonb_build_object('role', 'user', 'content', t),
                jsonb_build_object('role', 'assistant', 'content', 'category'))), md5(t), t, now()
            FROM (SELECT n, 'ticket ' || n || ' my order of ' || md5(n::text) || ' is late, card ' || n %% 977
                         || CASE WHEN n %% 3 = 0 THEN ' common' ELSE '' END
                         || CASE WHEN n %% 100000 = 0 THEN ' rare' ELSE '' END
                         || CASE WHEN n %% 300 = 0 THEN ' middling' ELSE '' END
                         || CASE WHEN n > %s * 0.9 THEN ' late' ELSE '' END
                         || repeat(' and so on and so forth', 8) AS t
                  FROM generate_series(1, %s) AS n) AS made
            """,
            [dataset.pk, count, count],
        )
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE datasets_example")
    Dataset.objects.filter(pk=dataset.pk).update(example_count=count)
    first = Example.objects.filter(dataset=dataset).order_by("pk")[0].pk
    places: dict[str, dict[str, str]] = {
        "first": {},
        "deep": {"after": str(first + count * 9 // 10)},
        "backwards": {"before": str(first + count // 2)},
        "common": {"q": "common"},
        "common_deep": {"q": "common", "after": str(first + count // 2)},
        "middling": {"q": "middling"},
        "rare": {"q": "rare"},
        "rare_backwards": {"q": "rare", "before": str(first + count)},
        "two_words": {"q": "common middling rare"},
        "number": {"q": "card 123"},
        "beginning_of_a_common_word": {"q": "rare comm"},
        "nowhere": {"q": "zebra"},
        "only_at_the_end": {"q": "late middling"},
        "last_tenth": {"q": "late"},
    }
    for name, parameters in places.items():
        times = sorted(timed(lambda p=parameters: examples_page(dataset, p)) for _ in range(5))  # type: ignore[misc]
        report(f"page_{name}_milliseconds", 1000 * statistics.median(times), 200, at_most=True)
    assert len(find_ids(dataset, RowFilter(words="rare"), limit=51)) == min(51, count // 100_000)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--search-rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    workspace = Workspace.objects.create(name="Benchmark", slug=f"benchmark-{uuid.uuid4().hex[:8]}")
    project = Project.objects.create(workspace=workspace, name="Import", slug="import")
    print(f"{'# name':42} {'value':>12} {'limit':>12}")
    if arguments.rows:
        import_and_freeze(project, arguments.rows)
    if arguments.search_rows:
        page_and_search(project, arguments.search_rows)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
