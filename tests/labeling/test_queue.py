"""The queue by the rules of its issue: never more labels than wanted, nothing lost, nobody waits for the silent."""

import uuid
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.core.errors import ConflictError, PortalError
from apps.labeling.models import (
    Answer,
    Item,
    ItemStage,
    Participant,
    Seat,
    SeatState,
    Session,
    Skip,
    Submission,
    SubmissionState,
    Unsent,
)
from apps.labeling.services.claiming import seat_release, seats_claim
from apps.labeling.services.reopening import label_reopen, last_label_undo
from apps.labeling.services.sessions import session_close, session_open, session_pause
from apps.labeling.services.submitting import AnswersRefusedError
from apps.labeling.services.working import item_flag, item_skip, unsent_save
from tests.labeling.worlds import chat, frozen, label_next, label_one, labelers, make_session, submit

pytestmark = pytest.mark.django_db


def expire(session: Session) -> None:
    """All leases ran out a second ago."""
    Seat.objects.filter(session=session, state=SeatState.HELD).update(
        held_until=timezone.now() - timedelta(seconds=1)
    )


def test_a_session_has_one_seat_for_each_wanted_label(project, people):
    session = make_session(project, people.lea, rows=10, overlap=3, overlap_share=0.2)

    assert session.item_count == 10
    # 2 of 10 items get three labels, 8 get one.
    assert session.seat_count == 2 * 3 + 8
    assert sorted(Item.objects.values_list("wanted", flat=True)) == [1] * 8 + [3] * 2


def test_a_claim_gives_two_different_items_and_the_same_ones_again(project, people):
    session = make_session(project, people.lea, rows=5)

    first = seats_claim(session=session, user=people.ben)
    again = seats_claim(session=session, user=people.ben)

    assert len({lease.item_id for lease in first}) == 2
    assert [(one.item_id, one.token) for one in again] == [(one.item_id, one.token) for one in first]


def test_nobody_gets_an_item_twice_and_the_queue_ends(project, people):
    session = make_session(project, people.lea, rows=4, overlap=2)
    ben, rob, lea = people.ben, people.rob, people.lea

    labeled: dict[User, list[int]] = {user: [] for user in (ben, rob, lea)}
    for user in (ben, rob, lea):
        while item := label_next(session, user):
            labeled[user].append(item.pk)

    assert len(labeled[ben]) == len(set(labeled[ben])) == 4
    assert len(labeled[rob]) == len(set(labeled[rob])) == 4
    assert labeled[lea] == [], "two labels an item were wanted, and two are there"
    assert set(Item.objects.values_list("done", "stage")) == {(2, ItemStage.LABELED)}
    counters = {one.user: (one.submitted_count, one.completed_count) for one in Participant.objects.all()}
    assert counters == {ben: (4, 0), rob: (4, 4)}


def test_a_submit_sent_again_is_kept_once(project, people):
    session = make_session(project, people.lea)
    lease = seats_claim(session=session, user=people.ben)[0]
    client_id = uuid.uuid4()

    first = submit(session, people.ben, lease, client_id=client_id)
    second = submit(session, people.ben, lease, {"intent": "other"}, client_id=client_id)

    assert (first.submission_id, False) == (second.submission_id, first.is_repeat)
    assert second.is_repeat
    assert Answer.objects.get().value == "refund"


def test_a_second_label_by_the_same_person_is_refused(project, people):
    session = make_session(project, people.lea)
    lease = seats_claim(session=session, user=people.ben)[0]
    submit(session, people.ben, lease)

    with pytest.raises(ConflictError, match="labeled this item already"):
        submit(session, people.ben, lease)

    assert Submission.objects.count() == 1


def test_a_silent_holder_loses_the_item_to_the_next_and_the_late_label_is_surplus(project, people):
    session = make_session(project, people.lea, rows=1)
    late = seats_claim(session=session, user=people.ben)[0]
    assert seats_claim(session=session, user=people.rob) == []

    expire(session)
    taken = seats_claim(session=session, user=people.rob)[0]
    kept_late = submit(session, people.ben, late, {"intent": "other"})
    kept = submit(session, people.rob, taken)

    assert taken.item_id == late.item_id
    assert (kept_late.state, kept.state) == (SubmissionState.SURPLUS, SubmissionState.COUNTS)
    assert Answer.objects.filter(value="other").exists(), "the late label is kept"
    assert Participant.objects.get(user=people.ben).surplus_count == 1
    assert Item.objects.get().done == 1


def test_who_was_late_does_not_get_the_item_again(project, people):
    session = make_session(project, people.lea, rows=1, overlap=2)
    late = seats_claim(session=session, user=people.ben)[0]
    expire(session)
    for user in (people.rob, people.lea):
        label_next(session, user) if user == people.rob else seats_claim(session=session, user=user)
    assert submit(session, people.ben, late).state in (SubmissionState.SURPLUS, SubmissionState.COUNTS)

    expire(session)

    assert seats_claim(session=session, user=people.ben) == []


