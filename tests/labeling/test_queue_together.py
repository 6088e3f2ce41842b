"""Many people at once, each on a connection of their own: the promises of the queue hold between processes."""

import random
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import Count, F
from django.utils import timezone

from apps.labeling.models import Item, Participant, Seat, SeatState, Submission
from apps.labeling.services.claiming import seats_claim
from tests.labeling.worlds import labelers, make_session, submit

pytestmark = pytest.mark.django_db(transaction=True)


def together(work: Callable[[int], Any], count: int) -> list[Any]:
    """Do `work(0)`, `work(1)`, … at the same time."""

    def alone(number: int) -> Any:
        try:
            return work(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(alone, range(count)))


def assert_whole(session, labels: int) -> None:
    counting = Submission.objects.filter(session=session, state="counts")
    assert counting.count() == labels
    assert not Item.objects.filter(session=session).exclude(done=F("wanted")).exists()
    assert not counting.values("item", "user").annotate(n=Count("pk")).filter(n__gt=1).exists()
    assert not counting.values("seat").annotate(n=Count("pk")).filter(n__gt=1).exists()
    assert sum(Participant.objects.values_list("submitted_count", flat=True)) == labels
    assert sum(Participant.objects.values_list("completed_count", flat=True)) == session.item_count


@pytest.mark.parametrize("order", ["random", "given"])
def test_many_labelers_fill_every_seat_once(order, project, people):
    session = make_session(project, people.lea, rows=60, overlap=2, order=order)
    team = labelers(project, 12)

    def label(number: int) -> int:
        done = 0
        while leases := seats_claim(session=session, user=team[number]):
            submit(session, team[number], leases[0])
            done += 1
        return done

    counts = together(label, len(team))

    assert sum(counts) == 120
    assert_whole(session, 120)


def test_one_submit_sent_many_times_at_once_is_kept_once(project, people):
    session = make_session(project, people.lea, rows=1)
    lease = seats_claim(session=session, user=people.ben)[0]
    client_id = uuid.uuid4()

    kept = together(lambda _: submit(session, people.ben, lease, client_id=client_id), 8)

    assert len({one.submission_id for one in kept}) == 1
    assert Counter(one.is_repeat for one in kept) == {True: 7, False: 1}
    assert_whole(session, 1)


def test_tabs_of_one_person_never_hold_two_seats_of_one_item(project, people):
    session = make_session(project, people.lea, rows=2, overlap=4)

    together(lambda _: seats_claim(session=session, user=people.ben), 8)

    held = Seat.objects.filter(session=session, state=SeatState.HELD)
    assert held.count() == held.values("item").distinct().count() <= 2


def test_leases_that_run_out_all_the_time_make_no_label_too_many(project, people):
    """Whoever dawdles loses the seat to somebody else in the middle: labels come late, twice and out of turn."""
    session = make_session(project, people.lea, rows=30, overlap=2)
    team = labelers(project, 8)

    def label(number: int) -> None:
        chance = random.Random(number)
        while leases := seats_claim(session=session, user=team[number], wanted=1):
            if chance.random() < 0.3:  # gone for coffee
                Seat.objects.filter(pk=leases[0].seat_id, token=leases[0].token, state="held").update(
                    held_until=timezone.now() - timedelta(seconds=1)
                )
            client_id = uuid.uuid4()
            for _ in range(2 if chance.random() < 0.3 else 1):
                submit(session, team[number], leases[0], client_id=client_id)

    together(label, len(team))

    assert_whole(session, 60)
    # Everything that was ever sent is there: by whoever, counted or surplus.
    sent = Submission.objects.filter(session=session)
    assert sent.count() == sum(one.submitted_count + one.surplus_count for one in Participant.objects.all())
