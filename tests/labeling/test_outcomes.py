"""Answers go back into the dataset with where they came from; labels go out with everything that is known."""

import json

import pytest
from django.urls import reverse

from apps.datasets.models import Change, Dataset, Example, VersionState
from apps.datasets.services import change_undo_request, row_edit
from apps.labeling.gold import Gold, GoldAnswer, gold_row, preference_pairs
from apps.labeling.models import Cause, Outcome, OutcomeState, QuestionKind, Submission
from apps.labeling.selectors.spending import project_time, session_time
from apps.labeling.services.adjudicating import Choice, item_adjudicate
from apps.labeling.services.outcomes import outcome_request
from apps.labeling.services.sessions import QuestionWish
from apps.labeling.services.settling import session_settle
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_run
from tests.labeling.judging import items_of, label_all
from tests.labeling.worlds import chat, labelers, make_session

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def two(project):
    return labelers(project, 2)


def work():
    while operation := Operation.objects.filter(state=OperationState.QUEUED).order_by("pk").first():
        operation_run(operation_id=operation.pk)
        operation.refresh_from_db()
        assert operation.state == OperationState.SUCCEEDED, operation.error


def settled(project, people, two):
    """Three items: unanimous; adjudicated; adjudicated as a bad item."""
    session = make_session(
        project, people.lea, people=two, rows=3, overlap=2, audit_share=0.0, name="Round one"
    )
    label_all(session, {two[0]: ["refund", "refund", "other"], two[1]: ["refund", "delivery", "refund"]})
    session_settle(session=session)
    second, third = items_of(session)[1:]
    chosen = Submission.objects.get(item=second, user=two[1])
    choice = {"intent": Choice(taken_from=chosen.pk)}
    item_adjudicate(item=second, by=people.rob, choices=choice, cause=Cause.EDGE_CASE, seconds=7.0)
    own = {"intent": Choice(value="other")}
    item_adjudicate(item=third, by=people.rob, choices=own, cause=Cause.BAD_ITEM)
    return session


def standing(dataset):
    return list(Example.objects.filter(dataset=dataset, removed_at=None).order_by("key"))


def test_the_new_version_holds_the_gold_with_its_provenance(project, people, two):
    session = settled(project, people, two)
    dataset = session.version.dataset
    outcome_request(session=session, answer_from="intent", actor=people.rob)
    work()
    outcome = Outcome.objects.get()
    assert (outcome.state, outcome.row_count, outcome.removed_count) == (OutcomeState.DONE, 2, 1)
    version = outcome.version
    assert version is not None
    assert (version.state, version.number, version.row_count) == (VersionState.FROZEN, 2, 2)
    first, second = standing(dataset)
    assert first.payload["messages"][-1]["content"] == "refund"
    known = second.payload["metadata"]["labeling"]
    assert second.payload["messages"][-1]["content"] == "delivery"
    assert known["provenance"] == "adjudicated"
    assert known["cause"] == "edge_case"
    assert known["session"] == "Round one"
    assert sorted(known["labelers"]) == [two[0].pk, two[1].pk]
    assert known["adjudicator"] == people.rob.pk
    assert known["distribution"] == {"intent": {"delivery": 1, "refund": 1}}
    assert first.payload["metadata"]["labeling"]["provenance"] == "unanimous"
    # The version that was labeled stays as it was.
    assert session.version.rows.count() == 3


def test_the_hand_over_is_a_change_that_can_be_undone(project, people, two):
    session = settled(project, people, two)
    before = [example.pk for example in standing(session.version.dataset)]
    outcome_request(
        session=session, answer_from="intent", leaves_out_rejected=False, freezes=False, actor=people.rob
    )
    work()
    change = Change.objects.get()
    assert change.row_count == 3
    change_undo_request(change=change, actor=people.rob)
    work()
    assert [example.pk for example in standing(session.version.dataset)] == before


def test_rows_that_were_edited_since_stay_as_they_are(project, people, two):
    session = settled(project, people, two)
    first = standing(session.version.dataset)[0]
    raw = json.dumps(chat("Changed meanwhile")).encode()
    row_edit(example=first, raw=raw, actor=people.rob)
    outcome_request(session=session, answer_from="intent", freezes=False, actor=people.rob)
    work()
    outcome = Outcome.objects.get()
    assert (outcome.row_count, outcome.gone_count) == (1, 1)
    assert standing(session.version.dataset)[0].payload["messages"][0]["content"] == "Changed meanwhile"


