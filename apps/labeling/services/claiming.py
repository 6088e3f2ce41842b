"""Handing out items: a seat is claimed under a lease, kept alive by heartbeats, and free again once it runs out.

No sweeper is needed: the claim itself takes over a seat whose lease has run out. Several processes claim at once; each
passes by the seats that another is just locking.

Why so: docs/adr/0012-seats.md.
"""

import random
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import ConflictError
from apps.labeling.leases import Lease
from apps.labeling.models import Item, ItemOrder, Seat, SeatState, Session, SessionState
from apps.labeling.selectors.work import HELD_CONTENT, HeldItem, Tally, held_item

HELD_AT_ONCE = 2
"""The item on the screen and the one after it."""
MOST_AT_ONCE = 10
"""Of somebody to whom many items were returned, the page gets the first ones."""
PLACES = 2**40
"""Random places lie below."""


@dataclass(frozen=True)
class HandedOut:
    """What a person holds, oldest first; of the first ones that they did not have yet, also the content."""

    leases: list[Lease]
    new: list[HeldItem]
    tally: Tally


# The seats that `user` may take: of items that they have no seat on, did not skip, and did not label too late before.
# None while enough is held: that is asked once for the statement, not for each seat.
_MINE_TO_TAKE = """
    NOT EXISTS (SELECT 1 FROM labeling_seat m WHERE m.item_id = s.item_id AND m.user_id = %(user)s)
    AND NOT EXISTS (SELECT 1 FROM labeling_skip k WHERE k.item_id = s.item_id AND k.user_id = %(user)s)
    AND NOT EXISTS (
        SELECT 1 FROM labeling_submission b
        WHERE b.item_id = s.item_id AND b.user_id = %(user)s AND b.state = 'surplus'
    )
    AND (SELECT count(*) FROM kept) < %(wanted)s"""

# Whoever has been through all items need not be looked for: asked once for the statement as well.
_ANYTHING_LEFT = """
    (
        SELECT coalesce(sum(submitted_count + surplus_count + skipped_count), 0) FROM labeling_participant
        WHERE session_id = %(session)s AND user_id = %(user)s
    ) < %(items)s"""

_PLACE = """
    coalesce(%(place)s::bigint, (
        SELECT cursor FROM labeling_participant WHERE session_id = %(session)s AND user_id = %(user)s
    ), -1)"""
"""Where to look first: at random, or behind what the person got last."""


def _free(side: str) -> str:
    return f"""
        SELECT id FROM (
            SELECT s.id FROM labeling_seat s
            WHERE s.session_id = %(session)s AND s.state = 'open' AND s.place {side} {_PLACE} AND {_MINE_TO_TAKE}
                AND {_ANYTHING_LEFT}
            ORDER BY s.place LIMIT 1 FOR UPDATE SKIP LOCKED
        ) free"""  # noqa: S608 - fixed texts


_KEEP = """
    UPDATE labeling_seat SET held_until = greatest(
        held_until, clock_timestamp() + %(lease)s * interval '1 second'
    )
    WHERE session_id = %(session)s AND user_id = %(user)s AND state = 'held'
    RETURNING id, item_id, token, held_until, held_since"""

