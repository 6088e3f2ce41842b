"""Making the items and seats of a session from the rows of its version that fit its filter.

One transaction: stopped in the middle it leaves nothing, and running it again comes to the same result.
"""

from typing import Any
from urllib.parse import parse_qs

from django.db import connection, transaction
from django.utils import timezone

from apps.core.errors import PortalError
from apps.core.states import transition
from apps.datasets.row_filters import RowFilter
from apps.datasets.row_finding import rows_of
from apps.labeling.models import Item, ItemOrder, Seat, Session, SessionState
from apps.labeling.services.claiming import PLACES
from apps.labeling.services.ordering import UNCERTAINTY, chosen_questions
from apps.operations.models import Operation, OperationState
from apps.operations.progress import Progress


def row_filter_of(query: str) -> RowFilter:
    """The filter of a stored query."""
    many = parse_qs(query)
    return RowFilter.of({name: values if name == "row" else values[0] for name, values in many.items()})


def count_matching(session: Session) -> int:
    """How many rows of the version fit the filter, before any sampling."""
    return rows_of(session.version.dataset, row_filter_of(session.row_filter), session.version).count()


def session_prepare(*, session: Session, progress: Progress) -> None:
    """Fill the session and open it. Without effect on one that is open already."""
    if session.state != SessionState.PREPARING:
        return
    progress.report(message="Choosing the rows")
    with transaction.atomic():
        Seat.objects.filter(session=session).delete()
        Item.objects.filter(session=session).delete()
        items = _make_items(session)
        if not items:
            raise PortalError(
                "No row of the version fits the filter. Change the filter and open the session again."
            )
        seats = _make_seats(session)
        progress.check()
        transition(
            session, SessionState.OPEN, item_count=items, seat_count=seats, opened_at=timezone.now(), error=""
        )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE labeling_item, labeling_seat")
    progress.report(items, total=items, unit="items", force=True)


def session_prepare_stopped(*, session: Session, operation: Operation) -> None:
    """The operation ended before all seats were there: the session is a draft again, and says why."""
    if session.state == SessionState.PREPARING:
        cancelled = operation.state == OperationState.CANCELLED
        error = "Preparing was cancelled." if cancelled else operation.error
        transition(session, SessionState.DRAFT, error=error)


# The random part of every decision is the hash of the seed and the row: the same seed chooses the same again.
_CHANCE = "hashtextextended(%s || ':' || {purpose} || ':' || e.id, 0)"


def _make_items(session: Session) -> int:
    """Chosen by chance where there is a limit; numbered in the order of the version."""
    rows = rows_of(session.version.dataset, row_filter_of(session.row_filter), session.version)
    chance = _CHANCE.format(purpose="'sample'")
    overlaps = _CHANCE.format(purpose="'overlap'")
    statement = f"""
        WITH chosen AS (
            SELECT e.id, {rows.place} AS place, ({overlaps}) AS chance
            FROM {rows.table} WHERE {rows.whole.sql}
            ORDER BY {chance} LIMIT %s
        ), ranked AS (
            SELECT id, row_number() OVER (ORDER BY place) AS position,
                row_number() OVER (ORDER BY chance, id) AS drawn, count(*) OVER () AS total
            FROM chosen
        )
        INSERT INTO labeling_item (
            session_id, example_id, position, wanted, done, stage, audited, open_flags, comment_count
        )
        SELECT %s, id, position, CASE WHEN drawn <= round(total * %s) THEN %s ELSE 1 END, 0, 'labeling', false, 0, 0
        FROM ranked ORDER BY position
    """  # noqa: S608
    seed = str(session.seed)
    values: list[Any] = [seed, *rows.whole.values, seed, session.row_limit, session.pk]
    with connection.cursor() as cursor:
        cursor.execute(statement, [*values, session.overlap_share, session.overlap])
        return int(cursor.rowcount)


_PLACES = {
    ItemOrder.RANDOM: f"(random() * {PLACES})::bigint",
    ItemOrder.GIVEN: "i.position",
    ItemOrder.SHORT_FIRST: "row_number() OVER (ORDER BY e.characters, i.position)",
    ItemOrder.UNCERTAIN_FIRST: "row_number() OVER (ORDER BY u.certainty NULLS LAST, i.position)",
}


def _make_seats(session: Session) -> int:
    """All seats of an item stand together, so that items get complete; at random, each stands for itself."""
    uncertainty = UNCERTAINTY if session.order == ItemOrder.UNCERTAIN_FIRST else ""
    statement = f"""
        INSERT INTO labeling_seat (session_id, item_id, number, place, state)
        SELECT %(session)s, i.id, n.number, {_PLACES[ItemOrder(session.order)]}, 'open'
        FROM labeling_item i
        JOIN datasets_example e ON e.id = i.example_id
        {uncertainty}
        CROSS JOIN LATERAL generate_series(1, i.wanted) AS n(number)
        WHERE i.session_id = %(session)s
    """  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(statement, {"session": session.pk, "chosen": chosen_questions(session)})
        return int(cursor.rowcount)
