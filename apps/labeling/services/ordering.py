"""The order in which a session hands out its items, and how certain a row is before anybody labels it."""

from typing import Any

from django.db import connection

from apps.labeling.drafting import CHOSEN
from apps.labeling.models import ItemOrder, Participant, Session
from apps.labeling.models.sessions import MOST_LABELS

BATCH = 2000

# The least certain of what is known of the row, 0..1: how far its labels in other sessions agreed, how far several
# candidates' drafts of a question agree (share of equal pairs), and the chance that a candidate gave to its own draft.
# Where nothing is known it is null.
UNCERTAINTY = """
    LEFT JOIN LATERAL (
        SELECT min(known.certainty) AS certainty FROM (
            SELECT b.agreement AS certainty FROM labeling_item b
            WHERE b.example_id = i.example_id AND b.session_id <> i.session_id
            UNION ALL
            SELECT d.chance FROM labeling_item b JOIN labeling_draft d ON d.item_id = b.id
            WHERE b.example_id = i.example_id
            UNION ALL
            SELECT sum(votes.count * (votes.count - 1))
                / nullif(sum(votes.count) * (sum(votes.count) - 1), 0)::float8
            FROM (
                SELECT given.key, given.value, count(DISTINCT r.variant_id) AS count
                FROM labeling_item b
                JOIN labeling_draft d ON d.item_id = b.id AND d.error = ''
                JOIN labeling_draftrun r ON r.id = d.run_id
                CROSS JOIN LATERAL jsonb_each(d.answers) AS given
                WHERE b.example_id = i.example_id AND given.key = ANY(%(chosen)s)
                GROUP BY given.key, given.value
            ) AS votes GROUP BY votes.key
        ) AS known
    ) u ON true"""


def chosen_questions(session: Session) -> list[str]:
    """Keys of the questions whose answers can be compared: two texts are hardly ever the same."""
    return list(session.questions.filter(kind__in=CHOSEN).values_list("key", flat=True))


def session_order_again(*, session: Session) -> int:
    """After new drafts: the free seats stand by what is now known of their rows; how many items have any.

    In batches, since the queue passes by seats that are being changed. A second run comes to the same order.
    """
    if session.order != ItemOrder.UNCERTAIN_FIRST:
        return 0
    statement = f"""
        SELECT i.id, u.certainty IS NOT NULL FROM labeling_item i {UNCERTAINTY}
        WHERE i.session_id = %(session)s ORDER BY u.certainty NULLS LAST, i.position"""  # noqa: S608 - fixed texts
    with connection.cursor() as cursor:
        cursor.execute(statement, {"session": session.pk, "chosen": chosen_questions(session)})
        ranked = cursor.fetchall()
    for start in range(0, len(ranked), BATCH):
        _place([row[0] for row in ranked[start : start + BATCH]], start)
    Participant.objects.filter(session=session).update(cursor=-1)
    return sum(1 for _, is_known in ranked if is_known)


def _place(items: list[int], start: int) -> None:
    values: dict[str, Any] = {"items": items, "start": start, "seats": MOST_LABELS}
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE labeling_seat SET place = (%(start)s + ranked.rank) * %(seats)s + number"
            " FROM unnest(%(items)s::bigint[]) WITH ORDINALITY AS ranked(item, rank)"
            " WHERE item_id = ranked.item AND state = 'open'",
            values,
        )
