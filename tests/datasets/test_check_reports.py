"""Reports of the checks from end to end: planted faults are found, later reports look at new rows only."""

import pytest
from django.db import connection

from apps.datasets.models import (
    CheckReport,
    CheckState,
    Dataset,
    ExampleFacts,
    Finding,
    VersionRow,
)
from apps.datasets.selectors import head_of
from apps.datasets.selectors_checks import is_current, latest_report
from apps.datasets.services import (
    checks_request,
    dataset_delete,
    dataset_purge,
    finding_decide,
    row_bring_back,
    row_remove,
    row_tag,
)
from apps.operations.models import Operation
from apps.operations.services import operation_cancel
from tests.datasets.conftest import lines, row, url
from tests.datasets.faults import FAULTS, PLAIN, asked, examples_in

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_planted_fault_is_found(dataset_of, check):
    dataset = dataset_of(lines(*PLAIN, *FAULTS))
    report = check(dataset)
    assert (report.state, report.row_count, report.new_count) == (CheckState.DONE, 45, 45)
    assert examples_in(report, "near") == [{asked(FAULTS[0]), asked(FAULTS[1])}]
    assert examples_in(report, "normalised") == [{asked(FAULTS[2]), asked(FAULTS[3])}]
    assert examples_in(report, "contradiction") == [{asked(FAULTS[4])}]
    assert examples_in(report, "email") == [{asked(FAULTS[6])}]
    assert examples_in(report, "card") == [{asked(FAULTS[7])}]
    assert examples_in(report, "empty_answer") == [{asked(FAULTS[8])}]
    codes = set(Finding.objects.filter(report=report).values_list("code", flat=True))
    assert {"from_0"} < codes  # 45 rows are too few
    assert all(each["seen"] == each["of"] == 45 for each in report.checks)
    assert len(report.checks) == 13
    assert is_current(report)


def test_a_later_report_looks_at_new_rows_only(dataset_of, check, upload, commit):
    dataset = dataset_of(lines(*PLAIN))
    check(dataset)
    commit(upload(lines(FAULTS[0]), dataset=dataset))
    first = latest_report(dataset)
    assert first is not None
    assert not is_current(first)
    report = check(dataset)
    assert (report.row_count, report.new_count) == (len(PLAIN) + 1, 1)


def test_leakage_against_a_suite(dataset_of, check, project, people):
    from tests.evaluations.worlds import build_world

    world = build_world(project, people.lea)
    suite = world.suite()
    item = suite.items.order_by("position")[0]
    leaked = {"messages": [*item.messages, {"role": "assistant", "content": item.expected}]}
    report = check(dataset_of(lines(*PLAIN, leaked)))
    finding = report.findings.get(code=f"held_out_{suite.pk}")
    assert (finding.blocks, finding.row_count) == (True, 1)
    assert report.evidence["compared_with"] == [f"Suite “{suite.name}”"]


def test_near_duplicates_share_a_split_where_the_checks_know_them(dataset_of, check, freeze):
    rows = []
    for number, plain in enumerate(PLAIN):
        text = f"{asked(plain)} with tool {number} of the red box that stands in the hall by the door of the old cellar"
        rows += [row(text, "x"), row(f"{text} now", "x"), row(f"{text} soon", "x")]
    dataset = dataset_of(lines(*rows))
    check(dataset)
    version = freeze(dataset, train_percent=50, validation_percent=0, test_percent=50)
    splits: dict[str, set[str]] = {}
    for each in VersionRow.objects.filter(version=version).select_related("example"):
        text = each.example.payload["messages"][0]["content"]
        splits.setdefault(text.removesuffix(" now").removesuffix(" soon"), set()).add(each.split)
    assert len(splits) == len(PLAIN)
    assert all(len(of) == 1 for of in splits.values())
    assert version.statistics["rows_in_clusters"] == len(rows)


def test_a_version_has_a_report_of_its_own_and_reuses_what_is_known(dataset_of, check, freeze, people):
    dataset = dataset_of(lines(*PLAIN, *FAULTS))
    check(dataset)
    version = freeze(dataset)
    report = check(dataset, version)
    assert (report.row_count, report.new_count) == (45, 0)
    finding = report.findings.get(code="email")
    with pytest.raises(Exception, match="never changes"):
        finding_decide(finding=finding, action="mask", actor=people.rob)


def test_a_cancelled_check_goes_on_later(dataset_of, people, work):
    dataset = dataset_of(lines(*PLAIN))
    report = checks_request(dataset=dataset, actor=people.rob)
    operation_cancel(operation=Operation.objects.get(kind="datasets.run_checks"), by=people.rob)
    report.refresh_from_db()
    assert report.state == CheckState.FAILED
    assert "cancelled" in report.error
    assert checks_request(dataset=dataset, actor=people.rob).pk == report.pk
    work()
    report.refresh_from_db()
    assert report.state == CheckState.DONE


def test_a_second_check_at_the_same_time_is_refused(dataset_of, people):
    dataset = dataset_of(lines(*PLAIN))
    checks_request(dataset=dataset, actor=people.rob)
    with pytest.raises(Exception, match="under way"):
        checks_request(dataset=dataset, actor=people.rob)


