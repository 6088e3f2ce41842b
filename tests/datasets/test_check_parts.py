"""Several workers look at the rows of one check: all are looked at once, whoever dies in the middle."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.db import connection, transaction

from apps.datasets.models import CheckPart, CheckReport, CheckState, Dataset, ExampleFacts
from apps.datasets.services import checks_request, facts_help
from apps.datasets.services.check_facts import BATCH, facts_complete, facts_divide
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_cancel, operation_run
from tests.datasets.conftest import tickets
from tests.killing import database_url

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.integration]

ROWS = 3 * BATCH + 500
HELP = (
    "import django; django.setup(); from apps.datasets.models import CheckReport;"
    " from apps.datasets.services import facts_help; facts_help(report=CheckReport.objects.get(pk={}))"
)


@pytest.fixture
def report(upload, commit) -> CheckReport:
    """A check that was asked for, with parts to take."""
    record = commit(upload(tickets(ROWS)))
    dataset = Dataset.objects.select_related("project__workspace").get(pk=record.dataset_id)
    return checks_request(dataset=dataset, actor=record.created_by)


def _helped(report: CheckReport) -> None:
    try:
        facts_help(report=report)
    finally:
        connection.close()


def _operation() -> Operation:
    return Operation.objects.get(kind="datasets.run_checks")


def test_rows_are_divided_and_each_part_is_done_once(report):
    parts, rows = facts_divide(report)
    assert (parts, rows) == (4, ROWS)
    assert sorted(CheckPart.objects.values_list("row_count", flat=True)) == [500, BATCH, BATCH, BATCH]
    seen: list[int] = []
    with ThreadPoolExecutor(2) as others:
        helping = [others.submit(_helped, report) for _ in range(2)]
        facts_complete(report, seen.append)
        for each in helping:
            each.result()
    assert ExampleFacts.objects.count() == ROWS
    assert not CheckPart.objects.filter(done=False).exists()
    operation_run(operation_id=_operation().pk)
    report.refresh_from_db()
    assert (report.state, report.row_count, report.new_count) == (CheckState.DONE, ROWS, ROWS)
    assert not CheckPart.objects.exists()


def test_the_part_of_a_helper_that_was_killed_is_done_by_another(report):
    facts_divide(report)
    environment = os.environ | {
        "DATABASE_URL": database_url(),
        "REDIS_URL": settings.FTPORTAL_REDIS_URL,
        "FTPORTAL_SECRET_KEY": "s" * 50,
        "FTPORTAL_ENCRYPTION_KEY": Fernet.generate_key().decode(),
    }
    helper = subprocess.Popen([sys.executable, "-c", HELP.format(report.pk)], env=environment)
    deadline = time.monotonic() + 120
    while not CheckPart.objects.filter(done=True).exists():
        assert helper.poll() is None, "the helper ended before it could be killed"
        assert time.monotonic() < deadline
    helper.send_signal(signal.SIGKILL)
    helper.wait()
    assert ExampleFacts.objects.count() < ROWS
    operation_run(operation_id=_operation().pk)
    assert _operation().state == OperationState.SUCCEEDED
    assert ExampleFacts.objects.count() == ROWS


def test_nobody_helps_a_check_that_was_cancelled(report, people):
    facts_divide(report)
    operation_cancel(operation=_operation(), by=people.rob)
    report.refresh_from_db()
    assert report.state == CheckState.FAILED
    assert not facts_help(report=report)
    assert not ExampleFacts.objects.exists()


def test_a_check_that_goes_on_looks_at_rows_that_came_since(report, people, upload, commit):
    facts_divide(report)
    with transaction.atomic():
        part = CheckPart.objects.select_for_update().order_by("number")[0]
        with ThreadPoolExecutor(1) as other:
            other.submit(_helped, report).result()
        assert CheckPart.objects.filter(done=True).count() == 3
        assert not CheckPart.objects.get(pk=part.pk).done
    operation_cancel(operation=_operation(), by=people.rob)
    commit(upload(tickets(ROWS + 40), dataset=report.dataset))
    again = checks_request(dataset=report.dataset, actor=people.rob)
    assert again.pk == report.pk
    operation_run(operation_id=Operation.objects.latest("pk").pk)
    again.refresh_from_db()
    assert (again.state, again.row_count, again.new_count) == (CheckState.DONE, ROWS + 40, ROWS + 40)
    assert ExampleFacts.objects.count() == ROWS + 40


def test_a_helper_with_another_tokenizer_takes_nothing(report):
    facts_divide(report)
    CheckPart.objects.update(tokenizer="another")
    assert not facts_help(report=report)
    assert not ExampleFacts.objects.exists()
