"""Decisions about many rows are carried out by a worker: as if at once, or not at all."""

import pytest
from django.db import connection

from apps.core.errors import ConflictError
from apps.datasets.models import Change, CheckReport, Decision, Finding
from apps.datasets.selectors import head_of
from apps.datasets.services import checks_request, finding_decide_request
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_cancel
from tests.datasets.conftest import lines, row, url

pytestmark = pytest.mark.django_db(transaction=True)

MAILS = [row(f"write to ada{number}@acme.io about item {number}", "contact") for number in range(12)]


@pytest.fixture
def finding(upload, commit, work, people, monkeypatch) -> Finding:
    """E-mail addresses in twelve rows, which are many here."""
    # The limit alone, so that twelve rows go the way of thousands.
    monkeypatch.setattr("apps.datasets.services.finding_deciding.ROWS_AT_ONCE", 5)
    dataset = commit(upload(lines(*MAILS))).dataset
    report = checks_request(dataset=dataset, actor=people.rob)
    work()
    return Finding.objects.select_related("report__dataset__project__workspace").get(
        report=report, code="email"
    )


def decide(finding: Finding, actor, **more):
    return finding_decide_request(finding=finding, action=more.pop("action", "mask"), actor=actor, **more)


def test_few_rows_are_done_at_once_and_many_by_a_worker(finding, people, work, rob, project):
    assert decide(finding, people.rob, items=[1, 2]) == 2
    assert decide(finding, people.rob) is None
    assert Change.objects.count() == 1
    page = rob.get(finding.report.get_absolute_url()).content.decode()
    assert "Being decided" in page
    assert 'role="progressbar"' in page
    with pytest.raises(ConflictError, match="already"):
        decide(finding, people.rob)
    (operation,) = work()
    assert (operation.state, operation.done, operation.total) == (OperationState.SUCCEEDED, 10, 10)
    finding.refresh_from_db()
    assert (finding.deciding, finding.open_count) == ({}, 0)
    texts = head_of(finding.report.dataset).values_list("text", flat=True)
    assert not any("@acme" in text for text in texts)
    assert Decision.objects.count() == 12
    assert "Being decided" not in rob.get(finding.report.get_absolute_url()).content.decode()


def test_the_page_says_that_a_worker_does_it(finding, rob, project, work):
    response = rob.post(url("finding", project, finding.pk), {"action": "mask"}, follow=True)
    assert "a worker does it" in response.content.decode()
    work()
    finding.refresh_from_db()
    assert finding.open_count == 0


def test_a_cancelled_decision_leaves_everything_as_it_was(finding, people, rob):
    assert decide(finding, people.rob) is None
    operation = Operation.objects.get(kind="datasets.decide_finding")
    operation_cancel(operation=operation, by=people.rob)
    finding.refresh_from_db()
    assert (finding.deciding, finding.open_count) == ({}, 12)
    assert not Change.objects.exists()
    page = rob.get(finding.report.get_absolute_url()).content.decode()
    assert "It was cancelled. No row was changed." in page


def test_a_decision_that_fails_in_the_middle_changes_nothing(finding, people, work):
    with connection.cursor() as cursor:
        cursor.execute(
            """
            CREATE FUNCTION refuse_decisions() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                RAISE EXCEPTION 'no decision today';
            END $$;
            CREATE TRIGGER no_decisions BEFORE INSERT ON datasets_decision
                FOR EACH ROW EXECUTE FUNCTION refuse_decisions();
            """
        )
    try:
        assert decide(finding, people.rob) is None
        (operation,) = work()
    finally:
        with connection.cursor() as cursor:
            cursor.execute(
                "DROP TRIGGER no_decisions ON datasets_decision; DROP FUNCTION refuse_decisions();"
            )
    assert operation.state == OperationState.FAILED
    finding.refresh_from_db()
    assert (finding.deciding, finding.open_count) == ({}, 12)
    assert finding.decide_error
    assert not Change.objects.exists()
    assert head_of(finding.report.dataset).count() == 12
    assert CheckReport.objects.count() == 1


def test_what_can_not_be_done_is_refused_before_it_is_queued(finding, people):
    with pytest.raises(Exception, match="Say why"):
        decide(finding, people.rob, action="accept", reason=" ")
    with pytest.raises(Exception, match="can't be done"):
        decide(finding, people.rob, action="drop_train")
    assert not Operation.objects.filter(kind="datasets.decide_finding").exists()
