"""How fast the rows of a version are written in each format of export.

Run with Postgres and Redis up and the tables migrated:

    python -m ftportal.embedded --temporary -- python -m benchmarks export_rows

Prints one line a format: name, seconds over those that 50,000 rows a second take, limit, ok. Exit code 1 when a limit
is missed. `--rows` changes the size.
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
from apps.datasets.exports import FORMATS
from apps.datasets.selectors import version_export_rows
from benchmarks import import_rows
from benchmarks.import_rows import report
from benchmarks.many_rows import dataset_of_many, version_of

ROWS_A_SECOND = 50_000
WITHOUT_ROWS = {"preference"}
"""Formats that leave these rows out, as they are no pairs."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=200_000)
    count = parser.parse_args().rows
    version = version_of(dataset_of_many(count))
    for key, each in FORMATS.items():
        start = time.perf_counter()
        size = sum(map(len, each.write(version_export_rows(version))))
        seconds = time.perf_counter() - start
        assert size > count or key in WITHOUT_ROWS
        print(f"# {each.label}: {size / 1e6:.0f} MB, {count / seconds:,.0f} rows/s", flush=True)
        report(f"export_{key}_over_50k_rows_a_second", seconds * ROWS_A_SECOND / count, 1, at_most=True)
    return 1 if import_rows.failed else 0


if __name__ == "__main__":
    sys.exit(main())
