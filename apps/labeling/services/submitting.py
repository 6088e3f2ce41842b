"""What comes back: submits, whatever happens to the network and to the lease.

A submit is kept once however often it is sent, and is never thrown away: one whose seat has gone to somebody else is
kept as surplus.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from rapidfuzz.distance import Levenshtein

from apps.accounts.models import User
from apps.core.errors import ConflictError, PortalError
from apps.labeling.answers import TEXTUAL, AnswerError, checked_value
from apps.labeling.item_content import ItemContent, content_of
from apps.labeling.models import (
    DraftUse,
    GuidelineVersion,
    Item,
    Question,
    Session,
    Submission,
    SubmissionState,
)

LONGEST_SECONDS = 3600.0
"""More than an hour in front of one item is a forgotten tab: it is not counted as work."""


class AnswersRefusedError(PortalError):
    """Some answers are missing or impossible; `problems` names them by the key of their question."""

    status = 422
    code = "answers_refused"

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("Some answers are missing or cannot be kept. Nothing was lost.")
        self.problems = dict(problems)


@dataclass(frozen=True)
class Submit:
    """What the browser sends."""

    item_id: int
    token: UUID
    client_id: UUID
    answers: Mapping[str, Any]
    seconds: float
    guideline_version: int | None = None
    """What stood beside the item; None: the session's newest."""


@dataclass(frozen=True)
class Kept:
    submission_id: int
    state: str
    is_repeat: bool
    """It was here already: the browser had not heard the answer to its first try."""


def label_submit(*, session: Session, user: User, submit: Submit) -> Kept:
    """Keep a label. Raises `AnswersRefusedError`, or `ConflictError` where the person labeled the item before."""
    row = _read_item(session, submit.item_id)
    if row is None:
        raise ConflictError("This item is not part of the session any more. Reload the page.")
    content, drafts = row
    questions = questions_of(session)
    values = checked_answers(questions, submit.answers, content)
    answers = [
        _answer(question, values[question.key], content, drafts.get(question.key))
        for question in questions
        if question.key in values
    ]
    seconds = min(max(submit.seconds, 0.0), LONGEST_SECONDS)
    parameters: dict[str, Any] = {
        "session": session.pk,
        "item": submit.item_id,
        "user": user.pk,
        "token": submit.token,
        "client": submit.client_id,
        **_made_under(session, submit.guideline_version),
        "seconds": seconds,
        "answers": json.dumps(answers),
    }
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, parameters)
        kept = cursor.fetchone()
    if kept is not None:
        return Kept(int(kept[0]), SubmissionState.COUNTS, is_repeat=False)
    return _keep_late(session, user, submit, parameters)


def _made_under(session: Session, shown: int | None) -> dict[str, Any]:
    """The guideline of a label: the one that its author saw, though a newer one may stand since it was shown."""
    if shown in (None, session.guideline_version_id) or session.guideline_version is None:
        return {"guideline": session.guideline_version_id, "look_again": False}
    newest = session.guideline_version
    older = GuidelineVersion.objects.filter(pk=shown, guideline=newest.guideline_id).first() or newest
    return {"guideline": older.pk, "look_again": older.meaning < newest.meaning}


@lru_cache(maxsize=256)
def _questions(session_id: int, opened_at: datetime) -> tuple[Question, ...]:
    """They are fixed once the session is open."""
    return tuple(Question.objects.filter(session=session_id).order_by("position"))


def questions_of(session: Session) -> tuple[Question, ...]:
    """The questions of a session that was opened."""
    assert session.opened_at is not None
    return _questions(session.pk, session.opened_at)


_READ = """
    SELECT e.payload, (
        SELECT jsonb_agg(jsonb_build_array(d.id, d.answers) ORDER BY d.id)
        FROM labeling_draft d WHERE d.item_id = i.id AND d.error = ''
    )
    FROM labeling_item i JOIN datasets_example e ON e.id = i.example_id
    WHERE i.id = %s AND i.session_id = %s"""

Proposed = tuple[int, Any]
"""A draft's id, and what it proposes for a question."""


def _read_item(session: Session, item_id: int) -> tuple[ItemContent, dict[str, Proposed]] | None:
    """The row, and by question key what the newest draft proposes."""
    with connection.cursor() as cursor:
        cursor.execute(_READ, [item_id, session.pk])
        row = cursor.fetchone()
    if row is None:
        return None
    proposed: dict[str, Proposed] = {}
    for draft_id, answers in json.loads(row[1] or "[]"):
        proposed |= {key: (draft_id, value) for key, value in answers.items()}
    return content_of(json.loads(row[0])), proposed


