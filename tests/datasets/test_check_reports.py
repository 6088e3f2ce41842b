"""Reports of the checks from end to end: planted faults are found, decisions are carried out and remembered."""

import json
import shutil
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.datasets.models import (
    Change,
    CheckReport,
    CheckState,
    Dataset,
    Decision,
    Example,
    ExampleFacts,
    Finding,
    FindingRow,
    VersionRow,
)
from apps.datasets.selectors import head_of
from apps.datasets.selectors_checks import is_current, latest_report
from apps.datasets.services import (
    change_undo_request,
    checks_request,
    dataset_delete,
    dataset_purge,
    finding_decide,
    row_bring_back,
    row_remove,
    row_tag,
)
from apps.jobs.hyperparameters import recommend
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_cancel
from tests.datasets.conftest import lines, row, url

pytestmark = pytest.mark.django_db(transaction=True)

LONG = (
    "please send the parcel with the blue lamp to my new address in the old town because I moved there in May"
)
PLAIN = [
    row(f"{verb} the {thing} in {place}", f"{verb} {thing}"[:20].strip())
    for verb in ("find", "mend", "paint")
    for thing in ("table", "window", "bicycle", "garden gate")
    for place in ("the north wing", "our summer house", "room seventeen")
]
FAULTS = [
    row(LONG, "shipping"),
    row(LONG.replace("blue", "green"), "shipping"),
    row("Which plan do I have?", "plan"),
    row("which  plan do I have?", "plan"),
    row("close my account at once", "closing"),
    row("close my account at once", "opening"),
    row("my mail is ada.lovelace@acme.io, write there", "contact"),
    row("charge 4111 1111 1111 1111 for it", "contact"),
    row("is there anything else I should tell", " \u200b"),
]


@pytest.fixture
def check(work, people):
    def run(dataset, version=None) -> CheckReport:
        report = checks_request(dataset=dataset, version=version, actor=people.rob)
        (operation,) = work()
        assert operation.state == OperationState.SUCCEEDED, operation.error
        return CheckReport.objects.get(pk=report.pk)

    return run


def examples_in(report: CheckReport, code: str) -> list[set[str]]:
    """The questions of each item of a finding."""
    rows = FindingRow.objects.filter(finding__report=report, finding__code=code, example__isnull=False)
    items: dict[int, set[str]] = {}
    for each in rows.select_related("example"):
        assert each.example is not None
        items.setdefault(each.item, set()).add(each.example.payload["messages"][0]["content"])
    return [items[number] for number in sorted(items)]


def asked(fault: dict[str, Any]) -> str:
    return str(fault["messages"][0]["content"])


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


def test_repeats_are_dropped_and_one_stays(dataset_of, check, people):
    dataset = dataset_of(lines(*PLAIN, *FAULTS))
    report = check(dataset)
    finding = report.findings.get(code="near")
    assert finding_decide(finding=finding, action="drop_repeats", actor=people.rob) == 1
    dataset.refresh_from_db()
    assert dataset.example_count == head_of(dataset).count() == 44
    assert Example.objects.filter(dataset=dataset).count() == 45
    finding.refresh_from_db()
    assert finding.open_count == 0
    event = AuditEvent.objects.filter(action="finding.decided").get()
    assert (event.actor, event.data["decision"], event.data["rows"]) == (people.rob, "drop_repeats", 1)
    assert not check(dataset).findings.filter(code="near").exists()


def test_redaction_makes_new_forms_with_the_same_key(dataset_of, check, people):
    dataset = dataset_of(lines(*PLAIN, FAULTS[6], row("again ada.lovelace@acme.io", "contact")))
    finding = check(dataset).findings.get(code="email")
    assert finding_decide(finding=finding, action="placeholder", actor=people.rob) == 2
    old = Example.objects.filter(dataset=dataset, removed_at__isnull=False)
    new = list(head_of(dataset).filter(replaces__in=old).order_by("pk"))
    assert [each.key for each in new] == [each.key for each in old.order_by("pk")]
    assert all(each.created_by == people.rob for each in new)
    words = [json.loads(bytes(each.raw))["messages"][0]["content"] for each in new]
    assert "lovelace" not in "".join(words)
    placeholder = words[1].removeprefix("again ")
    assert placeholder in words[0]
    dataset.refresh_from_db()
    assert dataset.example_count == len(PLAIN) + 2
    assert not check(dataset).findings.filter(code="email").exists()


