"""What becomes of labels: passed on, reviewed, returned, adjudicated; one answer stands, every label is kept."""

import pytest
from django.db import IntegrityError, transaction

from apps.audit.models import AuditEvent
from apps.core.errors import ConflictError, NotAllowedError, PortalError
from apps.labeling.models import (
    Cause,
    Item,
    ItemStage,
    Provenance,
    Resolution,
    Review,
    SeatState,
    Submission,
    SubmissionState,
)
from apps.labeling.selectors.resolving import (
    kept_from_adjudicating,
    shown_item,
    stage_counts,
    to_adjudicate,
    to_review,
)
from apps.labeling.services.adjudicating import (
    Choice,
    item_adjudicate,
    item_reopen,
    item_set_aside,
    session_take_majority,
)
from apps.labeling.services.reopening import last_label_undo
from apps.labeling.services.reviewing import label_accept, label_return
from apps.labeling.services.settling import session_settle, sessions_settle
from apps.labeling.services.submitting import AnswersRefusedError
from tests.labeling.judging import fill_at_once, items_of, label_all
from tests.labeling.worlds import label_next, labelers, make_session

pytestmark = pytest.mark.django_db


@pytest.fixture
def three(project):
    return labelers(project, 3)


def disputed(project, people, three, **wish):
    """Five items, three labelers: unanimous, 2 to 1, all different, unanimous, 2 to 1."""
    session = make_session(project, people.lea, people=three, overlap=3, audit_share=0.0, **wish)
    one, two, other = three
    label_all(
        session,
        {
            one: ["refund", "refund", "refund", "other", "delivery"],
            two: ["refund", "refund", "delivery", "other", "delivery"],
            other: ["refund", "other", "other", "other", "refund"],
        },
    )
    return session


def test_unanimous_items_are_resolved_and_the_others_wait_for_an_adjudicator(project, people, three):
    session = disputed(project, people, three)
    assert sessions_settle() == 5
    stages = [item.stage for item in items_of(session)]
    assert stages == ["resolved", "adjudication", "adjudication", "resolved", "adjudication"]
    first = Resolution.objects.get(item=items_of(session)[0])
    assert first.provenance == Provenance.UNANIMOUS
    answer = first.answers.get()
    assert (answer.value, answer.distribution) == ("refund", {"refund": 3})
    # One pair of three agrees on items two and five, none on item three: it comes first.
    assert [item.agreement for item in items_of(session)] == pytest.approx([1, 1 / 3, 0, 1, 1 / 3])
    assert [item.position for item in to_adjudicate(session, people.rob)] == [3, 2, 5]
    assert sessions_settle() == 0


def test_single_labels_are_resolved_as_such(project, people, three):
    session = make_session(project, people.lea, people=three[:1], rows=2)
    label_all(session, {three[0]: ["refund", "other"]})
    session_settle(session=session)
    assert {one.provenance for one in Resolution.objects.all()} == {Provenance.SINGLE}
    assert stage_counts(session).resolved == 2


def test_a_random_share_of_unanimous_items_is_audited_always_the_same(project, people, three):
    session = make_session(project, people.lea, people=three[:2], rows=200, overlap=2, audit_share=0.25)
    fill_at_once(session, three[:2], "refund")
    session_settle(session=session)
    drawn = [item.position for item in items_of(session) if item.audited]
    # The lot goes by ids, which differ from run to run. Binomial(200, 0.25): 18 to 86 holds all but 1 in 10 million.
    assert 18 <= len(drawn) <= 86
    counts = stage_counts(session)
    assert counts.audit == counts.adjudication == len(drawn)
    Resolution.objects.all().delete()
    Item.objects.filter(session=session).update(stage=ItemStage.LABELED, audited=False)
    session_settle(session=session)
    assert [item.position for item in items_of(session) if item.audited] == drawn


def test_settling_many_items_takes_few_queries(project, people, three, django_assert_max_num_queries):
    session = make_session(project, people.lea, people=three[:2], rows=450, overlap=2, audit_share=0.0)
    fill_at_once(session, three[:2], "refund")
    with django_assert_max_num_queries(60):  # three batches, each a dozen queries and its transaction
        assert session_settle(session=session) == 450
    assert Resolution.objects.filter(item__session=session, replaced_at=None).count() == 450
    assert stage_counts(session).resolved == 450


def test_an_adjudicator_chooses_a_label_with_a_cause(project, people, three):
    session = disputed(project, people, three)
    session_settle(session=session)
    item = items_of(session)[1]
    wanted = Submission.objects.get(item=item, user=three[2])
    resolution = item_adjudicate(
        item=item,
        by=people.rob,
        choices={"intent": Choice(taken_from=wanted.pk)},
        cause=Cause.GUIDELINE_GAP,
        seconds=12.5,
    )
    item.refresh_from_db()
    answer = resolution.answers.get()
    assert item.stage == ItemStage.RESOLVED
    assert (resolution.provenance, resolution.cause, resolution.decided_by) == (
        Provenance.ADJUDICATED,
        Cause.GUIDELINE_GAP,
        people.rob,
    )
    assert (answer.value, answer.taken_from) == ("other", wanted)
    assert answer.distribution == {"other": 1, "refund": 2}
    # The originals stay as they were sent.
    assert Submission.objects.filter(item=item, state=SubmissionState.COUNTS).count() == 3
    assert AuditEvent.objects.filter(action="labeling.item_adjudicated", actor=people.rob).exists()
    with pytest.raises(ConflictError):
        item_adjudicate(item=item, by=people.rob, choices={}, cause=Cause.EDGE_CASE)


