"""Agreement of a session: only first and independent labels count; the figures lead to the items."""

import pytest
from django.core.cache import cache

from apps.core.errors import ConflictError, PortalError
from apps.labeling.models import (
    Answer,
    Draft,
    DraftRun,
    GateState,
    Guideline,
    GuidelineVersion,
    ItemOrder,
    QuestionKind,
    Submission,
    SubmissionState,
)
from apps.labeling.selectors.agreement import ItemQuery, agreement_of, items_matching
from apps.labeling.services.piloting import pilot_decide, pilot_overrule, pilots_decide
from apps.labeling.services.sessions import QuestionWish, session_open
from apps.labeling.services.settling import session_settle
from tests.evaluations.worlds import build_world
from tests.labeling.judging import items_of, label_all
from tests.labeling.worlds import LABELS, label_next, labelers, make_session

pytestmark = pytest.mark.django_db

# Krippendorff 2011, section B: twelve units, two observers, alpha .692. Here c stands for c, b for b and so on.
BEN = ["a", "a", "b", "b", "d", "c", "c", "c", "e", "d", "d", "a"]
GERRY = ["b", "a", "b", "b", "b", "c", "c", "c", "e", "d", "d", "d"]
LETTERS = {"labels": [{"value": letter} for letter in "abcde"]}


@pytest.fixture(autouse=True)
def empty_cache():
    cache.clear()


@pytest.fixture
def two(project):
    return labelers(project, 2)


def krippendorff(project, people, two, **wish):
    question = QuestionWish(key="intent", kind=QuestionKind.CHOOSE_ONE, title="Which?", options=LETTERS)
    session = make_session(
        project, people.lea, people=two, rows=12, overlap=2, questions=[question], audit_share=0.0, **wish
    )
    label_all(session, {two[0]: BEN, two[1]: GERRY})
    return session


def test_the_report_has_the_published_alpha(project, people, two):
    (report,) = agreement_of(krippendorff(project, people, two)).questions
    agreement = report.agreement
    assert agreement.headline.figure.value == pytest.approx(0.692, abs=5e-4)
    assert (agreement.answers, agreement.shared_items, agreement.raters) == (24, 12, 2)
    figures = {figure.name: figure.figure for figure in agreement.figures}
    # Nine of the twelve units agree.
    assert figures["Raw agreement"].value == pytest.approx(9 / 12)
    assert agreement.pairs[0].shared == 12
    assert agreement.confusion is not None
    assert ("b", "d", 1) in agreement.confusion.most_confused()
    assert {label.label: label.count for label in agreement.labels} == {
        "a": 4,
        "b": 6,
        "c": 6,
        "d": 6,
        "e": 2,
    }


def test_a_cell_of_the_confusion_leads_to_its_items(project, people, two):
    session = krippendorff(project, people, two)
    session_settle(session=session)

    def positions(**query):
        return [
            item.position
            for item in items_matching(session, people.rob, ItemQuery(**query)).order_by("position")
        ]

    assert positions(question="intent", first="a", second="b") == [1]
    assert positions(question="intent", first="b", second="b") == [3, 4]
    assert positions(disagreeing=True) == [1, 5, 12]
    assert positions(stage="adjudication") == [1, 5, 12]


def test_only_first_and_independent_labels_count(project, people, two):
    session = krippendorff(project, people, two)
    first = Submission.objects.filter(session=session).earliest("pk")
    # Returned to its author, it is still the label that was made without seeing anything.
    Submission.objects.filter(pk=first.pk).update(state=SubmissionState.RETURNED)
    assert agreement_of(session).questions[0].agreement.answers == 24
    Submission.objects.filter(pk=first.pk).update(is_independent=False, state=SubmissionState.UNDONE)
    assert agreement_of(session).questions[0].agreement.answers == 23


def test_drafts_accepted_unchanged_are_reported_apart(project, people, two):
    session = krippendorff(project, people, two)
    run = DraftRun.objects.create(session=session, variant=_variant(project), created_by=people.lea)
    answers = list(Answer.objects.filter(question__session=session).order_by("pk")[:4])
    for answer, use in zip(answers, ["unchanged", "unchanged", "edited", "rejected"], strict=True):
        draft, _ = Draft.objects.get_or_create(run=run, item=answer.submission.item)
        Answer.objects.filter(pk=answer.pk).update(draft=draft, draft_use=use)
    cache.clear()
    (report,) = agreement_of(session).questions
    assert report.agreement.answers == 22
    assert (report.drafts.unchanged, report.drafts.edited, report.drafts.rejected) == (2, 1, 1)


def _variant(project):
    return build_world(project, project.created_by).variant("Drafter")