def test_a_lease_that_ran_out_still_counts_while_nobody_took_the_seat(project, people):
    session = make_session(project, people.lea, rows=1)
    lease = seats_claim(session=session, user=people.ben)[0]
    expire(session)

    assert submit(session, people.ben, lease).state == SubmissionState.COUNTS


def test_a_wrong_token_makes_the_label_surplus(project, people):
    session = make_session(project, people.lea, rows=1)
    lease = seats_claim(session=session, user=people.ben)[0]

    kept = submit(session, people.ben, lease, token=uuid.uuid4())

    assert kept.state == SubmissionState.SURPLUS
    assert Seat.objects.get().state == SeatState.HELD


def test_an_item_of_another_session_cannot_be_submitted(project, people):
    session = make_session(project, people.lea)
    other = make_session(project, people.lea)
    lease = seats_claim(session=other, user=people.ben)[0]

    with pytest.raises(ConflictError, match="not part of the session"):
        submit(session, people.ben, lease)


def test_a_lead_releases_a_seat_and_the_next_person_gets_it(project, people):
    session = make_session(project, people.lea, rows=1)
    seats_claim(session=session, user=people.ben)

    seat_release(seat=Seat.objects.get(), by=people.lea)

    assert len(seats_claim(session=session, user=people.rob)) == 1
    assert AuditEvent.objects.get(action="labeling.seat_released").data["holder"] == "ben@example.org"
    submit(session, people.rob, seats_claim(session=session, user=people.rob)[0])
    with pytest.raises(ConflictError, match="Nobody holds"):
        seat_release(seat=Seat.objects.get(), by=people.lea)


def test_a_skipped_item_goes_to_another_person_only(project, people):
    session = make_session(project, people.lea, rows=1)
    lease = seats_claim(session=session, user=people.ben)[0]

    with pytest.raises(PortalError, match="why"):
        item_skip(session=session, user=people.ben, item_id=lease.item_id, reason="  ")
    item_skip(session=session, user=people.ben, item_id=lease.item_id, reason="Not my language")

    assert seats_claim(session=session, user=people.ben) == []
    assert len(seats_claim(session=session, user=people.rob)) == 1
    assert Skip.objects.get().reason == "Not my language"
    assert Participant.objects.get(user=people.ben).skipped_count == 1


def test_undo_gives_the_item_back_with_its_answers(project, people):
    session = make_session(project, people.lea, rows=3)
    lease = seats_claim(session=session, user=people.ben, wanted=1)[0]
    submit(session, people.ben, lease, {"intent": "other"}, seconds=7)

    undone = last_label_undo(session=session, user=people.ben)

    assert undone.item_id == lease.item_id
    assert Submission.objects.get().state == SubmissionState.UNDONE
    assert Unsent.objects.get().answers == {"intent": "other"}
    assert Item.objects.get(pk=lease.item_id).done == 0
    held = seats_claim(session=session, user=people.ben, wanted=1)
    assert [one.item_id for one in held] == [lease.item_id]
    person = Participant.objects.get(user=people.ben)
    assert (person.submitted_count, person.completed_count, person.seconds) == (0, 0, 0)
    assert submit(session, people.ben, held[0]).state == SubmissionState.COUNTS
    assert Submission.objects.filter(is_independent=True).count() == 2, (
        "an undone slip was as blind as the next try"
    )


def test_only_a_recent_label_that_nobody_reviews_can_be_undone(project, people):
    session = make_session(project, people.lea, rows=3)
    with pytest.raises(ConflictError, match="no label of yours"):
        last_label_undo(session=session, user=people.ben)
    item = label_one(session, people.ben)
    Item.objects.filter(pk=item.pk).update(stage=ItemStage.REVIEW)
    with pytest.raises(ConflictError, match="in review"):
        last_label_undo(session=session, user=people.ben)


def test_a_returned_item_waits_for_its_author_and_its_second_label_is_not_independent(project, people):
    session = make_session(project, people.lea, rows=1)
    label_next(session, people.ben)
    with transaction.atomic():
        label_reopen(submission=Submission.objects.select_for_update(of=("self",)).get(), to="returned")

    assert seats_claim(session=session, user=people.rob) == []
    assert label_next(session, people.ben, {"intent": "other"}) is not None
    assert list(Submission.objects.order_by("pk").values_list("state", "is_independent")) == [
        ("returned", True),
        ("counts", False),
    ]


def test_missing_and_impossible_answers_are_named_and_nothing_is_kept(project, people):
    session = make_session(project, people.lea)
    lease = seats_claim(session=session, user=people.ben)[0]

    with pytest.raises(AnswersRefusedError) as missing:
        submit(session, people.ben, lease, {})
    with pytest.raises(AnswersRefusedError) as impossible:
        submit(session, people.ben, lease, {"intent": "nonsense"})

    assert missing.value.problems == {"intent": "This question needs an answer."}
    assert "nonsense" in impossible.value.problems["intent"]
    assert not Submission.objects.exists()


