"""What running work holds in its hand: it reports how far it is, and learns whether it should stop."""

import threading
import time
from types import TracebackType
from typing import Self

from django.conf import settings
from django.db import connection
from django.utils import timezone

from apps.operations.live import announce, channel_of_subject, channel_of_workspace
from apps.operations.models import Operation, OperationState

WRITE_EVERY_SECONDS = 0.5


class OperationCancelledError(Exception):
    """Somebody asked to stop; raised inside the work at its next report."""


class OperationSupersededError(Exception):
    """Another attempt took over (this process was silent too long). Stop at once, write nothing."""


class OperationParkedError(Exception):
    """Raised by work that goes on elsewhere: the operation stays open without a worker, and whoever looks after it
    reports with `operation_note` and closes it with `operation_end`."""


class Progress:
    """Reports for one attempt. Every write carries the attempt number, so an older attempt cannot write."""

    def __init__(self, operation: Operation) -> None:
        self.operation = operation
        self._written_at = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"heartbeat-{operation.pk}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def report(
        self,
        done: int | None = None,
        *,
        total: int | None = None,
        message: str | None = None,
        unit: str | None = None,
        force: bool = False,
    ) -> None:
        """Note how far the work is; written at most twice a second unless `force`.

        Raises `OperationCancelledError` when a stop was asked for, `OperationSupersededError` when another took over.
        """
        operation = self.operation
        changes = {"done": done, "total": total, "message": message, "unit": unit}
        fields = {name: value for name, value in changes.items() if value is not None}
        force = force or any(name in fields for name in ("total", "message", "unit"))
        for name, value in fields.items():
            setattr(operation, name, value)
        now = time.monotonic()
        if not force and now - self._written_at < WRITE_EVERY_SECONDS:
            return
        self._written_at = now
        self._write(
            done=operation.done,
            total=operation.total,
            message=operation.message.replace("\0", "\ufffd")[:300],
            unit=operation.unit,
        )
        self.check()
        announce(
            channel_of_workspace(operation.workspace_id),
            channel_of_subject(operation.subject_type, operation.subject_id),
        )

    def check(self) -> None:
        """Raise when the work should stop; cheap enough for every second."""
        current = (
            Operation.objects.filter(pk=self.operation.pk)
            .values_list("attempts", "state", "cancel_requested_at")
            .first()
        )
        if current is None or current[0] != self.operation.attempts or current[1] != OperationState.RUNNING:
            raise OperationSupersededError
        if current[2] is not None:
            raise OperationCancelledError

    def _write(self, **fields: object) -> None:
        now = timezone.now()
        written = Operation.objects.filter(
            pk=self.operation.pk, attempts=self.operation.attempts, state=OperationState.RUNNING
        ).update(heartbeat_at=now, updated_at=now, **fields)
        if not written:
            raise OperationSupersededError

    def _beat(self) -> None:
        """From its own thread and connection: a long step without reports is not silence."""
        while not self._stop.wait(settings.FTPORTAL_HEARTBEAT_SECONDS):
            try:
                self._write()
            except OperationSupersededError:
                return  # the work itself learns it at its next report
            except Exception:  # noqa: BLE001, S112 - the database is away; the next beat tries again
                continue
            finally:
                connection.close()
