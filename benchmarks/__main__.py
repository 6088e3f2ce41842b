"""Every benchmark, one after the other: `make bench`, or `make bench ARGS=import_rows` for one.

The figures are ratios within one run, since the speed of a machine changes with what else it does. Exit code 1
when a limit is missed.
"""

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPTS = (
    "import_rows",
    "whole_import",
    "export_rows",
    "near_duplicates",
    "pages_at_scale",
    "version_diff",
    "metric_ingest",
    "provider_polling",
    "labeling_load",
    "labeling_pages",
    "gateway",
    "training_overhead",
)


def main() -> int:
    asked = sys.argv[1:] or list(SCRIPTS)
    unknown = [name for name in asked if name not in SCRIPTS]
    if unknown:
        print(f"benchmarks: no {unknown[0]!r}: choose from {', '.join(SCRIPTS)}", file=sys.stderr)
        return 2
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=HERE.parent, check=True)
    print(f"{'measurement':42} {'value':>12} {'limit':>12}", flush=True)
    codes = [
        subprocess.run([sys.executable, str(HERE / f"{name}.py")], check=False).returncode for name in asked
    ]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
