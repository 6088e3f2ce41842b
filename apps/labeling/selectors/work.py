"""What a labeler sees of items: the row, their own unfinished answers, never anybody else's."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import F, OuterRef, QuerySet, Subquery, Sum

from apps.accounts.models import User
from apps.labeling.item_content import ItemContent, content_of
from apps.labeling.leases import Lease
from apps.labeling.models import (
    Comment,
    Draft,
    Item,
    Participant,
    Review,
    Seat,
    Session,
    Submission,
    SubmissionState,
    Unsent,
)


@dataclass(frozen=True)
class HeldItem:
    """An item in somebody's hands."""

    item: Item
    lease: Lease
    content: ItemContent
    candidates: list[tuple[str, str]]
    """(number, text) in this person's own order, so that no answer always stands first."""
    unsent: dict[str, Any]
    seconds: float
    revision: int
    returned_because: str
    drafted: dict[str, Any]
    """Question key -> what a model proposes."""


def held_items(session: Session, user: User, leases: Sequence[Lease]) -> list[HeldItem]:
    """What the leases are for, in their order."""
    if not leases:
        return []
    unsent = Unsent.objects.filter(item=OuterRef("pk"), user=user)
    returned = Review.objects.filter(
        submission__item=OuterRef("pk"), submission__user=user, submission__state=SubmissionState.RETURNED
    ).order_by("-pk")
    found = {
        item.pk: item
        for item in Item.objects.filter(session=session, pk__in=[lease.item_id for lease in leases])
        .select_related("example")
        .only("position", "wanted", "example__payload")
        .annotate(
            unsent_answers=Subquery(unsent.values("answers")),
            unsent_seconds=Subquery(unsent.values("seconds")),
            unsent_revision=Subquery(unsent.values("revision")),
            returned_because=Subquery(returned.values("reason")[:1]),
        )
    }
    drafted = _drafted(list(found))
    return [
        _held(session, user, lease, found[lease.item_id], drafted.get(lease.item_id, {}))
        for lease in leases
        if lease.item_id in found
    ]


def _held(session: Session, user: User, lease: Lease, item: Any, drafted: dict[str, Any]) -> HeldItem:
    content = content_of(item.example.payload)
    numbered = [(str(number), text) for number, text in enumerate(content.candidates, 1)]
    random.Random(f"{session.seed}:{item.pk}:{user.pk}").shuffle(numbered)
    return HeldItem(
        item=item,
        lease=lease,
        content=content,
        candidates=numbered,
        unsent=item.unsent_answers or {},
        seconds=item.unsent_seconds or 0.0,
        revision=item.unsent_revision or 0,
        returned_because=item.returned_because or "",
        drafted=drafted,
    )


def _drafted(item_ids: list[int]) -> dict[int, dict[str, Any]]:
    """By item, what stands in the newest draft for each question."""
    found: dict[int, dict[str, Any]] = {}
    for item_id, answers in (
        Draft.objects.filter(item__in=item_ids, error="").order_by("pk").values_list("item_id", "answers")
    ):
        found.setdefault(item_id, {}).update(answers)
    return found


@dataclass(frozen=True)
class Tally:
    """How far a session is, and one person in it."""

    mine: int
    done: int
    wanted: int

    @property
    def share(self) -> float:
        return self.done / self.wanted if self.wanted else 0.0


def tally_of(session: Session, user: User) -> Tally:
    people = Participant.objects.filter(session=session)
    done = people.aggregate(done=Sum("submitted_count"))["done"] or 0
    mine = people.filter(user=user).values_list("submitted_count", flat=True).first() or 0
    return Tally(mine, done, session.seat_count)


def thread_of(item: Item, user: User) -> QuerySet[Comment]:
    """What this labeler and the reviewers wrote to each other about the item; other threads are not theirs."""
    return Comment.objects.filter(item=item, thread_of=user).select_related("author").order_by("pk")


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
