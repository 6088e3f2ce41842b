"""A worker that is killed in the middle: the next one goes on, and no row is there twice."""

import pytest

from apps.datasets.models import Example, Import, ImportRow, ImportState
from apps.operations.models import Operation, OperationState
from tests.datasets.conftest import as_file, raw_rows, tickets, url
from tests.killing import killed_once, recover

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.integration]


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
