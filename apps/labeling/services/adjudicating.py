"""Disagreement becomes one answer: decided by somebody who labeled none of it, or by the majority."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import ConflictError, NotAllowedError, PortalError
from apps.labeling.answers import AnswerError, ItemTexts, checked_value
from apps.labeling.item_content import content_of
from apps.labeling.likeness import comparable, majority
from apps.labeling.models import (
    Cause,
    Item,
    ItemStage,
    Provenance,
    Question,
    Resolution,
    Session,
    Submission,
    SubmissionState,
    TimeUse,
)
from apps.labeling.services.settling import BATCH, Chosen, Given, given_labels, resolution_store
from apps.labeling.services.submitting import AnswersRefusedError
from apps.labeling.services.time_spending import measured, time_add

MOST_NOTE_CHARACTERS = 5000


@dataclass(frozen=True)
class Choice:
    """An adjudicator's answer to one question: one of the labels, or an answer of their own."""

    taken_from: int | None = None
    value: Any = None


def item_adjudicate(
    *,
    item: Item,
    by: User,
    choices: Mapping[str, Choice],
    cause: str = "",
    note: str = "",
    seconds: float | None = None,
) -> Resolution:
    """Settle the item; `choices` by the keys of the questions. Every label is kept.

    A cause is asked for, unless everybody had said the same and the audit agrees. An answer of one's own needs a note
    that says why.
    """
    note, seconds = _note(note), measured(seconds)
    with transaction.atomic():
        locked = _locked(item, by)
        questions = list(locked.session.questions.all())
        given = given_labels([locked.pk], questions)[locked.pk]
        chosen = _chosen(locked, questions, given, choices)
        confirms = locked.audited and _is_as_labeled(questions, given, chosen)
        if not confirms and cause not in Cause.values:
            raise PortalError("Say why the labels differed: choose a cause.")
        if any(source is None for _, source in chosen.values()) and not note:
            raise PortalError("Say in a note why none of the labels was right.")
        resolution = resolution_store(
            item=locked,
            questions=questions,
            given=given,
            chosen=chosen,
            provenance=Provenance.UNANIMOUS if confirms else Provenance.ADJUDICATED,
            cause="" if confirms else cause,
            note=note,
            decided_by=by,
            seconds=seconds,
        )
        time_add(session_id=locked.session_id, user_id=by.pk, use=TimeUse.ADJUDICATION, seconds=seconds)
        _record(locked.session, by, "labeling.item_adjudicated", item=locked.pk, cause=resolution.cause)
    return resolution


def item_set_aside(*, item: Item, by: User, note: str, seconds: float | None = None) -> None:
    """Leave the item without an answer: it goes into no version. The labels are kept."""
    note = _note(note)
    if not note:
        raise PortalError("Say in a note why the item is set aside.")
    with transaction.atomic():
        locked = _locked(item, by)
        Item.objects.filter(pk=locked.pk).update(stage=ItemStage.SET_ASIDE)
        time_add(
            session_id=locked.session_id,
            user_id=by.pk,
            use=TimeUse.ADJUDICATION,
            seconds=measured(seconds),
        )
        _record(locked.session, by, "labeling.item_set_aside", item=locked.pk, note=note)


def item_reopen(*, item: Item, by: User) -> None:
    """Let an adjudicator look again. The answer that stood stands until the next one replaces it."""
    with transaction.atomic():
        done = Item.objects.filter(pk=item.pk, stage__in=(ItemStage.RESOLVED, ItemStage.SET_ASIDE))
        if not done.update(stage=ItemStage.ADJUDICATION):
            raise ConflictError("Only a resolved item can be opened again. Reload the page.")
        _record(item.session, by, "labeling.item_reopened", item=item.pk)


def session_take_majority(*, session: Session, by: User) -> int:
    """Resolve every waiting item where in each question more than half of the labels agree; how many these were.

    Texts, rankings and spans have a majority only if they are exactly the same. Items of the audit stay.
    """
    questions = list(session.questions.all())
    taken, after = 0, 0
    with transaction.atomic():
        while True:
            waiting = Item.objects.select_for_update().filter(
                session=session, stage=ItemStage.ADJUDICATION, audited=False, pk__gt=after
            )
            items = list(waiting.order_by("pk")[:BATCH])
            given = given_labels([item.pk for item in items], questions)
            for item in items:
                item.session = session
                taken += _take_majority(item, questions, given[item.pk], by)
            if len(items) < BATCH:
                break
            after = items[-1].pk
        _record(session, by, "labeling.majority_taken", items=taken)
    return taken


def _take_majority(item: Item, questions: Sequence[Question], given: Given, by: User) -> bool:
    chosen: dict[int, tuple[Any, int | None]] = {}
    for question in questions:
        compared = given.compared(question)
        winner = majority(question.kind, compared)
        if winner is not None:
            place = compared.index(winner)
            chosen[question.pk] = (given.values[question.pk][place], given.submissions[place])
        elif any(value is not None for value in compared):
            return False
    if not chosen:
        return False
    resolution_store(
        item=item,
        questions=questions,
        given=given,
        chosen=chosen,
        provenance=Provenance.MAJORITY,
        decided_by=by,
    )
    return True


def _note(note: str) -> str:
    return note.strip().replace("\x00", "")[:MOST_NOTE_CHARACTERS]


def _locked(item: Item, by: User) -> Item:
    items = Item.objects.select_for_update(of=("self",))
    locked = items.select_related("session__project__workspace", "example").get(pk=item.pk)
    if locked.stage != ItemStage.ADJUDICATION:
        raise ConflictError("This item is not waiting for an adjudicator any more. Go on to the next one.")
    if Submission.objects.filter(item=locked, user=by).exclude(state=SubmissionState.UNDONE).exists():
        raise NotAllowedError("You labeled this item yourself. Somebody who did not must settle it.")
    return locked


def _chosen(
    item: Item, questions: Sequence[Question], given: Given, choices: Mapping[str, Choice]
) -> dict[int, tuple[Any, int | None]]:
    texts = content_of(item.example.payload).texts
    chosen: dict[int, tuple[Any, int | None]] = {}
    problems = {}
    for question in questions:
        try:
            found = _one(question, given, choices.get(question.key, Choice()), texts)
        except AnswerError as error:
            problems[question.key] = str(error)
            continue
        if found is not None:
            chosen[question.pk] = found
        elif question.required:
            problems[question.key] = "Choose one of the labels, or give an answer of your own."
    if problems:
        raise AnswersRefusedError(problems)
    return chosen


def _one(question: Question, given: Given, choice: Choice, texts: ItemTexts) -> tuple[Any, int | None] | None:
    if choice.taken_from is not None:
        if choice.taken_from not in given.submissions:
            raise AnswerError("This label does not count any more. Reload the page.")
        value = given.values[question.pk][given.submissions.index(choice.taken_from)]
        return None if value is None else (value, choice.taken_from)
    value = checked_value(question.kind, question.options, choice.value, texts)
    if value is None:
        return None
    # Given by hand, but the same as a label: then it is that label.
    wanted, compared = comparable(question.kind, value), given.compared(question)
    return value, given.submissions[compared.index(wanted)] if wanted in compared else None


def _is_as_labeled(questions: Sequence[Question], given: Given, chosen: Chosen) -> bool:
    for question in questions:
        value = chosen.get(question.pk, (None, None))[0]
        wanted = None if value is None else comparable(question.kind, value)
        if any(other != wanted for other in given.compared(question)):
            return False
    return True


def _record(session: Session, by: User, action: str, **data: Any) -> None:
    record(workspace=session.project.workspace, actor=by, action=action, target=session, data=data)
