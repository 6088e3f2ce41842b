"""Handing out items: a seat is claimed under a lease, kept alive by heartbeats, and free again once it runs out.

No sweeper is needed: the claim itself takes over a seat whose lease has run out. Several processes claim at once; each
passes by the seats that another is just locking.
"""

import random
from contextlib import nullcontext
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import ConflictError
from apps.labeling.leases import Lease
from apps.labeling.models import Item, ItemOrder, Participant, Seat, SeatState, Session, SessionState

HELD_AT_ONCE = 2
"""The item on the screen and the one after it."""
PLACES = 2**40
"""Random places lie below."""


# The seats that `user` may take: of items that they have no seat on, did not skip, and did not label too late before.
_MINE_TO_TAKE = """
    NOT EXISTS (SELECT 1 FROM labeling_seat m WHERE m.item_id = s.item_id AND m.user_id = %(user)s)
    AND NOT EXISTS (SELECT 1 FROM labeling_skip k WHERE k.item_id = s.item_id AND k.user_id = %(user)s)
    AND NOT EXISTS (
        SELECT 1 FROM labeling_submission b
        WHERE b.item_id = s.item_id AND b.user_id = %(user)s AND b.state = 'surplus'
    )"""

# Whoever has been through all items need not be looked for: asked once for the statement, not for each seat.
_ANYTHING_LEFT = """
    (
        SELECT coalesce(sum(submitted_count + surplus_count + skipped_count), 0) FROM labeling_participant
        WHERE session_id = %(session)s AND user_id = %(user)s
    ) < %(items)s"""

# A seat whose holder went silent comes first, then the next free one behind `place`, then one before it.
_TAKE = f"""
    WITH pick AS (
        SELECT id FROM (
            SELECT s.id FROM labeling_seat s
            WHERE s.session_id = %(session)s AND s.state = 'held' AND s.held_until < clock_timestamp()
                AND {_MINE_TO_TAKE}
            ORDER BY s.held_until LIMIT 1 FOR UPDATE SKIP LOCKED
        ) silent
        UNION ALL
        SELECT id FROM (
            SELECT s.id FROM labeling_seat s
            WHERE s.session_id = %(session)s AND s.state = 'open' AND s.place {{side}} %(place)s AND {_MINE_TO_TAKE}
                AND {_ANYTHING_LEFT}
            ORDER BY s.place LIMIT 1 FOR UPDATE SKIP LOCKED
        ) free
        LIMIT 1
    )
    UPDATE labeling_seat SET state = 'held', user_id = %(user)s, token = gen_random_uuid(),
        held_since = clock_timestamp(), held_until = clock_timestamp() + %(lease)s * interval '1 second'
    FROM pick WHERE labeling_seat.id = pick.id
    RETURNING labeling_seat.id, item_id, token, held_until, place"""  # noqa: S608 - fixed texts

_KEEP = """
    UPDATE labeling_seat SET held_until = greatest(
        held_until, clock_timestamp() + %(lease)s * interval '1 second'
    )
    WHERE session_id = %(session)s AND user_id = %(user)s AND state = 'held'
    RETURNING id, item_id, token, held_until, held_since"""


def leases_renew(*, session: Session, user: User) -> list[Lease]:
    """Everything that the person still holds, for another lease; oldest first.

    A lease that ran out counts as long as nobody else took the seat: the work in front of the person is not lost.
    """
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, {"session": session.pk, "user": user.pk, "lease": session.lease_seconds})
        rows = sorted(cursor.fetchall(), key=lambda row: (row[4], row[0]))
    return [Lease(*row[:4]) for row in rows]


def seats_claim(*, session: Session, user: User, wanted: int = HELD_AT_ONCE) -> list[Lease]:
    """What the person holds, filled up to `wanted` with seats that are free or whose holder went silent.

    Fewer when nothing is left that this person may label, or when the session hands out nothing now.
    """
    leases = leases_renew(session=session, user=user)
    while len(leases) < wanted and is_handing_out(session):
        lease = _claim_one(session, user)
        if lease is None:
            break
        leases.append(lease)
    return leases


def is_handing_out(session: Session) -> bool:
    """Whether new items are given out: the session is open and its deadline has not passed."""
    is_late = session.deadline is not None and session.deadline <= timezone.now()
    return session.state == SessionState.OPEN and not is_late


def _claim_one(session: Session, user: User) -> Lease | None:
    parameters = {
        "session": session.pk,
        "user": user.pk,
        "lease": session.lease_seconds,
        "place": _starting_place(session, user),
        "items": session.item_count,
    }
    for side in (">", "<="):
        row = _taken(_TAKE.format(side=side), parameters)
        if row is not None:
            if session.order != ItemOrder.RANDOM:
                Participant.objects.filter(session=session, user=user).update(cursor=row[4])
            return Lease(*row[:4])
    return None


def _starting_place(session: Session, user: User) -> int:
    """Where to look first: at random, or behind what the person got last."""
    if session.order == ItemOrder.RANDOM:
        return random.randrange(PLACES)
    cursor = Participant.objects.filter(session=session, user=user).values_list("cursor", flat=True).first()
    return -1 if cursor is None else cursor


def _taken(statement: str, parameters: dict[str, Any]) -> tuple[Any, ...] | None:
    for _ in range(3):
        try:
            # On its own the statement is a transaction already; inside one it needs a place to return to.
            within = transaction.atomic() if connection.in_atomic_block else nullcontext()
            with within, connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                row: tuple[Any, ...] | None = cursor.fetchone()
                return row
        except IntegrityError:
            continue  # in another tab the same person just took the other seat of this item
    return None


def seat_release(*, seat: Seat, by: User) -> None:
    """Take a seat from its holder, who went away, so that the next person gets it at once."""
    with transaction.atomic():
        locked = (
            Seat.objects.select_for_update(of=("self",))
            .select_related("session__project__workspace", "user")
            .get(pk=seat.pk)
        )
        if locked.state != SeatState.HELD:
            raise ConflictError("Nobody holds this item any more.")
        holder = locked.user
        Seat.objects.filter(pk=locked.pk).update(
            state=SeatState.OPEN, user=None, token=None, held_until=None, held_since=None
        )
        record(
            workspace=locked.session.project.workspace,
            actor=by,
            action="labeling.seat_released",
            target=locked.session,
            data={"item": locked.item_id, "holder": holder.email if holder else ""},
        )


def seat_hand_back(*, item: Item, user: User) -> bool:
    """Give up one's own hold of an item; False if there is none."""
    return bool(
        Seat.objects.filter(item=item, user=user, state=SeatState.HELD).update(
            state=SeatState.OPEN, user=None, token=None, held_until=None, held_since=None
        )
    )
