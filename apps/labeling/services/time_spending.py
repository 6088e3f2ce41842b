"""Counting people's time that is not in labels that stand."""

from django.db import connection

from apps.labeling.services.submitting import LONGEST_SECONDS

_ADD = """
    INSERT INTO labeling_timespent AS kept (session_id, user_id, use, count, seconds) VALUES (%s, %s, %s, 1, %s)
    ON CONFLICT (session_id, user_id, use) DO UPDATE
        SET count = kept.count + 1, seconds = kept.seconds + excluded.seconds"""


def measured(seconds: float | None) -> float | None:
    """What a browser measured, within what can be true; None: it measured nothing."""
    return None if seconds is None else min(max(seconds, 0.0), LONGEST_SECONDS)


def time_add(*, session_id: int, user_id: int, use: str, seconds: float | None) -> None:
    """Add the time that one label or item took; None: it was not measured, nothing is added."""
    if seconds is None:
        return
    with connection.cursor() as cursor:
        cursor.execute(_ADD, [session_id, user_id, use, seconds])