# One statement, so that a label costs one way to the database and is there whole or not at all. It does nothing unless
# the seat is held under this token; a second copy of the same submit waits for the seat and then finds it filled.
_KEEP = """
    WITH seat AS (
        SELECT id, held_since FROM labeling_seat
        WHERE item_id = %(item)s AND user_id = %(user)s AND session_id = %(session)s AND token = %(token)s
            AND state = 'held'
        FOR UPDATE
    ), kept AS (
        INSERT INTO labeling_submission (
            session_id, item_id, user_id, seat_id, state, client_id, guideline_version_id, is_independent, look_again,
            seconds, claimed_at, created_at
        )
        SELECT %(session)s, %(item)s, %(user)s, seat.id, 'counts', %(client)s, %(guideline)s,
            NOT EXISTS (
                SELECT 1 FROM labeling_submission b
                WHERE b.item_id = %(item)s AND b.user_id = %(user)s AND b.state = 'returned'
            ),
            %(look_again)s, %(seconds)s, seat.held_since, clock_timestamp()
        FROM seat
        ON CONFLICT (user_id, client_id) DO NOTHING
        RETURNING id
    ), answered AS (
        INSERT INTO labeling_answer (submission_id, question_id, value, draft_id, draft_use, edit_distance)
        SELECT kept.id, a.question, a.value, a.draft, a.draft_use, a.edit_distance
        FROM kept, jsonb_to_recordset(%(answers)s::jsonb)
            AS a(question bigint, value jsonb, draft bigint, draft_use text, edit_distance float8)
    ), filled AS (
        UPDATE labeling_seat SET state = 'filled', held_until = NULL FROM kept, seat WHERE labeling_seat.id = seat.id
    ), item AS (
        UPDATE labeling_item SET done = done + 1,
            stage = CASE WHEN done + 1 >= wanted THEN 'labeled' ELSE stage END
        FROM kept WHERE labeling_item.id = %(item)s
        RETURNING (done = wanted)::int AS completes
    ), sent AS (
        DELETE FROM labeling_unsent USING kept WHERE item_id = %(item)s AND user_id = %(user)s
    ), counted AS (
        INSERT INTO labeling_participant AS p (
            session_id, user_id, is_active, cursor, submitted_count, surplus_count, skipped_count, completed_count,
            seconds, added_at, last_submitted_at
        )
        SELECT %(session)s, %(user)s, true, -1, 1, 0, 0, item.completes, %(seconds)s, clock_timestamp(),
            clock_timestamp()
        FROM item
        ON CONFLICT (session_id, user_id) DO UPDATE SET
            submitted_count = p.submitted_count + 1, completed_count = p.completed_count + excluded.completed_count,
            seconds = p.seconds + excluded.seconds, last_submitted_at = excluded.last_submitted_at
    )
    SELECT id FROM kept"""

_KEEP_SURPLUS = """
    WITH kept AS (
        INSERT INTO labeling_submission (
            session_id, item_id, user_id, seat_id, state, client_id, guideline_version_id, is_independent, look_again,
            seconds, claimed_at, created_at, ended_at
        )
        VALUES (%(session)s, %(item)s, %(user)s, NULL, 'surplus', %(client)s, %(guideline)s, true, false, %(seconds)s,
            NULL, clock_timestamp(), clock_timestamp())
        ON CONFLICT (user_id, client_id) DO NOTHING
        RETURNING id
    ), answered AS (
        INSERT INTO labeling_answer (submission_id, question_id, value, draft_id, draft_use, edit_distance)
        SELECT kept.id, a.question, a.value, a.draft, a.draft_use, a.edit_distance
        FROM kept, jsonb_to_recordset(%(answers)s::jsonb)
            AS a(question bigint, value jsonb, draft bigint, draft_use text, edit_distance float8)
    ), sent AS (
        DELETE FROM labeling_unsent USING kept WHERE item_id = %(item)s AND user_id = %(user)s
    )
    SELECT id FROM kept"""


