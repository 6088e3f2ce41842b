"""A worker that is killed in the middle: the next one goes on, and no row is there twice."""

import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from urllib.parse import quote

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.datasets.models import Example, Import, ImportRow, ImportState
from apps.operations.models import Operation, OperationState
from apps.operations.services import operations_reconcile
from tests.datasets.conftest import as_file, raw_rows, tickets, url

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.integration]

WORK = "import django; django.setup(); from apps.operations.services import operation_run as run; run(operation_id={})"


def database_url() -> str:
    at = connection.settings_dict
    host = quote(str(at["HOST"]), safe="")
    return f"postgresql://{at['USER']}:{at['PASSWORD']}@/{at['NAME']}?host={host}&port={at['PORT'] or 5432}"


def killed_once(operation: Operation, condition) -> None:
    """Work on the operation in a process of its own and kill it as soon as `condition()` holds."""
    environment = os.environ | {
        "DATABASE_URL": database_url(),
        "REDIS_URL": settings.FTPORTAL_REDIS_URL,
        "FTPORTAL_SECRET_KEY": "s" * 50,
        "FTPORTAL_ENCRYPTION_KEY": Fernet.generate_key().decode(),
    }
    process = subprocess.Popen([sys.executable, "-c", WORK.format(operation.pk)], env=environment)
    deadline = time.monotonic() + 120
    while not condition():
        assert process.poll() is None, "the work ended before it could be killed"
        assert time.monotonic() < deadline
    process.send_signal(signal.SIGKILL)
    process.wait()


def recover() -> None:
    """What the reconciler does once the worker has been silent for long enough."""
    Operation.objects.filter(state=OperationState.RUNNING).update(
        heartbeat_at=timezone.now() - timedelta(hours=1)
    )
    assert operations_reconcile()["resumed"] == 1


def test_a_check_and_a_commit_that_were_killed_are_finished_by_others(rob, project, work):
    content = tickets(40_000)
    rob.post(url("upload", project), {"file": as_file(content)})
    killed_once(Operation.objects.get(), ImportRow.objects.exists)
    record = Import.objects.get()
    assert record.state == ImportState.CHECKING
    assert 0 < record.row_count < 40_000
    assert ImportRow.objects.count() == record.row_count
    recover()
    (operation,) = work()
    assert (operation.state, operation.attempts) == (OperationState.SUCCEEDED, 2)
    record.refresh_from_db()
    assert (record.state, record.row_count, record.line_count, record.new_count) == (
        ImportState.CHECKED,
        40_000,
        40_000,
        40_000,
    )

    rob.post(url("commit", project, record.pk), {"duplicates": "drop"})
    running = Operation.objects.get(kind="datasets.commit_import")
    killed_once(running, lambda: Operation.objects.get(pk=running.pk).done > 0)
    assert not Example.objects.exists()
    assert ImportRow.objects.count() == 40_000
    recover()
    (operation,) = work()
    assert operation.state == OperationState.SUCCEEDED
    assert raw_rows(record.dataset) == content.splitlines()
