"""What reviewers and adjudicators see: queues, and the labels of one item without the names of their authors."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, F, Min, OuterRef, QuerySet

from apps.accounts.models import User
from apps.core.word_difference import Segment, word_difference
from apps.labeling.answers import TEXTUAL
from apps.labeling.item_content import ItemContent, content_of
from apps.labeling.likeness import comparable, readable
from apps.labeling.models import (
    Answer,
    Comment,
    Flag,
    GuidelineVersion,
    Item,
    ItemStage,
    Question,
    Resolution,
    Review,
    Seat,
    SeatState,
    Session,
    Skip,
    Submission,
    SubmissionState,
)
from apps.labeling.selectors.agreement import open_to
from apps.labeling.selectors.sessions import stages_of_items

SHOWN_STATES = (
    SubmissionState.COUNTS,
    SubmissionState.RETURNED,
    SubmissionState.REPLACED,
    SubmissionState.SURPLUS,
)


@dataclass(frozen=True)
class StageCounts:
    labeling: int
    review: int
    adjudication: int
    audit: int
    resolved: int
    set_aside: int
    total: int


def stage_counts(session: Session, stages: Mapping[str, int] | None = None) -> StageCounts:
    """How many items stand in each stage; `stages` where they have been counted already."""
    counts = stages or stages_of_items(session)
    waiting = counts[ItemStage.ADJUDICATION]
    audits = Item.objects.filter(session=session, stage=ItemStage.ADJUDICATION, audited=True)
    return StageCounts(
        labeling=counts[ItemStage.LABELING] + counts[ItemStage.LABELED],
        review=counts[ItemStage.REVIEW],
        adjudication=waiting,
        audit=audits.count() if waiting else 0,
        resolved=counts[ItemStage.RESOLVED],
        set_aside=counts[ItemStage.SET_ASIDE],
        total=sum(counts.values()),
    )


@dataclass(frozen=True)
class Waiting:
    """Somebody, or a role, whom the others wait for."""

    who: str
    what: str
    count: int
    since: datetime | None = None


def waited_for(session: Session, counts: StageCounts) -> list[Waiting]:
    """What keeps the session from being finished, the end of the line first."""
    held = Seat.objects.filter(session=session, state=SeatState.HELD).order_by()
    returned = Submission.objects.filter(
        item=OuterRef("item"), user=OuterRef("user"), state=SubmissionState.RETURNED
    )
    authors = (
        held.filter(Exists(returned))
        .values("user__name", "user__email")
        .annotate(count=Count("pk"), since=Min("held_since"))
        .order_by("since")
    )
    found = [
        Waiting("An adjudicator", "items on which labels differ, or an audit", counts.adjudication),
        Waiting("A reviewer", "items with labels to look at", counts.review),
        *(
            Waiting(
                one["user__name"] or one["user__email"], "labels returned to them", one["count"], one["since"]
            )
            for one in authors
        ),
        Waiting("Labelers", "items without all their labels", counts.labeling),
    ]
    return [one for one in found if one.count]


def _labeled_by(user: User) -> Exists:
    mine = Submission.objects.filter(item=OuterRef("pk"), user=user)
    return Exists(mine.exclude(state=SubmissionState.UNDONE))


def to_adjudicate(session: Session, user: User) -> QuerySet[Item]:
    """What this person may settle, the greatest disagreement first; the audit's items last."""
    return (
        open_to(session, user)
        .filter(~_labeled_by(user), stage=ItemStage.ADJUDICATION)
        .select_related("example")
        .order_by(F("agreement").asc(nulls_last=True), "position")
    )


def kept_from_adjudicating(session: Session, user: User) -> int:
    """How many items wait that this person labeled themselves, so that somebody else must settle them."""
    return Item.objects.filter(_labeled_by(user), session=session, stage=ItemStage.ADJUDICATION).count()


def to_review(session: Session, user: User) -> QuerySet[Item]:
    """Items with labels of others that nobody has looked at yet, in their order."""
    waiting = Submission.objects.filter(item=OuterRef("pk"), state=SubmissionState.COUNTS, review=None)
    return (
        open_to(session, user)
        .filter(Exists(waiting.exclude(user=user)), stage=ItemStage.REVIEW)
        .select_related("example")
        .order_by("position")
    )


def next_of(queue: QuerySet[Item], after: int | None = None) -> Item | None:
    """The first of a queue, other than the item that was just looked at."""
    return queue.exclude(pk=after).first() if after else queue.first()


@dataclass(frozen=True)
class ShownAnswer:
    """One distinct answer to a question, with the letters of the labels that gave it."""

    submission: int
    text: str
    letters: tuple[str, ...]
    difference: list[Segment]
    """For texts: against what they started from, or against the first answer."""


