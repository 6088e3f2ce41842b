"""A worker that is killed while a session is prepared, or while a model makes drafts: the next one goes on."""

import threading
from collections import Counter

import psycopg
import pytest
from django.db import connection

from apps.labeling.models import Draft, DraftRun, Item, Seat, SessionState
from apps.labeling.services.drafting import drafts_request
from apps.labeling.services.sessions import session_open
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_run
from apps.registry.models import BaseModel
from apps.registry.services import variant_ensure
from tests.evaluations.inference_server import InferenceServer, say
from tests.killing import database_url, killed_once, recover
from tests.labeling.worlds import label_one, make_session

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.integration]

ROWS = 60


def only_operation() -> Operation:
    return Operation.objects.get(state=OperationState.QUEUED)


def somebody_waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return bool(cursor.fetchone()[0])


def test_a_session_whose_preparation_was_killed_is_prepared_once(project, people):
    session = make_session(project, people.lea, rows=ROWS, overlap=2, opened=False)
    session_open(session=session, actor=people.lea)
    operation = only_operation()

    # The seats can't be written while somebody else has the table: the items are there, and not committed.
    with psycopg.connect(database_url()) as other:
        other.execute("LOCK TABLE labeling_seat IN SHARE MODE")
        killed_once(operation, somebody_waits_for_a_lock)

    session.refresh_from_db()
    assert session.state == SessionState.PREPARING
    assert not Item.objects.filter(session=session).exists(), "nothing is half there"
    recover()
    operation_run(operation_id=operation.pk)

    operation.refresh_from_db()
    session.refresh_from_db()
    assert (operation.state, operation.attempts) == (OperationState.SUCCEEDED, 2)
    assert (session.state, session.item_count, session.seat_count) == (SessionState.OPEN, ROWS, 2 * ROWS)
    assert Item.objects.filter(session=session).count() == ROWS
    assert Seat.objects.filter(session=session).count() == 2 * ROWS
    assert label_one(session, people.ben)


def test_drafts_whose_worker_was_killed_are_completed_and_none_is_asked_for_twice(project, people, settings):
    session = make_session(project, people.lea, rows=ROWS)
    base = BaseModel.objects.create(workspace=project.workspace, reference="/models/tiny", name="Tiny")
    variant = variant_ensure(project=project, name="Tiny", base_model=base, actor=people.lea)
    drafts_request(session=session, variant=variant, actor=people.lea)
    operation = only_operation()
    server, first_are_in = InferenceServer(), threading.Event()
    asked: Counter[str] = Counter()

    def slow_after_ten(body):
        question = body["messages"][-1]["content"]
        asked[question] += 1
        if len(asked) > 10 and not first_are_in.is_set():
            first_are_in.wait(60)
        return say("refund")

    server.script = slow_after_ten
    settings.FTPORTAL_INFERENCE_URL, settings.FTPORTAL_INFERENCE_TOKEN = server.url, "token"
    try:
        killed_once(
            operation,
            lambda: Draft.objects.count() >= 10,
            FTPORTAL_INFERENCE_URL=server.url,
            FTPORTAL_INFERENCE_TOKEN="token",
        )
        kept = set(Draft.objects.values_list("pk", flat=True))
        first_are_in.set()
        recover()
        operation_run(operation_id=operation.pk)
    finally:
        first_are_in.set()
        server.close()

    run = DraftRun.objects.get()
    operation.refresh_from_db()
    assert (operation.state, operation.attempts) == (OperationState.SUCCEEDED, 2)
    assert (run.state, run.draft_count, run.failed_count) == ("done", ROWS, 0)
    assert kept <= set(Draft.objects.values_list("pk", flat=True)), "what was there is kept"
    assert Draft.objects.values("item").distinct().count() == ROWS