def test_labels_under_two_guideline_versions_are_compared_apart(project, people, two):
    guideline = Guideline.objects.create(project=project, name="Letters")
    versions = [
        GuidelineVersion.objects.create(
            guideline=guideline, number=number, change=change, meaning=number, text="…"
        )
        for number, change in ((1, "first"), (2, "meaning"))
    ]
    session = make_session(
        project, people.lea, people=two, rows=4, overlap=2, guideline=guideline, order=ItemOrder.GIVEN
    )
    for version, labels in ((versions[0], ["refund", "other"]), (versions[1], ["refund", "refund"])):
        session.guideline_version = version
        session.save()
        for label in labels:
            for user in two:
                label_next(session, user, {"intent": label})
    first, second = agreement_of(session).questions[0].agreement.by_version
    assert (first[0], first[1].figure.value) == (versions[0].pk, 1)
    assert second[1].figure.value is None
    assert "only one answer was used" in second[1].figure.reason


@pytest.mark.parametrize(
    ("kind", "options", "one", "other", "name"),
    [
        (QuestionKind.RATE, {"low": 1, "high": 5}, 4, 5, "Krippendorff's α"),
        (
            QuestionKind.CHOOSE_SEVERAL,
            {"labels": LABELS},
            ["refund"],
            ["refund", "other"],
            "Krippendorff's α",
        ),
        (QuestionKind.PREFER, {"ties": True}, "1", "tie", "Krippendorff's α"),
        (QuestionKind.RANK, {}, [["1"], ["2"]], [["2"], ["1"]], "Krippendorff's α"),
        (QuestionKind.VERDICT, {}, "accept", "reject", "Krippendorff's α"),
        (QuestionKind.EDIT, {}, "kitten", "sitting", "Edit distance"),
        (
            QuestionKind.SPANS,
            {"labels": LABELS, "about": "answer"},
            [{"start": 0, "end": 1, "label": "refund"}],
            [{"start": 0, "end": 2, "label": "refund"}],
            "Span F1",
        ),
    ],
)
def test_every_kind_of_question_has_its_figure(project, people, two, kind, options, one, other, name):
    question = QuestionWish(key="q", kind=kind, title="?", options=options)
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"Question {number}"},
                {"role": "assistant", "content": "an answer"},
            ],
            "candidates": ["first", "second"],
        }
        for number in range(6)
    ]
    session = make_session(project, people.lea, people=two, rows=rows, overlap=2, questions=[question])
    label_all(session, {two[0]: [{"q": one}, {"q": other}] * 3, two[1]: [{"q": one}, {"q": one}] * 3})
    (report,) = agreement_of(session).questions
    assert report.agreement.headline.name == name
    assert report.agreement.headline.figure.value is not None
    assert report.agreement.shared_items == 6
    session_settle(session=session)
    assert [item.agreement == 1 for item in items_of(session)] == [True, False] * 3


def test_a_pilot_passes_on_the_lower_bound_only(project, people, two):
    session = krippendorff(project, people, two, is_pilot=True, gate_minimum=0.667)
    session_settle(session=session)
    assert pilots_decide() == 1
    session.refresh_from_db()
    result = session.gate_result["questions"]["intent"]
    # The value passes, its lower bound does not.
    assert result["value"] > 0.667 > result["low"]
    assert session.gate_state == GateState.CLOSED
    follower = make_session(project, people.lea, people=two, rows=1, pilot=session, opened=False)
    with pytest.raises(ConflictError, match="pilot"):
        session_open(session=follower, actor=people.lea)
    with pytest.raises(PortalError):
        pilot_overrule(session=session, by=people.lea, opens=True, reason="")
    pilot_overrule(session=session, by=people.lea, opens=True, reason="The three items were settled by hand.")
    session_open(session=follower, actor=people.lea)


def test_a_pilot_that_agrees_opens_the_gate(project, people, two):
    session = make_session(
        project, people.lea, people=two, rows=12, overlap=2, is_pilot=True, gate_minimum=0.667
    )
    assert pilots_decide() == 0
    label_all(session, {user: ["refund", "other", "delivery"] * 4 for user in two})
    pilots_decide()
    session.refresh_from_db()
    assert session.gate_state == GateState.OPEN


def test_unanimous_labels_do_not_open_the_gate_and_the_reason_is_kept(project, people, two):
    session = make_session(
        project, people.lea, people=two, rows=12, overlap=2, is_pilot=True, gate_minimum=0.667
    )
    label_all(session, {user: ["refund"] * 12 for user in two})
    pilot_decide(session=session, by=people.lea)
    assert session.gate_state == GateState.CLOSED
    assert "only one answer was used" in session.gate_result["questions"]["intent"]["reason"]
