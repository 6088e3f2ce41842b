"""Running the published tests of the openai client against this server.

They come from the source distribution on PyPI, of the version that is installed here, fetched when they are first run.
"""

import os
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

from tests.ftportal.running import ROOT, free_port, wait_for

HERE = Path(__file__).resolve().parent
VERSION = version("openai")
NEEDED = ("pytest-asyncio", "aiohttp", "rich")
PARTS = ("test_files.py", "test_models.py", "fine_tuning", "chat")
LIMIT = 900.0  # seconds


@dataclass(frozen=True)
class Outcome:
    passed: frozenset[str]
    failed: frozenset[str]

    @property
    def share(self) -> float:
        return len(self.passed) / (len(self.passed) + len(self.failed))


def suite_directory() -> Path:
    """The unpacked source distribution with what its tests need beside it; fetched once."""
    home = ROOT / "var" / "cache" / f"openai-suite-{VERSION}"
    source = home / f"openai-{VERSION}"
    if (home / "complete").exists():
        return source
    home.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run(
        [*pip, "download", "--no-deps", "--no-binary", "openai", "--dest", str(home), f"openai=={VERSION}"],
        check=True,
        capture_output=True,
    )
    subprocess.run(
        [*pip, "install", "--target", str(home / "needed"), *NEEDED], check=True, capture_output=True
    )
    with tarfile.open(home / f"openai-{VERSION}.tar.gz") as packed:
        packed.extractall(home, filter="data")
    (home / "complete").touch()
    return source


@contextmanager
def server_running() -> Iterator[str]:
    """The base URL of a seeded server with a database of its own."""
    port = free_port()
    variables = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FTPORTAL_", "PYTEST_")) and name not in ("DATABASE_URL", "REDIS_URL")
    }
    command = [
        sys.executable, "-m", "ftportal.embedded", "--temporary", "--",
        sys.executable, "-m", "tests.gateway.openai_suite.server", str(port),
    ]  # fmt: skip
    process = subprocess.Popen(command, cwd=ROOT, env={**variables, "PYTHONPATH": str(ROOT)})
    root = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(urllib.request.Request(f"{root}/reset", method="POST"), timeout=10)
        except OSError:
            return False
        return True

    try:
        wait_for(answers, 120, "the server")
        yield f"{root}/v1"
    finally:
        process.terminate()
        process.wait(timeout=30)


def run_suite(report: Path) -> Outcome:
    """Every test of the parts that this server has; `report` gets pytest's own."""
    source = suite_directory()
    with server_running() as base_url:
        subprocess.run(
            [
                sys.executable, "-m", "pytest", "-q", "-o", "addopts=", "-p", "no:django", "-p", "no:cacheprovider",
                "-p", "reset_between_tests", "--tb=line", f"--junitxml={report}",
                *(f"tests/api_resources/{part}" for part in PARTS),
            ],
            cwd=source,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
                "TEST_API_BASE_URL": base_url,
                "PYTHONPATH": f"{source.parent / 'needed'}{os.pathsep}{HERE}",
            },
            check=False,
            capture_output=True,
            timeout=LIMIT,
        )  # fmt: skip
    return outcome_of(report)


def outcome_of(report: Path) -> Outcome:
    """Of the tests that reach a server: not those of empty ids, which the client refuses by itself, and not those of
    file contents, for which it brings a stand-in."""
    passed: set[str] = set()
    failed: set[str] = set()
    for case in ElementTree.parse(report).getroot().iter("testcase"):  # noqa: S314 - written by pytest
        name = f"{case.get('classname', '').rpartition('.')[2]}.{case.get('name')}"
        if "path_params" in name or ("TestFiles" in name or "TestAsyncFiles" in name) and "content" in name:
            continue
        if case.find("skipped") is not None:
            continue
        bad = case.find("failure") is not None or case.find("error") is not None
        (failed if bad else passed).add(name)
    return Outcome(frozenset(passed), frozenset(failed))
