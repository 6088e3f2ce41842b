"""What becomes of an item once all its labels are in: to review, to an adjudicator, or resolved as it stands.

Every step can be repeated: it starts from the stage that the database says.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.services import record
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
    complete = Item.objects.filter(session=OuterRef("pk"), stage=ItemStage.LABELED)
    sessions = Session.objects.select_related("project__workspace")
    waiting = sessions.filter(Exists(complete)).exclude(state=SessionState.DRAFT)
    return sum(session_settle(session=session) for session in waiting)


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
            Item.objects.filter(pk__in=unreviewed).update(stage=ItemStage.REVIEW)
            for item in items:
                item.session = session
            passing = [item for item in items if item.pk not in unreviewed]
            items_pass_on(items=passing, questions=questions, given=given)
            if items:
                all_labeled_record(session)
        moved += len(items)
        if len(items) < BATCH:
            return moved


def all_labeled_record(session: Session) -> None:
    """Note it if no item waits for labels any more; called when one has just stopped to."""
    waiting = Item.objects.filter(session=session, stage__in=[ItemStage.LABELING, ItemStage.LABELED])
    if not waiting.exists():
        record(
            workspace=session.project.workspace,
            actor=None,
            action="labeling_session.all_labeled",
            target=session,
            data={"items": session.item_count},
        )


def items_pass_on(
    *, items: Sequence[Item], questions: Sequence[Question], given: Mapping[int, Given]
) -> None:
    """Resolve those on which everybody said the same and no audit was drawn; the others wait for an adjudicator.

    Called with the items locked, after their reviews.
    """
    resolved = [item for item in items if not _needs_adjudication(item, questions, given[item.pk])]
    for item in items:
        item.stage = ItemStage.ADJUDICATION
    for item in resolved:
        item.stage = ItemStage.RESOLVED
    Item.objects.bulk_update(items, ["stage", "agreement", "audited"])
    _replace(resolved)
    resolutions = Resolution.objects.bulk_create(
        Resolution(
            item=item,
            provenance=Provenance.SINGLE if item.agreement is None else Provenance.UNANIMOUS,
            guideline_version_id=item.session.guideline_version_id,
        )
        for item in resolved
    )
    ResolvedAnswer.objects.bulk_create(
        answer
        for resolution in resolutions
        for answer in _answers(resolution, questions, given[resolution.item_id], None)
    )


def _needs_adjudication(item: Item, questions: Sequence[Question], given: Given) -> bool:
    """Also notes how far the labels agree, and whether an audit was drawn."""
    parts = [item_likeness(question.kind, given.compared(question)) for question in questions]
    known = [part for part in parts if part is not None]
    item.agreement = min(known) if known else None
    item.audited = item.agreement == 1 and is_drawn_for_audit(item)
    return item.audited or (item.agreement is not None and item.agreement < 1)


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
    _replace([item])
    resolution = Resolution.objects.create(
        item=item,
        provenance=provenance,
        cause=cause,
        note=note,
        decided_by=decided_by,
        guideline_version_id=item.session.guideline_version_id,
        seconds=seconds,
    )
    ResolvedAnswer.objects.bulk_create(_answers(resolution, questions, given, chosen))
    item.stage = ItemStage.RESOLVED
    Item.objects.filter(pk=item.pk).update(stage=ItemStage.RESOLVED)
    return resolution


def _replace(items: Sequence[Item]) -> None:
    """The answers that stood are kept, and stand no more."""
    Resolution.objects.filter(item__in=items, replaced_at=None).update(replaced_at=timezone.now())


def _answers(
    resolution: Resolution, questions: Sequence[Question], given: Given, chosen: Chosen | None
) -> Iterator[ResolvedAnswer]:
    """Without a choice the first label's answers: all labels have the same."""
    for question in questions:
        values = given.values[question.pk]
        if chosen is not None:
            value, source = chosen.get(question.pk, (None, None))
        else:
            value, source = (values[0], given.submissions[0]) if values else (None, None)
        if value is not None:
            yield ResolvedAnswer(
                resolution=resolution,
                question=question,
                value=value,
                taken_from_id=source,
                distribution=distribution(question.kind, values),
            )


def _unreviewed(items: Sequence[Item]) -> set[int]:
    """Those with a label that nobody has accepted yet."""
    labels = Submission.objects.filter(item__in=items, state=SubmissionState.COUNTS)
    return set(labels.exclude(review__verdict=ReviewVerdict.ACCEPTED).values_list("item_id", flat=True))
