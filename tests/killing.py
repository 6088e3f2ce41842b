"""A worker in a process of its own that is killed in the middle, and what the reconciler then does."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import quote

from cryptography.fernet import Fernet
from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.operations.models import Operation, OperationState
from apps.operations.services import operations_reconcile

WORK = "import django; django.setup(); from apps.operations.services import operation_run as run; run(operation_id={})"
PATIENCE = 120.0  # seconds


def database_url() -> str:
    at = connection.settings_dict
    host = quote(str(at["HOST"]), safe="")
    return f"postgresql://{at['USER']}:{at['PASSWORD']}@/{at['NAME']}?host={host}&port={at['PORT'] or 5432}"


def killed_once(operation: Operation, condition: Callable[[], bool], **environment: str) -> None:
    """Work on the operation in another process and kill it as soon as `condition()` holds."""
    variables = os.environ | {
        "DATABASE_URL": database_url(),
        "REDIS_URL": settings.FTPORTAL_REDIS_URL,
        "FTPORTAL_SECRET_KEY": "s" * 50,
        "FTPORTAL_ENCRYPTION_KEY": Fernet.generate_key().decode(),
    }
    process = subprocess.Popen([sys.executable, "-c", WORK.format(operation.pk)], env=variables | environment)
    deadline = time.monotonic() + PATIENCE
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
