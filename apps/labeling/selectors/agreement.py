"""Agreement in a session, from independent first labels only; and the items behind a figure."""

import re
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.db.models import Count, Exists, Max, OuterRef, Q, QuerySet
from django.utils import timezone

from apps.accounts.models import User
from apps.labeling.agreement_report import GivenAnswer, QuestionAgreement, question_agreement
from apps.labeling.models import (
    Answer,
    DraftUse,
    Item,
    ItemStage,
    Participant,
    Question,
    Session,
    Submission,
    SubmissionState,
)

FIRST_LABELS = (SubmissionState.COUNTS, SubmissionState.RETURNED)
"""A label that a reviewer returned was still its author's first and independent one; what replaced it was not."""
KEPT_SECONDS = 24 * 3600
DEAR_SECONDS = 0.5
AGE_SECONDS = 60


@dataclass(frozen=True)
class DraftsUsed:
    """What people did with a model's drafts; accepted ones are reported here and count nowhere else."""

    unchanged: int
    edited: int
    rejected: int

    @property
    def shown(self) -> int:
        return self.unchanged + self.edited + self.rejected


@dataclass(frozen=True)
class QuestionReport:
    question: Question
    agreement: QuestionAgreement
    drafts: DraftsUsed


@dataclass(frozen=True)
class AgreementReport:
    """The reports of all questions, as of `at`."""

    questions: list[QuestionReport]
    at: datetime


@dataclass(frozen=True)
class _Known:
    """What was worked out last; `took` in seconds."""

    stamp: str
    at: datetime
    took: float
    parts: list[tuple[QuestionAgreement, DraftsUsed]]

    def serves(self, stamp: str) -> bool:
        """Whether it may be shown: nothing changed, or it is dear to work out and hardly a minute old."""
        age = (timezone.now() - self.at).total_seconds()
        return self.stamp == stamp or (self.took > DEAR_SECONDS and age < AGE_SECONDS)


def agreement_of(session: Session, *, fresh: bool = False) -> AgreementReport:
    """The report of every question; worked out again only when labels changed.

    With very many labels, which take seconds to compare, it may be a minute old unless `fresh`.
    """
    questions = list(session.questions.all())
    key, stamp = f"labeling:agreement:{session.pk}", _stamp(session)
    known: _Known | None = cache.get(key)
    if known is None or not (known.stamp == stamp if fresh else known.serves(stamp)):
        started = time.perf_counter()
        parts = _parts(session, questions)
        known = _Known(stamp, timezone.now(), time.perf_counter() - started, parts)
        cache.set(key, known, KEPT_SECONDS)
    return AgreementReport(
        [
            QuestionReport(question, agreement, drafts)
            for question, (agreement, drafts) in zip(questions, known.parts, strict=True)
        ],
        known.at,
    )


def _parts(session: Session, questions: Sequence[Question]) -> list[tuple[QuestionAgreement, DraftsUsed]]:
    answers, drafts = _answers(session, questions), _drafts_used(session)
    return [
        (
            question_agreement(question.kind, question.options, answers[question.pk]),
            drafts.get(question.pk, DraftsUsed(0, 0, 0)),
        )
        for question in questions
    ]


def _stamp(session: Session) -> str:
    """Differs whenever a label came in or ended."""
    found = Submission.objects.filter(session=session).aggregate(
        newest=Max("pk"), ended=Max("ended_at"), counting=Count("pk", filter=Q(state__in=FIRST_LABELS))
    )
    ended = found["ended"].timestamp() if found["ended"] else 0
    return f"{found['newest'] or 0}:{ended}:{found['counting']}"


def first_labels(session: Session) -> QuerySet[Submission]:
    """Of everybody the first label of each item, made without seeing anything of the others."""
    return Submission.objects.filter(session=session, state__in=FIRST_LABELS, is_independent=True)


