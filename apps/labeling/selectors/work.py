"""What a labeler sees of items: the row, their own unfinished answers, never anybody else's."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import F, QuerySet

from apps.accounts.models import User
from apps.labeling.item_content import ItemContent, content_of
from apps.labeling.models import (
    Comment,
    Item,
    Seat,
    Session,
    Submission,
    SubmissionState,
    Unread,
)


@dataclass(frozen=True)
class HeldItem:
    """An item in somebody's hands."""

    item_id: int
    position: int
    content: ItemContent
    candidates: list[tuple[str, str]]
    """(number, text) in this person's own order, so that no answer always stands first."""
    unsent: dict[str, Any]
    seconds: float
    revision: int
    returned_because: str
    drafted: dict[str, Any]
    """Question key -> what a model proposes."""


HELD_CONTENT = """
    SELECT i.id, i.position, e.payload, u.answers, u.seconds, u.revision, (
        SELECT r.reason FROM labeling_review r JOIN labeling_submission b ON b.id = r.submission_id
        WHERE b.item_id = i.id AND b.user_id = %(user)s AND b.state = 'returned' ORDER BY r.id DESC LIMIT 1
    ), (
        SELECT jsonb_agg(d.answers ORDER BY d.id) FROM labeling_draft d WHERE d.item_id = i.id AND d.error = ''
    )
    FROM labeling_item i
    JOIN datasets_example e ON e.id = i.example_id
    LEFT JOIN labeling_unsent u ON u.item_id = i.id AND u.user_id = %(user)s
    WHERE i.session_id = %(session)s AND i.id = held.item_id"""
"""What the page gets of one row of `held`, for `held_item`."""


def held_item(session: Session, user: User, row: tuple[Any, ...]) -> HeldItem:
    """Of a row of `HELD_CONTENT`."""
    item_id, position, payload, unsent, seconds, revision, returned_because, drafted = row
    content = content_of(json.loads(payload))
    numbered = [(str(number), text) for number, text in enumerate(content.candidates, 1)]
    random.Random(f"{session.seed}:{item_id}:{user.pk}").shuffle(numbered)
    return HeldItem(
        item_id=item_id,
        position=position,
        content=content,
        candidates=numbered,
        unsent=json.loads(unsent or "{}"),
        seconds=seconds or 0.0,
        revision=revision or 0,
        returned_because=returned_because or "",
        drafted={key: value for answers in json.loads(drafted or "[]") for key, value in answers.items()},
    )


@dataclass(frozen=True)
class Tally:
    """How far a session is, and one person in it."""

    mine: int
    done: int
    wanted: int
    replies: int
    """Comments to the person that they have not read."""

    @property
    def share(self) -> float:
        return self.done / self.wanted if self.wanted else 0.0


def thread_of(item: Item, user: User) -> QuerySet[Comment]:
    """What this labeler and the reviewers wrote to each other about the item; other threads are not theirs."""
    return thread_of_all([item], user)


def threads_to_read(session: Session, user: User) -> list[tuple[Item, list[Comment]]]:
    """The person's own threads with comments that they have not read: the item, and all of the thread."""
    items = Unread.objects.filter(session=session, user=user, thread_of=user).values("item")
    found = list(Item.objects.filter(pk__in=items).select_related("example").order_by("position"))
    comments: dict[int, list[Comment]] = {item.pk: [] for item in found}
    for comment in thread_of_all(found, user):
        comments[comment.item_id].append(comment)
    return [(item, comments[item.pk]) for item in found]


def thread_of_all(items: Sequence[Item], user: User) -> QuerySet[Comment]:
    """The comments of the threads with one person on several items, oldest first."""
    comments = Comment.objects.filter(item__in=items, thread_of=user)
    return comments.select_related("author").order_by("pk")


def item_in_hands(session: Session, user: User, item_id: int) -> Item | None:
    """An item that this person holds or has labeled."""
    mine = Seat.objects.filter(session=session, item=item_id, user=user)
    labeled = Submission.objects.filter(session=session, item=item_id, user=user)
    if not mine.exists() and not labeled.exists():
        return None
    return Item.objects.filter(session=session, pk=item_id).first()


def look_again_of(session: Session, user: User) -> QuerySet[Submission]:
    """Labels of this person that were made under an older meaning of the guideline."""
    return (
        Submission.objects.filter(session=session, user=user, look_again=True, state=SubmissionState.COUNTS)
        .select_related("item__example", "guideline_version__guideline")
        .prefetch_related("answers__question")
        .order_by("pk")
    )


def my_labels(session: Session, user: User) -> QuerySet[Submission]:
    """What this person has labeled, newest first."""
    return (
        Submission.objects.filter(session=session, user=user)
        .annotate(position=F("item__position"))
        .prefetch_related("answers__question")
        .order_by("-pk")
    )
