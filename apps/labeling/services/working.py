"""While somebody labels: what is not submitted yet is saved; items are skipped and flagged."""

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.canonical import canonical_json
from apps.core.errors import ConflictError, PortalError
from apps.labeling.models import Flag, Item, Seat, SeatState, Session, Skip
from apps.labeling.services.claiming import seat_hand_back
from apps.labeling.services.submitting import participant_count

MOST_UNSENT_BYTES = 2_000_000
MOST_REASON_CHARACTERS = 300

_SAVE = """
    INSERT INTO labeling_unsent AS kept (item_id, user_id, answers, seconds, revision, saved_at)
    VALUES (%s, %s, %s::jsonb, %s, %s, clock_timestamp())
    ON CONFLICT (item_id, user_id) DO UPDATE
        SET answers = excluded.answers, seconds = excluded.seconds, revision = excluded.revision,
            saved_at = excluded.saved_at
        WHERE kept.revision < excluded.revision"""


def unsent_save(
    *, session: Session, user: User, item_id: int, answers: Mapping[str, Any], seconds: float, revision: int
) -> bool:
    """Keep what was filled in so far. False: the item is no longer this person's, there is nothing to keep it for."""
    if not Seat.objects.filter(session=session, item_id=item_id, user=user, state=SeatState.HELD).exists():
        return False
    try:
        text = canonical_json(dict(answers)).decode()
    except (ValueError, UnicodeEncodeError) as error:
        raise PortalError("The answers hold something that cannot be stored.") from error
    if len(text) > MOST_UNSENT_BYTES or "\\u0000" in text:
        raise PortalError("The answers are too long, or hold a character that cannot be stored.")
    with connection.cursor() as cursor:
        cursor.execute(_SAVE, [item_id, user.pk, text, max(0.0, seconds), revision])
    return True


def item_skip(*, session: Session, user: User, item_id: int, reason: str) -> None:
    """Pass an item on: somebody else gets it, and this person does not get it again."""
    reason = _reason(reason, "Say why you skip it: the lead decides by that what becomes of the item.")
    with transaction.atomic():
        item = _item(session, item_id)
        if not seat_hand_back(item=item, user=user):
            raise ConflictError("This item is not in your hands any more.")
        Skip.objects.get_or_create(item=item, user=user, defaults={"reason": reason})
        participant_count(session_id=session.pk, user_id=user.pk, skipped=1)


def item_flag(*, session: Session, user: User, item_id: int, reason: str) -> Flag:
    """Call the lead to an item. It goes on being labeled."""
    reason = _reason(reason, "Say what is wrong with the item.")
    with transaction.atomic():
        item = _item(session, item_id)
        try:
            with transaction.atomic():
                flag = Flag.objects.create(item=item, user=user, reason=reason)
        except IntegrityError as error:
            raise ConflictError(
                "You have flagged this item already; the lead has not settled it yet."
            ) from error
        Item.objects.filter(pk=item.pk).update(open_flags=F("open_flags") + 1)
        record(
            workspace=session.project.workspace,
            actor=user,
            action="labeling.item_flagged",
            target=session,
            data={"item": item.pk, "reason": reason},
        )
    return flag


def flag_settle(*, flag: Flag, by: User) -> None:
    """Raises `ConflictError` where somebody settled it before."""
    with transaction.atomic():
        settled = Flag.objects.filter(pk=flag.pk, settled_at=None).update(
            settled_at=timezone.now(), settled_by=by
        )
        if not settled:
            raise ConflictError("This flag is settled already.")
        Item.objects.filter(pk=flag.item_id).update(open_flags=F("open_flags") - 1)
        record(
            workspace=flag.item.session.project.workspace,
            actor=by,
            action="labeling.flag_settled",
            target=flag.item.session,
            data={"item": flag.item_id, "reason": flag.reason},
        )


def _item(session: Session, item_id: int) -> Item:
    item = Item.objects.filter(session=session, pk=item_id).first()
    if item is None:
        raise ConflictError("This item is not part of the session any more. Reload the page.")
    return item


def _reason(text: str, empty: str) -> str:
    text = text.strip().replace("\x00", "")
    if not text:
        raise PortalError(empty)
    return text[:MOST_REASON_CHARACTERS]
