"""Homes for the tests: outside pytest's own directories, which only their owner may enter."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ftportal.running import processes_of


@pytest.fixture
def home() -> Iterator[Path]:
    yield from _home()


@pytest.fixture(scope="module")
def lasting_home() -> Iterator[Path]:
    """One for a whole module: the second start finds a database that is up to date."""
    yield from _home()


def _home() -> Iterator[Path]:
    parent = Path(tempfile.mkdtemp(prefix="ftp-", dir="/tmp"))
    parent.chmod(0o755)
    home = parent / "home"
    yield home
    for process in processes_of(home):
        process.kill()
    shutil.rmtree(parent)
