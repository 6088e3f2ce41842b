"""What comes back: submits, whatever happens to the network and to the lease.

A submit is kept once however often it is sent, and is never thrown away: one whose seat has gone to somebody else is
kept as surplus.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from rapidfuzz.distance import Levenshtein

from apps.accounts.models import User
from apps.core.errors import ConflictError, PortalError
from apps.labeling.answers import TEXTUAL, AnswerError, checked_value
from apps.labeling.item_content import ItemContent, content_of
from apps.labeling.models import (
    Answer,
    Draft,
    DraftUse,
    Item,
    Question,
    Seat,
    SeatState,
    Session,
    Submission,
    SubmissionState,
    Unsent,
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


@dataclass(frozen=True)
class Kept:
    submission_id: int
    state: str
    is_repeat: bool
    """It was here already: the browser had not heard the answer to its first try."""


def label_submit(*, session: Session, user: User, submit: Submit) -> Kept:
    """Keep a label. Raises `AnswersRefusedError`, or `ConflictError` where the person labeled the item before."""
    repeat = _earlier(user, submit.client_id)
    if repeat is not None:
        return repeat
    item = Item.objects.select_related("example").filter(session=session, pk=submit.item_id).first()
    if item is None:
        raise ConflictError("This item is not part of the session any more. Reload the page.")
    content = content_of(item.example.payload)
    questions = list(session.questions.all())
    values = checked_answers(questions, submit.answers, content)
    seconds = min(max(submit.seconds, 0.0), LONGEST_SECONDS)
    with transaction.atomic():
        seat = (
            Seat.objects.select_for_update()
            .filter(session=session, item=item, user=user, token=submit.token)
            .first()
        )
        repeat = _earlier(user, submit.client_id)
        if repeat is not None:  # it came in on another connection while this one waited for the seat
            return repeat
        counts = seat is not None and seat.state == SeatState.HELD
        if not counts:
            _refuse_second_label(item, user)
        submission_id = _insert(
            session=session, user=user, seat=seat if counts else None, submit=submit, seconds=seconds
        )
        if submission_id is None:
            kept = _earlier(user, submit.client_id)
            assert kept is not None
            return kept
        drafts = _drafts_of(item)
        Answer.objects.bulk_create(
            _answer(submission_id, question, values[question.key], content, drafts.get(question.key))
            for question in questions
            if question.key in values
        )
        completes = False
        if counts:
            assert seat is not None
            Seat.objects.filter(pk=seat.pk).update(state=SeatState.FILLED, held_until=None)
            completes = _item_gains_a_label(item)
        Unsent.objects.filter(item=item, user=user).delete()
        participant_count(
            session_id=session.pk,
            user_id=user.pk,
            submitted=int(counts),
            surplus=int(not counts),
            completed=int(completes),
            seconds=seconds,
        )
    return Kept(submission_id, SubmissionState.COUNTS if counts else SubmissionState.SURPLUS, is_repeat=False)


def checked_answers(
    questions: list[Question], answers: Mapping[str, Any], content: ItemContent
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


_INSERT = """
    INSERT INTO labeling_submission (
        session_id, item_id, user_id, seat_id, state, client_id, guideline_version_id, is_independent, look_again,
        seconds, claimed_at, created_at
    )
    SELECT %(session)s, %(item)s, %(user)s, %(seat)s, %(state)s, %(client)s, %(guideline)s,
        NOT EXISTS (
            SELECT 1 FROM labeling_submission b
            WHERE b.item_id = %(item)s AND b.user_id = %(user)s AND b.state = 'returned'
        ),
        false, %(seconds)s, %(claimed)s, clock_timestamp()
    ON CONFLICT (user_id, client_id) DO NOTHING
    RETURNING id"""


def _insert(*, session: Session, user: User, seat: Seat | None, submit: Submit, seconds: float) -> int | None:
    """The new submission's id; None when the same submit came in on another connection."""
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            {
                "session": session.pk,
                "item": submit.item_id,
                "user": user.pk,
                "seat": seat.pk if seat else None,
                "state": SubmissionState.COUNTS if seat else SubmissionState.SURPLUS,
                "client": submit.client_id,
                "guideline": session.guideline_version_id,
                "seconds": seconds,
                "claimed": seat.held_since if seat else None,
            },
        )
        row = cursor.fetchone()
    return None if row is None else int(row[0])


def _refuse_second_label(item: Item, user: User) -> None:
    Item.objects.select_for_update().filter(pk=item.pk).first()
    again = (SubmissionState.COUNTS, SubmissionState.SURPLUS)
    if Submission.objects.filter(item=item, user=user, state__in=again).exists():
        raise ConflictError(
            "You have labeled this item already, perhaps in another tab. That label is kept; this one is not needed."
        )


def _item_gains_a_label(item: Item) -> bool:
    """Whether it is complete with it."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE labeling_item SET done = done + 1,"
            " stage = CASE WHEN done + 1 >= wanted THEN 'labeled' ELSE stage END"
            " WHERE id = %s RETURNING done = wanted",
            [item.pk],
        )
        return bool(cursor.fetchone()[0])


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


def _drafts_of(item: Item) -> dict[str, tuple[Draft, Any]]:
    """By question key, the newest draft that was shown for it."""
    found: dict[str, tuple[Draft, Any]] = {}
    for draft in Draft.objects.filter(item=item, error="").order_by("pk"):
        found |= {key: (draft, value) for key, value in draft.answers.items()}
    return found


def _answer(
    submission_id: int,
    question: Question,
    value: Any,
    content: ItemContent,
    proposed: tuple[Draft, Any] | None,
) -> Answer:
    """With what it started from: a model's draft, or the text that was to be edited."""
    answer = Answer(submission_id=submission_id, question=question, value=value)
    start = content.answer if question.kind == "edit" else None
    if proposed is not None:
        answer.draft, start = proposed
        unchanged = value == start
        answer.draft_use = DraftUse.UNCHANGED if unchanged else DraftUse.REJECTED
        if not unchanged and question.kind in TEXTUAL:
            answer.draft_use = DraftUse.EDITED
    if start is not None and question.kind in TEXTUAL:
        answer.edit_distance = Levenshtein.normalized_distance(str(start), value)
    return answer
