"""A lead takes an item out that people can't label: everybody skipped it, or it was flagged with good reason."""

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import ConflictError, PortalError
from apps.labeling.models import (
    Item,
    ItemStage,
    Participant,
    Seat,
    SeatState,
    Session,
    Submission,
)
from apps.labeling.services.settling import all_labeled_record
from apps.labeling.services.submitting import participant_count

MOST_NOTE_CHARACTERS = 5000


def item_withdraw(*, item: Item, by: User, note: str) -> None:
    """Set aside an item that still waits for labels: nobody gets it any more, and the session can be finished.

    Labels that it has are kept; one that somebody is just making comes as surplus.
    """
    note = note.strip().replace("\x00", "")[:MOST_NOTE_CHARACTERS]
    if not note:
        raise PortalError("Say in a note why the item is set aside.")
    session = item.session
    with transaction.atomic():
        # Seats first, then the item: as a submit locks them.
        waiting = Seat.objects.select_for_update().filter(item=item).exclude(state=SeatState.FILLED)
        seats = [seat.pk for seat in waiting]
        locked = Item.objects.select_for_update().get(pk=item.pk)
        if locked.stage != ItemStage.LABELING or not seats:
            raise ConflictError("This item does not wait for labels any more. Reload the page.")
        # Labels that were taken back or returned stand without their seat from now on.
        Submission.objects.filter(seat__in=seats).update(seat=None)
        Seat.objects.filter(pk__in=seats).delete()
        Item.objects.filter(pk=locked.pk).update(stage=ItemStage.SET_ASIDE, wanted=locked.done)
        Session.objects.filter(pk=session.pk).update(
            seat_count=F("seat_count") - len(seats), updated_at=timezone.now()
        )
        Participant.objects.get_or_create(session=session, user=by, defaults={"is_active": False})
        participant_count(session_id=session.pk, user_id=by.pk, completed=1)
        record(
            workspace=session.project.workspace,
            actor=by,
            action="labeling.item_set_aside",
            target=session,
            data={"item": item.pk, "note": note},
        )
        all_labeled_record(session)