# One statement, so that the next item costs one way to the database. Everything that is held gets another lease; where
# that is too little, one seat more is taken: one whose holder went silent comes first, then the next free one behind
# the person's place, then one before it. What is then held comes with the content that the page lacks.
_HAND_OUT = f"""
    WITH kept AS ({_KEEP}
    ), pick AS (
        SELECT id FROM (
            SELECT s.id FROM labeling_seat s
            WHERE s.session_id = %(session)s AND s.state = 'held' AND s.held_until < clock_timestamp()
                AND {_MINE_TO_TAKE}
            ORDER BY s.held_until LIMIT 1 FOR UPDATE SKIP LOCKED
        ) silent
        UNION ALL {_free(">")}
        UNION ALL {_free("<=")}
        LIMIT 1
    ), taken AS (
        UPDATE labeling_seat SET state = 'held', user_id = %(user)s, token = gen_random_uuid(),
            held_since = clock_timestamp(), held_until = clock_timestamp() + %(lease)s * interval '1 second'
        FROM pick WHERE labeling_seat.id = pick.id
        RETURNING labeling_seat.id, item_id, token, held_until, held_since, place
    ), moved AS (
        UPDATE labeling_participant SET cursor = taken.place FROM taken
        WHERE %(place)s::bigint IS NULL AND session_id = %(session)s AND user_id = %(user)s
    ), held AS (
        SELECT *, row_number() OVER (ORDER BY held_since, id) AS number FROM (
            SELECT id, item_id, token, held_until, held_since, false AS is_new FROM kept
            UNION ALL SELECT id, item_id, token, held_until, held_since, true FROM taken
        ) AS each
    ), tally AS (
        SELECT coalesce(sum(submitted_count) FILTER (WHERE user_id = %(user)s), 0) AS mine,
            coalesce(sum(submitted_count), 0) AS done, (
                SELECT coalesce(sum(count), 0) FROM labeling_unread
                WHERE session_id = %(session)s AND user_id = %(user)s AND thread_of_id = %(user)s
            ) AS replies
        FROM labeling_participant WHERE session_id = %(session)s
    )
    SELECT tally.*, held.is_new, held.id, held.item_id, held.token, held.held_until, content.*
    FROM tally LEFT JOIN held ON true
    LEFT JOIN LATERAL ({HELD_CONTENT}) AS content
        ON held.number <= %(most)s AND NOT held.item_id = ANY(%(have)s::bigint[])
    ORDER BY held.number"""  # noqa: S608 - fixed texts


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
    return hand_out(session=session, user=user, wanted=wanted).leases


def hand_out(
    *, session: Session, user: User, wanted: int = HELD_AT_ONCE, have: Sequence[int] = ()
) -> HandedOut:
    """As `seats_claim`, with the content of the items that are not among `have`, and the tally."""
    parameters = {
        "session": session.pk,
        "user": user.pk,
        "lease": session.lease_seconds,
        "wanted": 0 if stopped_by(session) else wanted,
        "items": session.item_count,
        "most": MOST_AT_ONCE,
        "have": list(have),
    }
    new: dict[int, HeldItem] = {}
    while True:
        by_chance = session.order == ItemOrder.RANDOM
        rows = _handed_out(parameters | {"place": random.randrange(PLACES) if by_chance else None})
        leases = [Lease(*row[4:8]) for row in rows if row[4] is not None]
        new |= {row[5]: held_item(session, user, row[8:]) for row in rows if row[8] is not None}
        got_one = any(row[3] for row in rows)
        if not got_one or len(leases) >= wanted:
            mine, done, replies = (int(count) for count in rows[0][:3])
            held = [new[lease.item_id] for lease in leases if lease.item_id in new]
            return HandedOut(leases, held, Tally(mine, done, session.seat_count, replies))
        parameters["have"] = [*have, *new]


def stopped_by(session: Session) -> str:
    """Why no new items are given out: `paused`, `closed` or `deadline`; empty while they are."""
    if session.state != SessionState.OPEN:
        return str(session.state)
    return "deadline" if session.deadline is not None and session.deadline <= timezone.now() else ""


def _handed_out(parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
    for tries_left in (2, 1, 0):
        try:
            # On its own the statement is a transaction already; inside one it needs a place to return to.
            within = transaction.atomic() if connection.in_atomic_block else nullcontext()
            with within, connection.cursor() as cursor:
                cursor.execute(_HAND_OUT, parameters)
                rows: list[tuple[Any, ...]] = cursor.fetchall()
                return rows
        except IntegrityError:
            # In another tab the same person just took the other seat of this item.
            if not tries_left:
                break
    with connection.cursor() as cursor:
        cursor.execute(_HAND_OUT, parameters | {"wanted": 0})
        return list(cursor.fetchall())


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
