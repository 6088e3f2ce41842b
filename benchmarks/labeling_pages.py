"""How long the pages of a labeling session take at 100,000 items, and the slowest claim that there is.

    python -m ftportal.embedded --temporary -- python -m benchmarks labeling_pages

Half of the items are labeled twice, the other half once, all by the same person: for them nothing is left, and a claim
has to find that out. Exit code 1 when a limit is missed. `--items` changes the size.
"""

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ftportal.settings")

import django

django.setup()

# ruff: noqa: E402 - models can only be imported once Django is set up
from django.conf import settings
from django.db import connection
from django.test import Client

from apps.accounts.models import User
from apps.labeling.models import Session
from apps.labeling.services.claiming import seats_claim
from benchmarks.labeling_load import world

SESSION_SECONDS = 0.150
CLAIM_SECONDS = 0.060
NOTHING_LEFT_SECONDS = 0.500
TIMES = 20

failed = False


def report(name: str, value: float, limit: float) -> None:
    global failed  # noqa: PLW0603 - one script, one verdict
    failed = failed or value > limit
    print(f"{name:42} {value:12.3f} {limit:12.3f} {'ok' if value <= limit else 'MISSED'}", flush=True)


def measure(name: str, work, limit: float) -> None:  # noqa: ANN001
    times = []
    for _ in range(TIMES):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    times.sort()
    print(f"# {name}: median {1000 * times[TIMES // 2]:.0f} ms", flush=True)
    report(f"labeling_{name}_p95_over_{1000 * limit:.0f}_ms", times[-(-95 * TIMES // 100) - 1] / limit, 1)


def label(session: Session, busy: User, other: User) -> None:
    """Straight in the database: three quarters of all labels."""
    half = session.item_count // 2
    values = {"session": session.pk, "busy": busy.pk, "other": other.pk, "half": half}
    statements = (
        "UPDATE labeling_seat SET state = 'filled', token = gen_random_uuid(),"
        " user_id = CASE number WHEN 1 THEN %(busy)s ELSE %(other)s END FROM labeling_item i"
        " WHERE i.id = item_id AND i.session_id = %(session)s AND (number = 1 OR i.position <= %(half)s)",
        "INSERT INTO labeling_submission (session_id, item_id, user_id, seat_id, state, client_id, is_independent,"
        " look_again, seconds, created_at) SELECT session_id, item_id, user_id, id, 'counts', gen_random_uuid(), true,"
        " false, 3, now() - random() * interval '5 hours' FROM labeling_seat"
        " WHERE state = 'filled' AND session_id = %(session)s",
        "UPDATE labeling_item SET done = CASE WHEN position <= %(half)s THEN 2 ELSE 1 END,"
        " stage = CASE WHEN position <= %(half)s THEN 'labeled' ELSE 'labeling' END WHERE session_id = %(session)s",
        "INSERT INTO labeling_participant (session_id, user_id, is_active, cursor, submitted_count, surplus_count,"
        " skipped_count, completed_count, seconds, added_at) SELECT b.session_id, b.user_id, true, -1, count(*), 0, 0,"
        " count(*) FILTER (WHERE number = 2), 3 * count(*), now() FROM labeling_submission b"
        " JOIN labeling_seat s ON s.id = b.seat_id WHERE b.session_id = %(session)s GROUP BY 1, 2",
    )
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, values)
        for table in ("item", "seat", "submission"):
            cursor.execute(f"VACUUM ANALYZE labeling_{table}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=100_000)
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    }
    settings.ALLOWED_HOSTS = ["*"]
    session, _ = world(parser.parse_args().items)
    people = {
        name: User.objects.get(email=f"{name}@example.org") for name in ("lead", "labeler0", "labeler1")
    }
    fresh = User.objects.get(email="labeler2@example.org")
    label(session, people["labeler0"], people["labeler1"])
    client = Client()
    client.force_login(people["lead"], backend="django.contrib.auth.backends.ModelBackend")
    pages = {
        "session_page": session.get_absolute_url(),
        "items_page": f"{session.get_absolute_url()}items/?after={session.item_count // 2}",
        "sessions_page": session.get_absolute_url().rsplit("sessions/", 1)[0],
    }
    for name, place in pages.items():
        measure(name, lambda place=place: client.get(place), SESSION_SECONDS)
    session.refresh_from_db()
    wanted = iter(range(1, TIMES + 1))
    measure("claim", lambda: seats_claim(session=session, user=fresh, wanted=next(wanted)), CLAIM_SECONDS)
    measure(
        "claim_when_nothing_is_left",
        lambda: seats_claim(session=session, user=people["labeler0"], wanted=1),
        NOTHING_LEFT_SECONDS,
    )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
