"""What is decided about findings is carried out, recorded, remembered, and has a way back."""

import json
import shutil

import pytest
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.datasets.models import (
    Change,
    Dataset,
    Decision,
    Example,
    FindingRow,
)
from apps.datasets.selectors import head_of
from apps.datasets.services import (
    change_undo_request,
    finding_decide,
)
from apps.jobs.hyperparameters import recommend
from tests.datasets.conftest import lines, row, url
from tests.datasets.faults import FAULTS, PLAIN

pytestmark = pytest.mark.django_db(transaction=True)


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
