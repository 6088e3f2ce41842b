"""Labels that their author gets back: by undo, from a reviewer, or because the guideline's meaning changed."""

from datetime import timedelta
from uuid import uuid4

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import ConflictError
from apps.labeling.models import (
    Item,
    ItemStage,
    Resolution,
    Review,
    Seat,
    SeatState,
    Session,
    Submission,
    SubmissionState,
    TimeUse,
    Unsent,
)
from apps.labeling.services.submitting import participant_count
from apps.labeling.services.time_spending import time_add

UNDO_WITHIN = timedelta(minutes=30)
KEPT_FOR_AUTHOR = timedelta(days=14)
"""How long a returned item waits for its author before anybody may take it."""
BEFORE_REVIEW = (ItemStage.LABELING, ItemStage.LABELED)


def last_label_undo(*, session: Session, user: User) -> Submission:
    """Take back the person's last label in the session; the item is theirs again, with the answers still filled in."""
    with transaction.atomic():
        last = (
            Submission.objects.select_for_update()
            .filter(session=session, user=user, state=SubmissionState.COUNTS)
            .order_by("-pk")
            .first()
        )
        if last is None:
            raise ConflictError("There is no label of yours to take back.")
        if last.created_at < timezone.now() - UNDO_WITHIN:
            raise ConflictError("Your last label is older than half an hour. Ask a lead if it must change.")
        item = Item.objects.select_for_update().get(pk=last.item_id)
        if item.stage not in BEFORE_REVIEW and _was_looked_at(item):
            raise ConflictError("This item is in review already. Ask a reviewer to return it to you.")
        label_reopen(
            submission=last, to=SubmissionState.UNDONE, hold=timedelta(seconds=session.lease_seconds)
        )
        record(
            workspace=session.project.workspace,
            actor=user,
            action="labeling.label_undone",
            target=session,
            data={"item": item.pk, "submission": last.pk},
        )
    return last


def _was_looked_at(item: Item) -> bool:
    """Whether a reviewer or an adjudicator has it or decided anything; what settles by itself can be taken back."""
    if item.stage in (ItemStage.REVIEW, ItemStage.SET_ASIDE):
        return True
    reviewed = Review.objects.filter(submission__item=item).exists()
    return reviewed or Resolution.objects.filter(item=item, decided_by__isnull=False).exists()


def label_reopen(*, submission: Submission, to: str, hold: timedelta = KEPT_FOR_AUTHOR) -> None:
    """End a label that counts (`to` says how), and hold its seat for its author with the answers filled in.

    Called in a transaction, with the submission locked. The label itself is kept.
    """
    if submission.state != SubmissionState.COUNTS:
        raise ConflictError("This label does not count any more; nothing was changed.")
    now = timezone.now()
    item = Item.objects.select_for_update().get(pk=submission.item_id)
    Submission.objects.filter(pk=submission.pk).update(state=to, ended_at=now, look_again=False)
    submission.state, submission.ended_at = to, now
    Seat.objects.filter(submissions=submission).update(
        state=SeatState.HELD, user=submission.user_id, token=uuid4(), held_since=now, held_until=now + hold
    )
    # What followed from all the labels does not stand without one of them.
    Resolution.objects.filter(item=item, replaced_at=None).update(replaced_at=now)
    Item.objects.filter(pk=item.pk).update(
        done=F("done") - 1, stage=ItemStage.LABELING, agreement=None, audited=False
    )
    Unsent.objects.update_or_create(
        item=item,
        user_id=submission.user_id,
        defaults={
            "answers": dict(submission.answers.values_list("question__key", "value")),
            "seconds": 0.0,
            "revision": 0,
        },
    )
    participant_count(
        session_id=submission.session_id,
        user_id=submission.user_id,
        submitted=-1,
        completed=-int(item.done == item.wanted),
        seconds=-submission.seconds,
    )
    # The label ended, but the time was spent.
    time_add(
        session_id=submission.session_id,
        user_id=submission.user_id,
        use=TimeUse.TAKEN_BACK,
        seconds=submission.seconds,
    )


def look_again_confirm(*, submission: Submission, by: User) -> None:
    """The author looked again under the new guideline: the label still holds."""
    with transaction.atomic():
        changed = Submission.objects.filter(pk=submission.pk, look_again=True).update(look_again=False)
        if not changed:
            raise ConflictError("This label is not waiting for another look any more.")
        record(
            workspace=submission.session.project.workspace,
            actor=by,
            action="labeling.label_confirmed",
            target=submission.session,
            data={"item": submission.item_id, "submission": submission.pk},
        )
