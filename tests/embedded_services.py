"""A pytest plugin: real Postgres and Redis for the run, under a home of its own, before Django reads its settings.

With `-n 2` each of the processes has a home and servers of its own. With DATABASE_URL and REDIS_URL set, those
servers are used instead, by one process only: two would mix what they keep in Redis.
"""

import os
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest

_stack = ExitStack()
_home = Path(tempfile.mkdtemp(prefix="ftportal-test-"))
os.environ["FTPORTAL_HOME"] = str(_home)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ftportal.settings")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.option.collectonly or _leaves_the_tests_to_others(config):
        return
    from ftportal.embedded.services import services_available
    from ftportal.environment import load

    # Nothing here must survive a power cut: without fsync the run is quicker.
    _stack.enter_context(services_available(load(), durable=False))


def _leaves_the_tests_to_others(config: pytest.Config) -> bool:
    """The process that only hands out the tests of `-n 2`."""
    return bool(getattr(config.option, "numprocesses", None)) and not hasattr(config, "workerinput")


def pytest_unconfigure(config: pytest.Config) -> None:
    _stack.close()
    shutil.rmtree(_home, ignore_errors=True)