def test_an_answer_of_ones_own_needs_a_note_and_must_be_possible(project, people, three):
    session = make_session(project, people.lea, people=three[:2], rows=1, overlap=2)
    label_all(session, {three[0]: ["refund"], three[1]: ["delivery"]})
    session_settle(session=session)
    (item,) = items_of(session)
    own = {"intent": Choice(value="other")}
    with pytest.raises(PortalError, match="note"):
        item_adjudicate(item=item, by=people.rob, choices=own, cause=Cause.AMBIGUOUS_TEXT)
    with pytest.raises(AnswersRefusedError) as refused:
        item_adjudicate(
            item=item, by=people.rob, choices={"intent": Choice(value="no label")}, cause="bad_item"
        )
    assert "not one of the labels" in refused.value.problems["intent"]
    with pytest.raises(PortalError, match="cause"):
        item_adjudicate(item=item, by=people.rob, choices=own, note="Neither.")
    resolution = item_adjudicate(
        item=item, by=people.rob, choices=own, cause=Cause.AMBIGUOUS_TEXT, note="It is neither."
    )
    assert resolution.answers.get().taken_from is None


def test_nobody_adjudicates_what_they_labeled(project, people, three):
    session = make_session(project, people.lea, people=[three[0], people.rob], rows=1, overlap=2)
    label_all(session, {three[0]: ["refund"], people.rob: ["delivery"]})
    session_settle(session=session)
    (item,) = items_of(session)
    assert not to_adjudicate(session, people.rob).exists()
    assert kept_from_adjudicating(session, people.rob) == 1
    assert to_adjudicate(session, people.lea).count() == 1
    with pytest.raises(NotAllowedError):
        item_adjudicate(
            item=item, by=people.rob, choices={"intent": Choice(value="refund")}, cause=Cause.EDGE_CASE
        )
    # Whoever writes past the service meets the database.
    with pytest.raises(IntegrityError), transaction.atomic():
        Resolution.objects.create(
            item=item, provenance=Provenance.ADJUDICATED, cause=Cause.EDGE_CASE, decided_by=people.rob
        )
    assert not Resolution.objects.exists()


def test_one_answer_stands_and_the_replaced_one_is_kept(project, people, three):
    session = disputed(project, people, three)
    session_settle(session=session)
    item = items_of(session)[2]
    for value in ("refund", "delivery"):
        item_adjudicate(
            item=item, by=people.rob, choices={"intent": Choice(value=value)}, cause=Cause.SUBJECTIVE
        )
        item_reopen(item=item, by=people.lea)
    stands = Resolution.objects.get(item=item, replaced_at=None)
    assert stands.answers.get().value == "delivery"
    assert Resolution.objects.filter(item=item).count() == 2
    with pytest.raises(IntegrityError), transaction.atomic():
        Resolution.objects.create(item=item, provenance=Provenance.UNANIMOUS)


def test_an_audit_that_agrees_needs_no_cause(project, people, three):
    session = make_session(project, people.lea, people=three[:2], rows=1, overlap=2, audit_share=1.0)
    label_all(session, {user: ["refund"] for user in three[:2]})
    session_settle(session=session)
    (item,) = items_of(session)
    assert item.audited
    resolution = item_adjudicate(item=item, by=people.rob, choices={"intent": Choice(value="refund")})
    assert (resolution.provenance, resolution.cause, resolution.decided_by) == (
        Provenance.UNANIMOUS,
        "",
        people.rob,
    )


def test_an_audit_that_disagrees_is_an_adjudication(project, people, three):
    session = make_session(project, people.lea, people=three[:2], rows=1, overlap=2, audit_share=1.0)
    label_all(session, {user: ["refund"] for user in three[:2]})
    session_settle(session=session)
    (item,) = items_of(session)
    resolution = item_adjudicate(
        item=item,
        by=people.rob,
        choices={"intent": Choice(value="other")},
        cause=Cause.LABELER_ERROR,
        note="Both missed the last line.",
    )
    assert resolution.provenance == Provenance.ADJUDICATED


def test_the_majority_is_taken_where_there_is_one(project, people, three):
    session = disputed(project, people, three)
    session_settle(session=session)
    assert session_take_majority(session=session, by=people.lea) == 2
    assert [item.stage for item in items_of(session)] == ["resolved"] * 2 + ["adjudication"] + [
        "resolved"
    ] * 2
    second = Resolution.objects.get(item=items_of(session)[1])
    assert (second.provenance, second.answers.get().value) == (Provenance.MAJORITY, "refund")