def _keep_late(session: Session, user: User, submit: Submit, parameters: dict[str, Any]) -> Kept:
    """The seat is not (any more) held under this token: it was kept before, or it is surplus."""
    with transaction.atomic():
        Item.objects.select_for_update().filter(pk=submit.item_id).first()
        repeat = _earlier(user, submit.client_id)
        if repeat is not None:
            return repeat
        again = (SubmissionState.COUNTS, SubmissionState.SURPLUS)
        if Submission.objects.filter(item=submit.item_id, user=user, state__in=again).exists():
            raise ConflictError(
                "You have labeled this item already, perhaps in another tab. That label is kept; this one is not"
                " needed."
            )
        with connection.cursor() as cursor:
            cursor.execute(_KEEP_SURPLUS, parameters)
            row = cursor.fetchone()
        if row is None:
            raise ConflictError("This submit was sent before, for another item. Reload the page.")
        participant_count(session_id=session.pk, user_id=user.pk, surplus=1, seconds=parameters["seconds"])
    return Kept(int(row[0]), SubmissionState.SURPLUS, is_repeat=False)


def checked_answers(
    questions: Sequence[Question], answers: Mapping[str, Any], content: ItemContent
) -> dict[str, Any]:
    """Values by question key, each in its stored form; what was left out is missing."""
    values, problems = {}, {}
    for question in questions:
        try:
            value = checked_value(question.kind, question.options, answers.get(question.key), content.texts)
        except AnswerError as error:
            problems[question.key] = str(error)
            continue
        if value is not None:
            values[question.key] = value
        elif question.required:
            problems[question.key] = "This question needs an answer."
    if not problems and not values:
        problems = {
            question.key: "Answer at least one question, or skip the item." for question in questions[:1]
        }
    if problems:
        raise AnswersRefusedError(problems)
    return values


def _earlier(user: User, client_id: UUID) -> Kept | None:
    found = Submission.objects.filter(user=user, client_id=client_id).values_list("pk", "state").first()
    return None if found is None else Kept(found[0], found[1], is_repeat=True)


_COUNT = """
    INSERT INTO labeling_participant (
        session_id, user_id, is_active, cursor, submitted_count, surplus_count, skipped_count, completed_count,
        seconds, added_at, last_submitted_at
    )
    VALUES (%(session)s, %(user)s, true, -1, greatest(%(submitted)s, 0), %(surplus)s, %(skipped)s, %(completed)s,
        greatest(%(seconds)s, 0),
        clock_timestamp(), CASE WHEN %(submitted)s > 0 THEN clock_timestamp() END)
    ON CONFLICT (session_id, user_id) DO UPDATE SET
        submitted_count = labeling_participant.submitted_count + %(submitted)s,
        surplus_count = labeling_participant.surplus_count + %(surplus)s,
        skipped_count = labeling_participant.skipped_count + %(skipped)s,
        completed_count = labeling_participant.completed_count + %(completed)s,
        seconds = greatest(labeling_participant.seconds + %(seconds)s, 0),
        last_submitted_at = CASE WHEN %(submitted)s > 0 THEN clock_timestamp()
            ELSE labeling_participant.last_submitted_at END"""


def participant_count(
    *,
    session_id: int,
    user_id: int,
    submitted: int = 0,
    surplus: int = 0,
    skipped: int = 0,
    completed: int = 0,
    seconds: float = 0.0,
) -> None:
    """Add to somebody's counters in a session."""
    with connection.cursor() as cursor:
        cursor.execute(
            _COUNT,
            {
                "session": session_id,
                "user": user_id,
                "submitted": submitted,
                "surplus": surplus,
                "skipped": skipped,
                "completed": completed,
                "seconds": seconds,
            },
        )


def _answer(
    question: Question, value: Any, content: ItemContent, proposed: Proposed | None
) -> dict[str, Any]:
    """A row of the table, with what it started from: a model's draft, or the text that was to be edited."""
    start = content.answer if question.kind == "edit" else None
    draft, draft_use = None, DraftUse.NONE
    if proposed is not None:
        draft, start = proposed
        changed = DraftUse.EDITED if question.kind in TEXTUAL else DraftUse.REJECTED
        draft_use = DraftUse.UNCHANGED if value == start else changed
    distance = None
    if start is not None and question.kind in TEXTUAL:
        distance = Levenshtein.normalized_distance(str(start), value)
    return {
        "question": question.pk,
        "value": value,
        "draft": draft,
        "draft_use": str(draft_use),
        "edit_distance": distance,
    }
