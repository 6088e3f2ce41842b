"""Every check and test, one stage after the other; the later ones run even when one fails.

    python tools/check.py [STAGE …]     stages by name or group: lint, types, tests, or one of STAGES

Runs with an embedded Postgres and Redis in a home that is removed afterwards. The last line is
`N passed, N failed`, where each test counts, and each stage that is not a test run counts as one.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from ftportal.embedded.errors import ServiceError  # noqa: E402
from ftportal.embedded.services import embedded_services  # noqa: E402
from ftportal.environment import ConfigurationError  # noqa: E402

BIN = Path(sys.executable).parent
PYTHON = [sys.executable]
PYTEST = [*PYTHON, "-m", "pytest", "-rs"]
PARALLEL = ["-n", "logical", "--maxprocesses", "4", "--dist", "worksteal"]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@dataclass(frozen=True, kw_only=True)
class Stage:
    name: str
    group: str
    command: list[str]

    @property
    def is_test_run(self) -> bool:
        return self.command[: len(PYTEST)] == PYTEST


@dataclass(frozen=True, kw_only=True)
class Outcome:
    stage: Stage
    seconds: float
    passed: int
    failed: int


STAGES = [
    Stage(name="ruff", group="lint", command=[str(BIN / "ruff"), "check", "."]),
    Stage(name="format", group="lint", command=[str(BIN / "ruff"), "format", "--check", "."]),
    Stage(name="imports", group="lint", command=[str(BIN / "lint-imports")]),
    Stage(name="mypy", group="types", command=[str(BIN / "mypy")]),
    Stage(
        name="migrations",
        group="tests",
        command=[*PYTHON, "manage.py", "makemigrations", "--check", "--dry-run"],
    ),
    Stage(
        name="static",
        group="tests",
        command=[*PYTHON, "manage.py", "collectstatic", "--noinput", "--verbosity=0"],
    ),
    Stage(
        name="fast", group="tests", command=[*PYTEST, *PARALLEL, "-q", "-m", "not integration and not e2e"]
    ),
    Stage(name="integration", group="tests", command=[*PYTEST, "-q", "-m", "integration"]),
    Stage(name="e2e", group="tests", command=[*PYTEST, "-q", "-m", "e2e"]),
]


def main() -> int:
    asked = sys.argv[1:]
    known = {stage.name for stage in STAGES} | {stage.group for stage in STAGES}
    unknown = [word for word in asked if word not in known]
    if unknown:
        print(f"check: no stage {unknown[0]!r}: choose from {', '.join(sorted(known))}", file=sys.stderr)
        return 2
    stages = [stage for stage in STAGES if not asked or stage.name in asked or stage.group in asked]
    try:
        with variables_with_services() as variables:
            outcomes = [run(stage, variables) for stage in stages]
    except (ServiceError, ConfigurationError) as error:
        print(f"check: {error}", file=sys.stderr)
        return 2
    return summarise(outcomes)


@contextmanager
def variables_with_services() -> Iterator[dict[str, str]]:
    """The environment of a stage: nothing configured but a temporary home with its services up."""
    variables = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("FTPORTAL_") and name not in {"DATABASE_URL", "REDIS_URL"}
    }
    browser = os.environ.get("FTPORTAL_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser:
        variables["FTPORTAL_CHROMIUM"] = browser
    with tempfile.TemporaryDirectory(prefix="ftportal-check-") as name:
        home = Path(name) / "home"
        with embedded_services(home, durable=False):
            yield variables | {"FTPORTAL_HOME": str(home)}


def run(stage: Stage, variables: dict[str, str]) -> Outcome:
    print(f"\n=== {stage.name}: {' '.join([Path(stage.command[0]).name, *stage.command[1:]])}", flush=True)
    started = time.monotonic()
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        command = stage.command
        if stage.is_test_run:
            command = [*command, f"--junitxml={report.name}", "-o", "junit_family=xunit2"]
        code = subprocess.run(
            command, cwd=ROOT, env=variables, stdin=subprocess.DEVNULL, check=False
        ).returncode
        passed, failed = counts(Path(report.name)) if stage.is_test_run else (0, 0)
    if not stage.is_test_run:
        passed = int(code == 0)
    if code and not failed:  # a crash, a collection error, no test at all: the stage itself failed
        failed = 1
    return Outcome(stage=stage, seconds=time.monotonic() - started, passed=passed, failed=failed)


def counts(report: Path) -> tuple[int, int]:
    """Passed and failed of a JUnit report; a skipped test showed nothing, so it counts as failed here."""
    try:
        suites = ElementTree.parse(report).getroot().findall("testsuite")  # noqa: S314 - our own file
    except ElementTree.ParseError:
        return 0, 0
    total, bad = (
        sum(int(suite.get(name, 0)) for suite in suites for name in names)
        for names in (("tests",), ("failures", "errors", "skipped"))
    )
    return max(total - bad, 0), bad


def summarise(outcomes: list[Outcome]) -> int:
    print("\n=== summary")
    for outcome in outcomes:
        verdict = "FAILED" if outcome.failed else "passed"
        detail = f"{outcome.passed} passed, {outcome.failed} failed" if outcome.stage.is_test_run else ""
        print(f"{outcome.stage.name:<14}{verdict:<8}{outcome.seconds:>7.1f} s  {detail}".rstrip())
    print(f"{'all':<22}{sum(outcome.seconds for outcome in outcomes):>7.1f} s")
    failed = sum(outcome.failed for outcome in outcomes)
    print(f"{sum(outcome.passed for outcome in outcomes)} passed, {failed} failed", flush=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
