"""How long the database takes to say what differs between two versions of a million rows.

Run with Postgres and Redis up and the tables migrated:

    python -m ftportal.embedded --temporary -- python -m benchmarks version_diff

Prints one line a measurement: name, value, limit, ok. Exit code 1 when a limit is missed. `--rows` changes the size.
"""

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ftportal.settings")

import django

django.setup()

# ruff: noqa: E402 - models can only be imported once Django is set up
from django.db import connection

from apps.datasets.diff_pages import diff_page
from apps.datasets.models import Dataset
from apps.datasets.services import version_diff
from benchmarks.many_rows import dataset_of_many, version_of

failed = False
SUMMARY_SECONDS = 5.0
PAGE_SECONDS = 0.2

_EDIT = """
WITH old AS (
    UPDATE datasets_example SET removed_at = now()
    WHERE dataset_id = %(dataset)s AND removed_at IS NULL AND key %% %(every)s = 0 RETURNING *
)
INSERT INTO datasets_example
    (dataset_id, line, row, replaces_id, raw, payload, content_hash, text, split, tags, created_at)
SELECT dataset_id, line, key, id, raw, payload, md5(text || ' edited'), text || ' edited', split, tags, now() FROM old
"""
_REMOVE = """
UPDATE datasets_example SET removed_at = now()
WHERE dataset_id = %(dataset)s AND removed_at IS NULL AND key %% %(every)s = 1
"""
_ADD = """
INSERT INTO datasets_example (dataset_id, line, raw, payload, content_hash, text, split, tags, created_at)
SELECT dataset_id, line, raw, payload, md5(text || ' again'), text, split, tags, now() FROM datasets_example
WHERE dataset_id = %(dataset)s AND removed_at IS NULL AND key %% %(every)s = 2
"""


def report(name: str, value: float, limit: float) -> None:
    global failed  # noqa: PLW0603 - one script, one verdict
    ok = value <= limit
    failed = failed or not ok
    print(f"{name:42} {value:12.3f} {limit:12.3f} {'ok' if ok else 'MISSED'}", flush=True)


def change(dataset: Dataset, every: int) -> None:
    """One row of `every` edited, one removed, one added."""
    with connection.cursor() as cursor:
        for statement in (_EDIT, _REMOVE, _ADD):
            cursor.execute(statement, {"dataset": dataset.pk, "every": every})
        cursor.execute("ANALYZE datasets_example")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    count = parser.parse_args().rows
    dataset = dataset_of_many(count)
    first = version_of(dataset)
    change(dataset, 50)
    second = version_of(dataset)
    print(f"# two versions of {first.row_count:,} and {second.row_count:,} rows", flush=True)
    start = time.perf_counter()
    diff = version_diff(before=first, after=second)
    seconds = time.perf_counter() - start
    print(f"# {diff.summary}", flush=True)
    each = count // 50
    assert (diff.summary["added"], diff.summary["removed"], diff.summary["changed"]) == (each, each, each)
    report("diff_summary_seconds_over_5", seconds / SUMMARY_SECONDS, 1)
    start = time.perf_counter()
    page = diff_page(diff, "changed", number=each // 40)
    report("diff_page_seconds_over_0.2", (time.perf_counter() - start) / PAGE_SECONDS, 1)
    assert len(page.pairs) == 20
    start = time.perf_counter()
    version_diff(before=first, after=second)
    report("diff_again_seconds_over_0.2", (time.perf_counter() - start) / PAGE_SECONDS, 1)
    start = time.perf_counter()
    version_diff(before=first, after=None)
    report("diff_with_dataset_seconds_over_5", (time.perf_counter() - start) / SUMMARY_SECONDS, 1)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