def _answers(session: Session, questions: Sequence[Question]) -> dict[int, list[GivenAnswer]]:
    found: dict[int, list[GivenAnswer]] = defaultdict(list)
    rows = (
        Answer.objects.filter(question__in=questions, submission__in=first_labels(session))
        .exclude(draft_use=DraftUse.UNCHANGED)
        .order_by("submission_id")
        .values_list(
            "question_id",
            "submission__item_id",
            "submission__user_id",
            "value",
            "submission__guideline_version_id",
        )
    )
    for question_id, item, rater, value, version in rows.iterator(chunk_size=5000):
        found[question_id].append(GivenAnswer(item, rater, value, version))
    return found


def _drafts_used(session: Session) -> dict[int, DraftsUsed]:
    uses = (
        Answer.objects.filter(submission__in=first_labels(session))
        .exclude(draft_use=DraftUse.NONE)
        .values_list("question_id", "draft_use")
        .annotate(count=Count("pk"))
    )
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    for question_id, use, count in uses:
        counts[question_id][use] = count
    return {
        question_id: DraftsUsed(
            by_use.get(DraftUse.UNCHANGED, 0),
            by_use.get(DraftUse.EDITED, 0),
            by_use.get(DraftUse.REJECTED, 0),
        )
        for question_id, by_use in counts.items()
    }


# --- The items behind a figure ------------------------------------------------------------------------------


def open_to(session: Session, user: User) -> QuerySet[Item]:
    """The items whose labels this person may see: all but those that they could still label themselves."""
    items = Item.objects.filter(session=session)
    takes_part = (
        session.everyone or Participant.objects.filter(session=session, user=user, is_active=True).exists()
    )
    if not takes_part:
        return items
    own = Submission.objects.filter(item=OuterRef("pk"), user=user, state=SubmissionState.COUNTS)
    return items.filter(~Q(stage=ItemStage.LABELING) | Exists(own))


@dataclass(frozen=True)
class ItemQuery:
    """Which items are listed, as it stands in the URL."""

    stage: str = ""
    question: str = ""
    first: str = ""
    second: str = ""
    disagreeing: bool = False

    @classmethod
    def of(cls, parameters: Any) -> "ItemQuery":
        return cls(
            stage=parameters.get("stage", "") if parameters.get("stage") in ItemStage.values else "",
            question=parameters.get("question", ""),
            first=parameters.get("a", ""),
            second=parameters.get("b", ""),
            disagreeing=parameters.get("disagree") == "1",
        )


def items_matching(session: Session, user: User, query: ItemQuery) -> QuerySet[Item]:
    """Items of the session that fit, for somebody who reviews."""
    items = open_to(session, user)
    if query.stage:
        items = items.filter(stage=query.stage)
    if query.disagreeing:
        items = items.filter(agreement__lt=1)
    question = session.questions.filter(key=query.question).first() if query.question else None
    if question is not None and query.first and query.second:
        items = _items_with_both(items, question, query)
    return items.select_related("example")


def _as_stored(question: Question, text: str) -> str | int:
    """A value of the URL; ratings are whole numbers, some below 0."""
    is_number = question.kind == "rate" and re.fullmatch(r"-?[0-9]{1,3}", text)
    return int(text) if is_number else text


def _items_with_both(items: QuerySet[Item], question: Question, query: ItemQuery) -> QuerySet[Item]:
    """One person gave the one answer, another one the other; both the same: at least two gave it."""
    values = [_as_stored(question, text) for text in (query.first, query.second)]
    given = Answer.objects.filter(
        question=question,
        submission__item=OuterRef("pk"),
        submission__is_independent=True,
        submission__state__in=FIRST_LABELS,
    ).exclude(draft_use=DraftUse.UNCHANGED)
    if values[0] != values[1]:
        return items.filter(Exists(given.filter(value=values[0])), Exists(given.filter(value=values[1])))
    several = (
        given.filter(value=values[0])
        .order_by()
        .values("submission__item")
        .annotate(people=Count("submission__user", distinct=True))
        .filter(people__gte=2)
    )
    return items.filter(Exists(several))
