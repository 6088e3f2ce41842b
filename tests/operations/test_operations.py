"""Operations from outside: what is asked for, what the row says afterwards, whatever dies in between."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from apps.core.errors import ConflictError, PortalError
from apps.operations import kinds
from apps.operations.kinds import operation_kind
from apps.operations.models import Operation, OperationState
from apps.operations.services import (
    operation_cancel,
    operation_run,
    operation_start,
    operations_reconcile,
)
from apps.projects.models import Project

KIND = "tests.work"


@pytest.fixture
def work():
    """Registers a kind whose behaviour the test sets: `work.run = ...`; notes how it was stopped."""

    class Work:
        run = staticmethod(lambda operation, progress: None)
        stopped: list[tuple[str, str]] = []

    Work.stopped = []
    operation_kind(
        KIND,
        queue="default",
        on_stopped=lambda operation: Work.stopped.append((operation.state, operation.error)),
        max_attempts=2,
    )(lambda operation, progress: Work.run(operation, progress))  # noqa: PLW0108 - a test may replace it
    yield Work
    kinds._kinds.pop(KIND)


@pytest.fixture
def start(workspace, project, people):
    def begin(subject: Project | None = None) -> Operation:
        return operation_start(
            workspace=workspace,
            kind=KIND,
            subject=subject or project,
            title="Count the beans",
            actor=people.lea,
        )

    return begin


def make_silent(operation: Operation) -> None:
    """As if its worker had been killed a minute ago."""
    Operation.objects.filter(pk=operation.pk).update(
        state=OperationState.RUNNING,
        attempts=operation.attempts + 1,
        heartbeat_at=timezone.now() - timedelta(minutes=1),
    )


@pytest.mark.django_db(transaction=True)
def test_the_last_report_is_kept_however_soon_it_came_after_the_one_before(work, start):
    def count(operation, progress):
        progress.report(0, total=3, unit="beans", force=True)
        for done in (1, 2, 3):
            progress.report(done)

    work.run = count
    operation = start()

    operation_run(operation_id=operation.pk)

    operation.refresh_from_db()
    assert (operation.done, operation.total) == (3, 3)


@pytest.mark.django_db(transaction=True)
def test_work_runs_reports_and_ends(work, start):
    def count(operation, progress):
        progress.report(3, total=10, unit="beans", message="Counting", force=True)

    work.run = count
    operation = start()

    operation_run(operation_id=operation.pk)

    operation.refresh_from_db()
    assert operation.state == OperationState.SUCCEEDED
    assert (operation.done, operation.total, operation.unit, operation.message) == (
        3,
        10,
        "beans",
        "Counting",
    )
    assert operation.attempts == 1
    assert operation.finished_at is not None
    assert work.stopped == []


@pytest.mark.django_db(transaction=True)
def test_two_messages_for_the_same_work_do_it_once(work, start):
    runs = []
    both_started = threading.Barrier(2, timeout=10)
    work.run = lambda operation, progress: runs.append(operation.pk)
    operation = start()

    def deliver():
        both_started.wait()
        operation_run(operation_id=operation.pk)
        connection.close()

    threads = [threading.Thread(target=deliver) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert runs == [operation.pk]


@pytest.mark.django_db(transaction=True)
def test_the_same_work_on_the_same_thing_is_refused_while_it_is_under_way(work, start):
    start()

    with pytest.raises(ConflictError, match="already under way"):
        start()
    assert Operation.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_expected_error_is_shown_as_it_is_and_the_subject_is_told(work, start):
    def refuse(operation, progress):
        raise PortalError("The file is empty. Choose another.")

    work.run = refuse
    operation = start()

    operation_run(operation_id=operation.pk)

    operation.refresh_from_db()
    assert operation.state == OperationState.FAILED
    assert operation.error == "The file is empty. Choose another."
    assert work.stopped == [("failed", "The file is empty. Choose another.")]


@pytest.mark.django_db(transaction=True)
def test_an_unexpected_error_keeps_its_details_in_the_log_under_an_id(work, start, caplog):
    def crash(operation, progress):
        raise RuntimeError("secret detail")

    work.run = crash
    operation = start()

    operation_run(operation_id=operation.pk)

    operation.refresh_from_db()
    assert operation.state == OperationState.FAILED
    assert "secret detail" not in operation.error
    [logged] = [record for record in caplog.records if record.message == "operation.crashed"]
    assert logged.error_id in operation.error


@pytest.mark.django_db(transaction=True)
def test_cancelling_waiting_work_ends_it_at_once(work, start, people):
    operation = operation_cancel(operation=start(), by=people.lea)

    assert operation.state == OperationState.CANCELLED
    assert work.stopped == [("cancelled", "")]
    operation_run(operation_id=operation.pk)
    operation.refresh_from_db()
    assert operation.attempts == 0


@pytest.mark.django_db(transaction=True)
def test_cancelling_running_work_stops_it_at_its_next_report(work, start, people):
    reached = []

    def long_work(operation, progress):
        reached.append("before")
        operation_cancel(operation=Operation.objects.get(pk=operation.pk), by=people.lea)
        progress.report(1, force=True)
        reached.append("after")

    work.run = long_work
    operation = start()

    operation_run(operation_id=operation.pk)

    operation.refresh_from_db()
    assert operation.state == OperationState.CANCELLED
    assert reached == ["before"]


@pytest.mark.django_db(transaction=True)
def test_ended_work_cannot_be_cancelled(work, start, people):
    operation = start()
    operation_run(operation_id=operation.pk)

    with pytest.raises(ConflictError, match="has ended already"):
        operation_cancel(operation=operation, by=people.lea)


@pytest.mark.django_db(transaction=True)
def test_work_of_a_dead_worker_is_handed_on_and_given_up_after_its_attempts(work, start):
    operation = start()
    make_silent(operation)

    assert operations_reconcile() == {"resumed": 1, "failed": 0, "sent_again": 0}
    operation.refresh_from_db()
    assert operation.state == OperationState.QUEUED

    make_silent(operation)
    assert operations_reconcile() == {"resumed": 0, "failed": 1, "sent_again": 0}
    operation.refresh_from_db()
    assert operation.state == OperationState.FAILED
    assert "2 times" in operation.error
    assert work.stopped == [("failed", operation.error)]


@pytest.mark.django_db(transaction=True)
def test_an_attempt_that_was_taken_over_may_not_write(work, start):
    def overtaken(operation, progress):
        Operation.objects.filter(pk=operation.pk).update(attempts=operation.attempts + 1)
        progress.report(99, force=True)

    work.run = overtaken
    operation = start()

    operation_run(operation_id=operation.pk)

    operation.refresh_from_db()
    assert operation.state == OperationState.RUNNING
    assert operation.done == 0


@pytest.mark.django_db(transaction=True)
def test_work_that_redis_lost_is_sent_again(work, start):
    operation = start()
    Operation.objects.filter(pk=operation.pk).update(dispatched_at=timezone.now() - timedelta(minutes=2))

    assert operations_reconcile()["sent_again"] == 1


@pytest.mark.django_db(transaction=True)
def test_work_is_not_dispatched_when_its_transaction_rolls_back(work, start):
    class GiveUpError(Exception):
        pass

    def start_and_give_up():
        with transaction.atomic():
            start()
            raise GiveUpError

    with pytest.raises(GiveUpError):
        start_and_give_up()

    assert not Operation.objects.exists()


def test_the_time_left_is_unknown_before_a_hundredth_is_done():
    def left(done: int) -> float | None:
        started_at = timezone.now() - timedelta(seconds=10)
        operation = Operation(state=OperationState.RUNNING, started_at=started_at, total=1000, done=done)
        return operation.seconds_left

    assert left(9) is None
    assert left(10) == pytest.approx(990, rel=0.01), "10 in 10 s, 990 to go"