def test_edits_and_preferences_become_pairs_in_a_dataset_of_their_own(project, people, two):
    questions = [
        QuestionWish(key="edit", kind=QuestionKind.EDIT, title="Mend it", options={}),
        QuestionWish(key="better", kind=QuestionKind.PREFER, title="Better?", options={}),
    ]
    rows = [chat("Where is it?", "Dunno.", candidates=["On its way.", "No idea."])]
    session = make_session(project, people.lea, people=two[:1], rows=rows, questions=questions)
    label_all(session, {two[0]: [{"edit": "It is on its way.", "better": "1"}]})
    session_settle(session=session)
    outcome_request(session=session, answer_from="edit", makes_pairs=True, freezes=False, actor=people.rob)
    work()
    outcome = Outcome.objects.get()
    assert outcome.pair_count == 2
    pairs = [
        (row.payload["messages"][-1]["content"], row.payload["rejected"][0]["content"])
        for row in standing(outcome.pairs_dataset)
    ]
    assert pairs == [("It is on its way.", "Dunno."), ("On its way.", "No idea.")]
    # The same again adds nothing twice.
    outcome_request(session=session, answer_from="edit", makes_pairs=True, freezes=False, actor=people.rob)
    work()
    assert len(standing(outcome.pairs_dataset)) == 2
    assert Dataset.objects.filter(name__endswith="preferences").count() == 1


def gold(*answers):
    return Gold("S", 1, "G v1", "unanimous", "", (1, 2), None, "2026-01-01T00:00:00+00:00", answers)


def test_rankings_give_every_ordered_pair_and_ties_give_none():
    row = chat("?", "x", candidates=["one", "two", "three"])
    ranked = gold(GoldAnswer("order", "rank", [["2"], ["1", "3"]]))
    pairs = [
        (p["messages"][-1]["content"], p["rejected"][0]["content"]) for p in preference_pairs(row, ranked)
    ]
    assert pairs == [("two", "one"), ("two", "three")]
    tie = gold(GoldAnswer("better", "prefer", "tie"))
    assert list(preference_pairs(chat("?", "x", candidates=["a", "b"]), tie)) == []
    best = gold(GoldAnswer("best", "prefer", "2"))
    three = preference_pairs(chat("?", "x", candidates=["a", "b", "c"]), best)
    assert [(p["messages"][-1]["content"], p["rejected"][0]["content"]) for p in three] == [
        ("b", "a"),
        ("b", "c"),
    ]


def test_a_row_keeps_what_it_has_besides():
    row = chat("?", "x", metadata={"wording": "w1"}, source="crm")
    made = gold_row(row, gold(GoldAnswer("intent", "choose_one", "refund")), "intent")
    assert made["metadata"]["wording"] == "w1"
    assert made["source"] == "crm"
    assert made["messages"][-1] == {"role": "assistant", "content": "refund"}
    odd = gold_row(chat("?", metadata="text"), gold(GoldAnswer("i", "choose_one", "refund")))
    assert odd["metadata"] == "text"
    assert odd["labeling"]["provenance"] == "unanimous"


def test_peoples_time_is_summed(project, people, two):
    session = settled(project, people, two)
    # Six labels of three seconds, and an adjudication of seven.
    assert session_time(session).time.total == pytest.approx(25.0)
    assert project_time(project).total.total == pytest.approx(25.0)


def at(name, project, *more):
    return reverse(f"labeling:{name}", args=[project.workspace.slug, project.slug, *more])


def test_the_page_and_the_export(project, people, two, client_of):
    session = settled(project, people, two)
    lea = client_of(people.lea)
    page = lea.get(at("outcome", project, session.pk)).content.decode()
    assert "An edge case" in page
    sent = {"answer_from": "intent", "leaves_out_rejected": "on"}
    assert lea.post(at("outcome", project, session.pk), sent).status_code == 302
    work()
    assert "Handed over" in lea.get(at("outcome", project, session.pk)).content.decode()
    response = lea.get(at("export_labels", project, session.pk))
    records = [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]
    assert len(records) == 6
    one = next(record for record in records if record["item"] == 2 and record["labeler"] == two[1].email)
    assert one["answers"]["intent"]["value"] == "delivery"
    assert one["resolution"]["provenance"] == "adjudicated"
    assert one["resolution"]["decided_by"] == people.rob.email
    assert one["resolution"]["distribution"] == {"intent": {"delivery": 1, "refund": 1}}
    assert client_of(two[0]).get(at("export_labels", project, session.pk)).status_code == 403
    assert client_of(people.rob).get(at("export_labels", project, session.pk)).status_code == 403
