"""People who label as told, for the tests of what happens to labels afterwards."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db.models import F

from apps.accounts.models import User
from apps.labeling.models import (
    Answer,
    Item,
    ItemStage,
    Participant,
    Seat,
    SeatState,
    Session,
    Submission,
    SubmissionState,
)
from apps.labeling.services.claiming import seats_claim
from tests.labeling.worlds import submit


def label_all(session: Session, answers: Mapping[User, Sequence[Any]]) -> None:
    """Each person answers the items by their position: a label of the question `intent`, or a dict of answers."""
    for user, given in answers.items():
        for _ in given:
            leases = seats_claim(session=session, user=user, wanted=1)
            if not leases:
                break
            item = Item.objects.get(pk=leases[0].item_id)
            answer = given[item.position - 1]
            submit(session, user, leases[0], answer if isinstance(answer, dict) else {"intent": answer})


def items_of(session: Session) -> list[Item]:
    return list(Item.objects.filter(session=session).order_by("position"))


def fill_at_once(session: Session, people: Sequence[User], label: str) -> None:
    """Every seat of the session filled with the same label, without the way through the queue."""
    question = session.questions.get()
    seats = list(Seat.objects.filter(session=session).order_by("item", "number"))
    made = Submission.objects.bulk_create(
        Submission(
            session=session,
            item_id=seat.item_id,
            user=people[seat.number - 1],
            seat=seat,
            state=SubmissionState.COUNTS,
            client_id=uuid.uuid4(),
            seconds=1.0,
        )
        for seat in seats
    )
    Answer.objects.bulk_create(Answer(submission=one, question=question, value=label) for one in made)
    for number, user in enumerate(people, 1):
        Seat.objects.filter(session=session, number=number).update(
            state=SeatState.FILLED, user=user, token=uuid.uuid4()
        )
    Item.objects.filter(session=session).update(done=F("wanted"), stage=ItemStage.LABELED)
    # The figures of a session are the sums of these counters.
    for number, user in enumerate(people, 1):
        completed = session.item_count if number == len(people) else 0
        counts = {"submitted_count": session.item_count, "completed_count": completed}
        Participant.objects.update_or_create(session=session, user=user, defaults=counts)
