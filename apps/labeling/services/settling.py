"""What becomes of an item once all its labels are in: to review, to an adjudicator, or resolved as it stands.

Every step can be repeated: it starts from the stage that the database says.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.labeling.likeness import comparable, distribution, item_likeness
from apps.labeling.models import (
    Answer,
    Item,
    ItemStage,
    Provenance,
    Question,
    Resolution,
    ResolvedAnswer,
    ReviewVerdict,
    Session,
    SessionState,
    Submission,
    SubmissionState,
)

BATCH = 200

Chosen = Mapping[int, tuple[Any, int | None]]
"""By question the value, and the submission that it was taken from; None: nobody's."""


@dataclass(frozen=True)
class Given:
    """The labels of one item that count: by question the stored value of each submission, None where left out."""

    submissions: tuple[int, ...]
    values: Mapping[int, tuple[Any, ...]]

    def compared(self, question: Question) -> list[Any]:
        values = self.values[question.pk]
        return [None if value is None else comparable(question.kind, value) for value in values]


def sessions_settle() -> int:
    """All sessions in which labels came in; how many items moved on."""
    waiting = Session.objects.filter(items__stage=ItemStage.LABELED).exclude(state=SessionState.DRAFT)
    return sum(session_settle(session=session) for session in waiting.distinct())


def session_settle(*, session: Session) -> int:
    """Move every item of the session on that has all its labels; how many these were."""
    questions = list(session.questions.all())
    moved = 0
    while True:
        with transaction.atomic():
            items = list(
                Item.objects.select_for_update(skip_locked=True)
                .filter(session=session, stage=ItemStage.LABELED)
                .order_by("pk")[:BATCH]
            )
            given = given_labels([item.pk for item in items], questions)
            unreviewed = _unreviewed(items) if session.reviews_every_label else set()
            for item in items:
                item.session = session
                if item.pk in unreviewed:
                    Item.objects.filter(pk=item.pk).update(stage=ItemStage.REVIEW)
                else:
                    item_pass_on(item=item, questions=questions, given=given[item.pk])
        moved += len(items)
        if len(items) < BATCH:
            return moved


def item_pass_on(*, item: Item, questions: Sequence[Question], given: Given) -> None:
    """Resolve the item if everybody said the same and no audit was drawn; else it waits for an adjudicator.

    Called with the item locked, after its reviews.
    """
    parts = [item_likeness(question.kind, given.compared(question)) for question in questions]
    known = [part for part in parts if part is not None]
    item.agreement = min(known) if known else None
    is_unanimous = item.agreement == 1
    item.audited = is_unanimous and is_drawn_for_audit(item)
    if item.agreement is None or (is_unanimous and not item.audited):
        chosen = {
            question.pk: (given.values[question.pk][0], given.submissions[0])
            for question in questions
            if given.submissions and given.values[question.pk][0] is not None
        }
        provenance = Provenance.UNANIMOUS if is_unanimous else Provenance.SINGLE
        resolution_store(item=item, questions=questions, given=given, chosen=chosen, provenance=provenance)
    else:
        item.stage = ItemStage.ADJUDICATION
    item.save(update_fields=["stage", "agreement", "audited"])


def is_drawn_for_audit(item: Item) -> bool:
    """By lot, and the same lot every time: nobody can label so as to avoid an audit."""
    session = item.session
    digest = hashlib.sha256(f"audit {session.seed} {session.pk} {item.pk}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < session.audit_share


def given_labels(item_ids: Sequence[int], questions: Sequence[Question]) -> dict[int, Given]:
    """Of these items the labels that count, in the order in which they came in."""
    submissions: dict[int, list[int]] = defaultdict(list)
    counting = Submission.objects.filter(item__in=item_ids, state=SubmissionState.COUNTS)
    for pk, item_id in counting.order_by("pk").values_list("pk", "item_id"):
        submissions[item_id].append(pk)
    numbers = [pk for found in submissions.values() for pk in found]
    answers = Answer.objects.filter(submission__in=numbers)
    values = {
        (submission, question): value
        for submission, question, value in answers.values_list("submission_id", "question_id", "value")
    }
    return {
        item_id: Given(
            tuple(submissions[item_id]),
            {
                question.pk: tuple(values.get((pk, question.pk)) for pk in submissions[item_id])
                for question in questions
            },
        )
        for item_id in item_ids
    }


def resolution_store(
    *,
    item: Item,
    questions: Sequence[Question],
    given: Given,
    chosen: Chosen,
    provenance: str,
    cause: str = "",
    note: str = "",
    decided_by: User | None = None,
    seconds: float | None = None,
) -> Resolution:
    """The one answer that stands from now on; one that stood before is kept as replaced."""
    Resolution.objects.filter(item=item, replaced_at=None).update(replaced_at=timezone.now())
    resolution = Resolution.objects.create(
        item=item,
        provenance=provenance,
        cause=cause,
        note=note,
        decided_by=decided_by,
        guideline_version_id=item.session.guideline_version_id,
        seconds=seconds,
    )
    ResolvedAnswer.objects.bulk_create(
        ResolvedAnswer(
            resolution=resolution,
            question=question,
            value=chosen[question.pk][0],
            taken_from_id=chosen[question.pk][1],
            distribution=distribution(question.kind, given.values[question.pk]),
        )
        for question in questions
        if question.pk in chosen
    )
    item.stage = ItemStage.RESOLVED
    Item.objects.filter(pk=item.pk).update(stage=ItemStage.RESOLVED)
    return resolution


def _unreviewed(items: Sequence[Item]) -> set[int]:
    """Those with a label that nobody has accepted yet."""
    labels = Submission.objects.filter(item__in=items, state=SubmissionState.COUNTS)
    return set(labels.exclude(review__verdict=ReviewVerdict.ACCEPTED).values_list("item_id", flat=True))