def test_a_clean_up_is_a_change_with_its_way_back(dataset_of, check, people, work):
    dataset = dataset_of(lines(*PLAIN, *FAULTS))
    before = set(head_of(dataset).values_list("pk", flat=True))
    report = check(dataset)
    finding_decide(finding=report.findings.get(code="near"), action="drop_repeats", actor=people.rob)
    finding_decide(finding=report.findings.get(code="email"), action="mask", actor=people.rob)
    redaction, drop = Change.objects.filter(dataset=dataset)
    assert [(drop.action, drop.row_count), (redaction.action, redaction.row_count)] == [
        ("remove", 1),
        ("redact", 1),
    ]
    for change in (redaction, drop):
        change_undo_request(change=change, actor=people.rob)
        work()
    assert set(head_of(dataset).values_list("pk", flat=True)) == before
    dataset.refresh_from_db()
    assert dataset.example_count == 45


def test_leakage_of_a_row_that_was_redacted_meanwhile_is_dropped_all_the_same(dataset_of, check, people):
    leaked = row("my mail is ada.lovelace@acme.io, write there please, as I said", "contact")
    dataset = dataset_of(lines(*PLAIN, leaked, {**leaked, "messages": row("x", "y")["messages"]}))
    pks = list(head_of(dataset).order_by("-pk").values_list("pk", flat=True)[:2])
    copy = Example.objects.get(pk=pks[1])
    copy.pk, copy.split = None, "test"
    copy.save()
    Example.objects.filter(pk=pks[1]).update(split="train")
    Dataset.objects.filter(pk=dataset.pk).update(example_count=head_of(dataset).count())
    report = check(dataset)
    finding_decide(finding=report.findings.get(code="email"), action="mask", actor=people.rob)
    leak = report.findings.get(code="leak_exact")
    assert finding_decide(finding=leak, action="drop_train", actor=people.rob) == 1
    assert list(head_of(dataset).exclude(split="").values_list("split", flat=True)) == ["test"]


def test_a_set_is_never_emptied_by_two_decisions(dataset_of, check, people):
    dataset = dataset_of(lines(*PLAIN, *FAULTS[2:4], row("and ada.lovelace@acme.io", "x")))
    report = check(dataset)
    finding = report.findings.get(code="normalised")
    kept, repeat = FindingRow.objects.filter(finding=finding).order_by("-keep")
    assert kept.example_id is not None
    assert repeat.example_id is not None
    Example.objects.filter(pk=kept.example_id).update(removed_at=timezone.now())
    assert finding_decide(finding=finding, action="drop_repeats", actor=people.rob) == 0
    assert head_of(dataset).filter(pk=repeat.example_id).exists()


def test_what_was_accepted_is_not_asked_again(dataset_of, check, people):
    dataset = dataset_of(lines(*PLAIN, *FAULTS))
    finding = check(dataset).findings.get(code="contradiction")
    with pytest.raises(Exception, match="Say why"):
        finding_decide(finding=finding, action="accept", reason=" ", actor=people.rob)
    finding_decide(finding=finding, action="accept", reason="Both are meant.", actor=people.rob)
    again = check(dataset).findings.get(code="contradiction")
    assert (again.item_count, again.open_count) == (1, 0)
    decision = Decision.objects.get()
    assert (decision.reason, decision.actor) == ("Both are meant.", people.rob)


def test_single_items_can_be_decided(dataset_of, check, people):
    dataset = dataset_of(lines(*PLAIN, FAULTS[6], row("or bob@acme.io", "contact")))
    finding = check(dataset).findings.get(code="email")
    finding_decide(finding=finding, action="accept", reason="A shared box.", items=[2], actor=people.rob)
    finding.refresh_from_db()
    assert finding.open_count == 1
    assert finding_decide(finding=finding, action="mask", actor=people.rob) == 1
    with pytest.raises(Exception, match="in the meantime"):
        finding_decide(finding=finding, action="mask", actor=people.rob)