def test_unfinished_answers_are_kept_newest_first_and_only_for_the_holder(project, people):
    session = make_session(project, people.lea)
    lease = seats_claim(session=session, user=people.ben)[0]

    def save(user, revision, value):
        return unsent_save(
            session=session,
            user=user,
            item_id=lease.item_id,
            answers={"intent": value},
            seconds=1,
            revision=revision,
        )

    assert save(people.ben, 2, "refund")
    assert save(people.ben, 1, "an older save that arrives later")
    assert not save(people.rob, 3, "other")

    assert list(Unsent.objects.values_list("user", "answers")) == [(people.ben.pk, {"intent": "refund"})]
    submit(session, people.ben, lease)
    assert not Unsent.objects.exists()
    assert not save(people.ben, 9, "after the submit")


def test_a_paused_session_hands_out_nothing_but_takes_what_people_hold(project, people):
    session = make_session(project, people.lea)
    lease = seats_claim(session=session, user=people.ben, wanted=1)[0]

    session_pause(session=session, actor=people.lea)

    assert seats_claim(session=session, user=people.rob) == []
    assert submit(session, people.ben, lease).state == SubmissionState.COUNTS
    session_open(session=session, actor=people.lea)
    assert seats_claim(session=session, user=people.rob)
    session_close(session=session, actor=people.lea)
    assert seats_claim(session=session, user=people.ben) == []


def test_nothing_is_handed_out_after_the_deadline(project, people):
    session = make_session(project, people.lea, deadline=timezone.now() - timedelta(minutes=1))

    assert seats_claim(session=session, user=people.ben) == []


@pytest.mark.parametrize(
    ("order", "expected"),
    [("given", ["long text here", "mid text", "x"]), ("short_first", ["x", "mid text", "long text here"])],
)
def test_items_come_in_the_order_of_the_session(order, expected, project, people):
    rows = [chat(text) for text in ("long text here", "mid text", "x")]
    session = make_session(project, people.lea, rows=rows, order=order)

    got = []
    while item := label_next(session, people.ben):
        got.append(item.example.payload["messages"][0]["content"])

    assert got == expected


def test_uncertain_first_begins_with_what_earlier_labels_disagreed_on(project, people):
    version = frozen(project, [chat(f"Ticket {number}") for number in range(1, 4)])
    earlier = make_session(project, people.lea, version=version)
    for item, agreement in zip(earlier.items.order_by("position"), (1.0, 0.0, 0.5), strict=True):
        Item.objects.filter(pk=item.pk).update(agreement=agreement)
    session = make_session(project, people.lea, version=version, order="uncertain_first")

    got = [label_one(session, people.ben).position for _ in range(3)]

    assert got == [2, 3, 1]


def test_random_order_differs_between_people(project, people):
    session = make_session(project, people.lea, rows=30, overlap=2)

    orders = []
    for user in labelers(project, 2):
        positions = []
        while item := label_next(session, user):
            positions.append(item.position)
        orders.append(positions)

    assert sorted(orders[0]) == sorted(orders[1]) == list(range(1, 31))
    assert orders[0] != orders[1]


def test_flags_do_not_stop_the_labeling(project, people):
    session = make_session(project, people.lea, rows=1)
    lease = seats_claim(session=session, user=people.ben)[0]

    item_flag(session=session, user=people.ben, item_id=lease.item_id, reason="Holds a phone number")
    with pytest.raises(ConflictError, match="flagged this item already"):
        item_flag(session=session, user=people.ben, item_id=lease.item_id, reason="Again")

    assert Item.objects.get().open_flags == 1
    assert submit(session, people.ben, lease).state == SubmissionState.COUNTS


def test_the_database_itself_refuses_what_must_never_happen(project, people):
    session = make_session(project, people.lea, rows=1)
    lease = seats_claim(session=session, user=people.ben)[0]
    submit(session, people.ben, lease)
    submission, seat = Submission.objects.get(), Seat.objects.get()

    def refused(action) -> None:
        with pytest.raises(IntegrityError), transaction.atomic():
            action()

    refused(lambda: Seat.objects.create(session=session, item=seat.item, number=1, place=0))
    refused(lambda: Seat.objects.create(session=session, item=seat.item, number=2, place=0, state="filled"))
    refused(
        lambda: Submission.objects.create(
            session=session,
            item=seat.item,
            user=people.rob,
            seat=seat,
            state="counts",
            client_id=uuid.uuid4(),
            seconds=1,
        )
    )
    refused(lambda: Answer.objects.update(value="other"))
    refused(lambda: Submission.objects.filter(pk=submission.pk).update(user=people.rob))
    refused(lambda: Item.objects.update(done=2))
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM labeling_submission")
        assert cursor.fetchone() == (1,)
