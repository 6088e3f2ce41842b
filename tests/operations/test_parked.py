"""Work that goes on elsewhere: its operation stays open without a worker, and is nobody's to rescue."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.operations import kinds
from apps.operations.kinds import operation_kind
from apps.operations.models import Operation, OperationState
from apps.operations.progress import OperationParkedError
from apps.operations.services import (
    operation_cancel,
    operation_end,
    operation_note,
    operation_run,
    operation_start,
    operation_unpark,
    operations_reconcile,
)

pytestmark = pytest.mark.django_db(transaction=True)
KIND = "tests.parked_work"


@pytest.fixture
def asked_to_stop():
    """Registers a kind that parks; the list holds those that somebody asked to stop."""
    asked: list[int] = []

    def park(operation, progress):
        raise OperationParkedError

    operation_kind(
        KIND,
        queue="default",
        on_stopped=lambda operation: None,
        on_cancel_asked=lambda operation: asked.append(operation.pk),
    )(park)
    yield asked
    kinds._kinds.pop(KIND)


@pytest.fixture
def parked(asked_to_stop, workspace, project, people) -> Operation:
    operation = operation_start(
        workspace=workspace, kind=KIND, subject=project, title="Bake elsewhere", actor=people.lea
    )
    operation_run(operation_id=operation.pk)
    operation.refresh_from_db()
    return operation


def test_parked_work_is_open_without_a_worker(parked):
    assert parked.state == OperationState.RUNNING
    assert parked.parked_at is not None
    assert parked.worker == ""


def test_silence_of_parked_work_means_nothing(parked):
    Operation.objects.update(heartbeat_at=timezone.now() - timedelta(days=2))
    assert operations_reconcile() == {"resumed": 0, "failed": 0, "sent_again": 0}
    parked.refresh_from_db()
    assert parked.state == OperationState.RUNNING


def test_whoever_looks_after_it_reports_and_ends_it(parked):
    operation_note(operation=parked, done=3, total=10, unit="loaves", message="In the oven")
    parked.refresh_from_db()
    assert (parked.done, parked.total, parked.unit, parked.message) == (3, 10, "loaves", "In the oven")
    operation_end(operation=parked, state=OperationState.SUCCEEDED)
    parked.refresh_from_db()
    assert parked.state == OperationState.SUCCEEDED


def test_what_was_noted_last_stands_when_it_ends(parked):
    operation_note(operation=parked, done=7, total=10)
    assert parked.done == 0, "read before the note"
    operation_end(operation=parked, state=OperationState.SUCCEEDED)
    parked.refresh_from_db()
    assert (parked.done, parked.total) == (7, 10)


def test_a_cancel_is_told_to_whoever_looks_after_it(parked, asked_to_stop, people):
    operation_cancel(operation=parked, by=people.lea)
    assert asked_to_stop == [parked.pk]
    parked.refresh_from_db()
    assert parked.state == OperationState.RUNNING  # it has not ended there yet


def test_it_can_go_on_with_a_worker_again(parked):
    operation_unpark(operation=parked)
    parked.refresh_from_db()
    assert (parked.state, parked.parked_at) == (OperationState.QUEUED, None)
    operation_run(operation_id=parked.pk)
    parked.refresh_from_db()
    assert (parked.state, parked.attempts) == (OperationState.RUNNING, 2)
    assert parked.parked_at is not None