def test_a_dataset_goes_with_its_reports(dataset_of, check, people):
    dataset = dataset_of(lines(*PLAIN, *FAULTS))
    check(dataset)
    dataset_delete(dataset=dataset, actor=people.rob)
    dataset_purge(dataset=dataset, actor=people.rob)
    connection.check_constraints()
    assert not Dataset.with_deleted.exists()
    assert not ExampleFacts.objects.exists()
    assert not CheckReport.objects.exists()


def test_tokens_of_an_unknown_model_are_unknown(dataset_of, check, project):
    project.base_model = "somebody/a-model-that-is-not-here"
    project.save()
    report = check(dataset_of(lines(*PLAIN)))
    assert report.findings.get(code="tokens_unknown").severity == "info"
    seen = {each["name"]: each["seen"] for each in report.checks}
    assert (seen["tokens"], seen["schema"]) == (0, len(PLAIN))


def test_answers_outside_the_declared_labels(dataset_of, check, project):
    project.answer_form = {"kind": "label", "labels": ["yes", "no"]}
    project.save()
    report = check(dataset_of(lines(row("a", "yes"), row("b", "no"), row("c", "maybe"))))
    assert examples_in(report, "answer_format") == [{"c"}]


def test_the_pages_from_running_to_deciding(dataset_of, rob, vic, project, work, freeze):
    dataset = dataset_of(lines(*PLAIN, *FAULTS))
    page = url("checks", project, dataset.pk)
    assert "Not checked yet" in rob.get(page).content.decode()
    assert vic.post(page).status_code == 403
    assert rob.post(page).status_code == 302
    assert "Cancel" in rob.get(page).content.decode()
    part = {"HX-Request": "true", "HX-Target": "div#report"}
    assert "HX-Refresh" not in rob.get(page, headers=part).headers
    work()
    assert rob.get(page, headers=part).headers["HX-Refresh"] == "true", "its actions stand outside the report"
    shown = rob.get(page).content.decode()
    assert "1 near-duplicate in 1 cluster" in shown
    assert "Drop the repeats" in shown
    assert "Drop the repeats" not in vic.get(page).content.decode()
    assert "problems" in rob.get(dataset.get_absolute_url()).content.decode()
    email = Finding.objects.get(code="email")
    details = rob.get(email.get_absolute_url()).content.decode()
    assert "<mark>ada.lovelace@acme.io</mark>" in details
    response = rob.post(email.get_absolute_url(), {"action": "accept", "reason": "Public.", "items": ["1"]})
    assert response["Location"] == email.get_absolute_url()
    assert "“Public.”" in rob.get(email.get_absolute_url()).content.decode()
    assert rob.post(email.get_absolute_url(), {"action": "mask"}).status_code == 409
    card = Finding.objects.get(code="card")
    assert rob.post(card.get_absolute_url(), {"action": "mask"}).status_code == 302
    assert "The rows have changed since these checks." in rob.get(page).content.decode()
    version = freeze(dataset)
    checks = url("version_checks", project, version.pk)
    rob.post(checks)
    work()
    assert "This version never changes" in rob.get(checks).content.decode()
    assert rob.get(version.get_absolute_url()).status_code == 200


def test_a_report_is_outdated_when_one_row_goes_and_an_older_one_comes_back(dataset_of, check, people):
    dataset = dataset_of(lines(*PLAIN))
    first, second = head_of(dataset).order_by("pk")[:2]
    row_remove(example=first, actor=people.rob)
    report = check(dataset)
    assert is_current(report)
    row_tag(example=second, tags=["seen"], actor=people.rob)
    assert is_current(report)
    row_bring_back(example=first, actor=people.rob)
    row_remove(example=second, actor=people.rob)
    assert not is_current(report)


def test_the_version_of_a_checked_dataset_is_checked_with_what_was_decided(
    dataset_of, check, freeze, people, vic, project
):
    dataset = dataset_of(lines(*PLAIN, *FAULTS))
    unchecked = freeze(dataset)
    assert latest_report(dataset, unchecked) is None
    finding = check(dataset).findings.get(code="contradiction")
    finding_decide(finding=finding, action="accept", reason="Both are meant.", actor=people.rob)
    version = freeze(dataset)
    report = latest_report(dataset, version)
    assert report is not None
    assert (report.state, report.row_count, report.new_count) == (CheckState.DONE, 45, 0)
    assert report.created_by == people.rob
    assert report.findings.get(code="contradiction").open_count == 0
    exports = vic.get(url("exports", project, version.pk)).content.decode()
    _, _, rest = exports.partition("Not passed, as nobody decided about what they found: ")
    not_passed = rest.partition(". ")[0].split(", ")
    assert {"Exact duplicates", "Near-duplicates", "Personal data and secrets"} <= set(not_passed)
    assert "Leakage between splits and suites" not in not_passed
    assert "was not checked" in vic.get(url("exports", project, unchecked.pk)).content.decode()