def test_undecided_leakage_keeps_a_version_from_being_frozen(dataset_of, check, people, rob, project, work):
    dataset = dataset_of(lines(*PLAIN, *FAULTS[:2]))
    pks = list(head_of(dataset).order_by("-pk").values_list("pk", flat=True)[:2])
    Example.objects.filter(pk=pks[0]).update(split="test")
    Example.objects.filter(pk=pks[1]).update(split="train")
    finding = check(dataset).findings.get(code="leak_near")
    assert finding.blocks
    data = {"train_percent": 80, "validation_percent": 10, "test_percent": 10, "seed": 42}
    assert "Leakage must be decided first" in rob.get(url("freeze", project, dataset.pk)).content.decode()
    response = rob.post(url("freeze", project, dataset.pk), data)
    assert response.status_code == 409
    assert "accept them with a reason" in response.content.decode()
    assert finding_decide(finding=finding, action="drop_train", actor=people.rob) == 1
    assert list(head_of(dataset).filter(pk__in=pks).values_list("pk", flat=True)) == [pks[0]]
    assert rob.post(url("freeze", project, dataset.pk), data).status_code == 302


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


@pytest.fixture
def too_long(dataset_of, check, project, settings, tmp_path):
    """A dataset with two rows that are longer than the model reads, and its report."""
    model = tmp_path / "model"
    shutil.copytree(settings.FTPORTAL_BASE_MODEL, model)
    configuration = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(configuration | {"max_position_embeddings": 60}))
    project.base_model = str(model)
    project.save()
    answer = " ".join(["and so on"] * 60)
    rows = [row("tell me a story", f"once {answer}"), row("tell me another tale", f"long ago {answer}")]
    dataset = dataset_of(lines(*PLAIN, *rows))
    return dataset, check(dataset)


def test_rows_that_training_cuts_are_kept_and_the_version_says_so(too_long, people, freeze, check):
    dataset, report = too_long
    finding = report.findings.get(code="too_long")
    assert finding.item_count == 2
    assert finding_decide(finding=finding, action="truncate", actor=people.rob) == 0
    finding.refresh_from_db()
    assert finding.open_count == 0
    assert check(dataset).findings.get(code="too_long").open_count == 0, "it is not asked again"
    version = freeze(dataset)
    assert (version.too_long, version.row_count) == ("truncate", len(PLAIN) + 2)
    recommended = recommend(
        method="lora", parameters=None, context_length=60, rows=9, too_long=version.too_long
    )
    assert recommended["too_long"].value == "truncate"


def test_refused_rows_block_freezing_until_they_are_cut_or_gone(
    too_long, people, rob, project, freeze, check
):
    dataset, report = too_long
    finding = report.findings.get(code="too_long")
    finding_decide(finding=finding, action="refuse", reason="No cut answers.", actor=people.rob)
    shares = {"train_percent": 80, "validation_percent": 10, "test_percent": 10, "seed": 42}
    refused = rob.post(url("freeze", project, dataset.pk), shares)
    assert refused.status_code == 409
    assert "2 rows are longer than the model reads" in refused.content.decode()
    assert "“No cut answers.”" in rob.get(finding.get_absolute_url()).content.decode()
    again = check(dataset).findings.get(code="too_long")
    assert again.open_count == 2
    assert rob.post(url("freeze", project, dataset.pk), shares).status_code == 409, (
        "a new report forgets nothing"
    )
    finding_decide(finding=again, action="truncate", items=[1], actor=people.rob)
    assert "1 row is longer" in rob.post(url("freeze", project, dataset.pk), shares).content.decode()
    finding_decide(finding=again, action="drop_rows", items=[2], actor=people.rob)
    version = freeze(dataset)
    assert (version.too_long, version.row_count) == ("truncate", len(PLAIN) + 1)
    assert not dataset.versions.exclude(pk=version.pk).exists()
    recorded = AuditEvent.objects.filter(action="finding.decided").values_list("data__decision", flat=True)
    assert set(recorded) == {"refuse", "truncate", "drop_rows"}


def test_dropped_rows_leave_no_rule_behind(too_long, people, freeze):
    dataset, report = too_long
    finding_decide(finding=report.findings.get(code="too_long"), action="drop_rows", actor=people.rob)
    assert freeze(dataset).too_long == ""