def test_a_label_can_be_undone_until_somebody_looked_at_its_item(project, people, three):
    session = make_session(project, people.lea, people=three[:2], rows=1, overlap=2, audit_share=0.0)
    label_all(session, {user: ["refund"] for user in three[:2]})
    session_settle(session=session)
    last_label_undo(session=session, user=three[1])
    (item,) = items_of(session)
    assert (item.stage, item.done, item.agreement) == (ItemStage.LABELING, 1, None)
    assert not Resolution.objects.filter(item=item, replaced_at=None).exists()
    label_next(session, three[1], {"intent": "other"})
    session_settle(session=session)
    item_adjudicate(
        item=item, by=people.rob, choices={"intent": Choice(value="other")}, cause=Cause.EDGE_CASE
    )
    with pytest.raises(ConflictError):
        last_label_undo(session=session, user=three[1])


def test_an_item_is_set_aside_with_a_reason(project, people, three):
    session = disputed(project, people, three)
    session_settle(session=session)
    item = items_of(session)[2]
    with pytest.raises(PortalError):
        item_set_aside(item=item, by=people.rob, note=" ")
    item_set_aside(item=item, by=people.rob, note="Not a ticket.")
    assert stage_counts(session).set_aside == 1


def test_reviews_come_before_adjudication(project, people, three):
    session = make_session(
        project, people.lea, people=three[:2], rows=1, overlap=2, reviews_every_label=True, audit_share=0.0
    )
    label_all(session, {user: ["refund"] for user in three[:2]})
    session_settle(session=session)
    (item,) = to_review(session, people.rob)
    first, second = Submission.objects.filter(item=item).order_by("pk")
    label_accept(submission=first, by=people.rob)
    item.refresh_from_db()
    assert item.stage == ItemStage.REVIEW
    with pytest.raises(ConflictError):
        label_accept(submission=first, by=people.rob)
    label_accept(submission=second, by=people.lea)
    item.refresh_from_db()
    assert item.stage == ItemStage.RESOLVED
    assert not to_review(session, people.rob).exists()


def test_a_returned_label_goes_back_to_its_author_with_the_reason(project, people, three):
    session = make_session(project, people.lea, people=three[:2], rows=1, overlap=2, reviews_every_label=True)
    label_all(session, {three[0]: ["refund"], three[1]: ["other"]})
    session_settle(session=session)
    (item,) = items_of(session)
    returned = Submission.objects.get(item=item, user=three[1])
    with pytest.raises(PortalError):
        label_return(submission=returned, by=people.rob, reason="")
    label_return(submission=returned, by=people.rob, reason="Look at rule 3.")
    item.refresh_from_db()
    returned.refresh_from_db()
    assert (item.stage, item.done) == (ItemStage.LABELING, 1)
    assert returned.state == SubmissionState.RETURNED
    assert Review.objects.get(submission=returned).reason == "Look at rule 3."
    seat = item.seats.get(user=three[1])
    assert seat.state == SeatState.HELD
    # The author labels anew; that label is not independent any more.
    assert label_next(session, three[1], {"intent": "refund"}) == item
    again = Submission.objects.get(item=item, user=three[1], state=SubmissionState.COUNTS)
    assert not again.is_independent
    session_settle(session=session)
    item.refresh_from_db()
    assert item.stage == ItemStage.REVIEW


def test_nobody_reviews_their_own_label(project, people):
    session = make_session(project, people.lea, people=[people.rob], rows=1, reviews_every_label=True)
    label_all(session, {people.rob: ["refund"]})
    session_settle(session=session)
    label = Submission.objects.get()
    assert not to_review(session, people.rob).exists()
    with pytest.raises(NotAllowedError):
        label_accept(submission=label, by=people.rob)
    with pytest.raises(IntegrityError), transaction.atomic():
        Review.objects.create(submission=label, reviewer=people.rob, verdict="accepted")


def test_a_reviewer_who_labels_too_sees_no_item_before_their_own_label(project, people, three):
    session = make_session(project, people.lea, people=[three[0], people.rob], rows=2, overlap=2)
    label_all(session, {three[0]: ["refund", "other"]})
    from apps.labeling.selectors.agreement import open_to

    assert not open_to(session, people.rob).exists()
    assert open_to(session, people.lea).count() == 2
    mine = label_next(session, people.rob, {"intent": "refund"})
    assert list(open_to(session, people.rob)) == [mine]


def test_the_shown_item_names_nobody(project, people, three):
    session = disputed(project, people, three)
    session_settle(session=session)
    item = items_of(session)[1]
    shown = shown_item(item, list(session.questions.all()))
    (question,) = shown.questions
    assert [(answer.text, len(answer.letters)) for answer in question.answers] == [
        ("refund", 2),
        ("other", 1),
    ]
    assert sorted(label.letter for label in shown.labels) == ["A", "B", "C"]


def test_whether_somebody_is_a_or_b_goes_by_lot_in_each_item(project, people, three):
    session = make_session(project, people.lea, people=three, rows=30, overlap=3)
    fill_at_once(session, three, "refund")

    orders = {
        tuple(label.submission.user_id for label in shown_item(item, []).labels) for item in items_of(session)
    }

    assert len(orders) > 1  # of the six that there are, thirty times the same one: 1 in 6 ** 29