@dataclass(frozen=True)
class ShownQuestion:
    question: Question
    answers: tuple[ShownAnswer, ...]
    start: str
    left_out: tuple[str, ...]
    resolved: str | None

    @property
    def is_text(self) -> bool:
        return self.question.kind in TEXTUAL

    @property
    def is_unanimous(self) -> bool:
        return len(self.answers) == 1 and not self.left_out


@dataclass(frozen=True)
class ShownLabel:
    """One person's label under a letter in the place of a name."""

    submission: Submission
    letter: str
    answers: tuple[tuple[Question, str], ...]
    review: Review | None

    @property
    def counts(self) -> bool:
        return self.submission.state == SubmissionState.COUNTS


@dataclass(frozen=True)
class ShownItem:
    item: Item
    content: ItemContent
    questions: tuple[ShownQuestion, ...]
    labels: tuple[ShownLabel, ...]
    comments: tuple[tuple[str, Comment], ...]
    flags: tuple[Flag, ...]
    skips: tuple[Skip, ...]
    resolution: Resolution | None
    guidelines: tuple[GuidelineVersion, ...]


def shown_item(item: Item, questions: Sequence[Question]) -> ShownItem:
    """Everything that was said about an item. Letters go by lot, so that nobody is A everywhere."""
    labels = list(
        Submission.objects.filter(item=item, state__in=SHOWN_STATES)
        .select_related("guideline_version__guideline", "review__reviewer")
        .prefetch_related("answers")
    )
    labels.sort(key=lambda label: _lot(item.pk, label.user_id))
    people = list(dict.fromkeys(label.user_id for label in labels))
    letters = {user: chr(ord("A") + place) for place, user in enumerate(people)}
    content = content_of(item.example.payload)
    resolution = Resolution.objects.filter(item=item, replaced_at=None).select_related("decided_by").first()
    resolved = {one.question_id: one.value for one in resolution.answers.all()} if resolution else {}
    comments = Comment.objects.filter(item=item).order_by("pk")
    return ShownItem(
        item=item,
        content=content,
        questions=tuple(_question(question, labels, letters, content, resolved) for question in questions),
        labels=tuple(_label(label, letters, questions, content) for label in labels),
        comments=tuple((_author(comment, letters), comment) for comment in comments),
        flags=tuple(Flag.objects.filter(item=item)),
        skips=tuple(Skip.objects.filter(item=item)),
        resolution=resolution,
        guidelines=tuple(
            {label.guideline_version for label in labels if label.guideline_version is not None}
        ),
    )


def _author(comment: Comment, letters: dict[int, str]) -> str:
    letter = letters.get(comment.author_id)
    if letter is not None:
        return f"Labeler {letter}"
    return "Labeler" if comment.author_id == comment.thread_of_id else "Reviewer"


def _lot(item_id: int, user_id: int) -> bytes:
    return hashlib.sha256(f"{item_id}:{user_id}".encode()).digest()


def span_text(question: Question, content: ItemContent) -> str:
    """The text that the spans of a question stand in."""
    return content.question if question.options.get("about") == "question" else content.answer


def _question(
    question: Question,
    labels: Sequence[Submission],
    letters: dict[int, str],
    content: ItemContent,
    resolved: dict[int, Any],
) -> ShownQuestion:
    start = content.answer if question.kind == "edit" else ""
    found: dict[Any, ShownAnswer] = {}
    left_out = []
    for label in labels:
        if label.state != SubmissionState.COUNTS:
            continue
        answer = _answer_to(label, question)
        letter = letters[label.user_id]
        if answer is None:
            left_out.append(letter)
            continue
        same = comparable(question.kind, answer.value)
        known = found.get(same)
        text = readable(question.kind, answer.value, span_text(question, content))
        found[same] = ShownAnswer(
            label.pk if known is None else known.submission,
            text,
            (letter,) if known is None else (*known.letters, letter),
            [],
        )
    answers = sorted(found.values(), key=lambda answer: (-len(answer.letters), answer.letters))
    if question.kind in TEXTUAL and answers:
        against = start or answers[0].text
        answers = [
            ShownAnswer(one.submission, one.text, one.letters, word_difference(against, one.text))
            for one in answers
        ]
    value = resolved.get(question.pk)
    return ShownQuestion(
        question=question,
        answers=tuple(answers),
        start=start,
        left_out=tuple(left_out),
        resolved=None if value is None else readable(question.kind, value, span_text(question, content)),
    )


def _answer_to(label: Submission, question: Question) -> Answer | None:
    return next((one for one in label.answers.all() if one.question_id == question.pk), None)


def _label(
    label: Submission, letters: dict[int, str], questions: Sequence[Question], content: ItemContent
) -> ShownLabel:
    answers = []
    for question in questions:
        answer = _answer_to(label, question)
        text = readable(question.kind, answer.value if answer else None, span_text(question, content))
        answers.append((question, text))
    return ShownLabel(label, letters[label.user_id], tuple(answers), getattr(label, "review", None))
