"""What leads and reviewers see of sessions: how far, how fast, who holds what, which items need them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Avg, Count, Exists, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from apps.accounts.models import Membership, User
from apps.accounts.permissions import Permission
from apps.core.pagination import KeysetPage, keyset_page
from apps.labeling.access import takes_part
from apps.labeling.models import (
    Comment,
    DraftRun,
    DraftUse,
    Flag,
    Item,
    ItemStage,
    Participant,
    Seat,
    SeatState,
    Session,
    SessionState,
    Skip,
    Submission,
    SubmissionState,
    Unread,
)
from apps.projects.models import Project

PACE_MINUTES = 60


def sessions_of(project: Project, user: User, *, all_of_them: bool) -> QuerySet[Session]:
    """Sessions with their figures, newest first; without `all_of_them` only those that hand this person items."""
    sessions = Session.objects.filter(project=project)
    if not all_of_them:
        sessions = sessions.filter(pk__in=Session.objects.filter(takes_part(user.pk)).values("pk"))
    mine = Participant.objects.filter(session=OuterRef("pk"), user=user, is_active=True)
    unread = Unread.objects.filter(session=OuterRef("pk"), user=user).order_by().values("session")
    replies = unread.annotate(sum=Sum("count"))
    return sessions.select_related("version__dataset", "guideline").annotate(
        done_count=Sum("participants__submitted_count", default=0),
        complete_count=Sum("participants__completed_count", default=0),
        i_take_part=Exists(mine),
        reply_count=Coalesce(Subquery(replies.values("sum")), 0),
    )


def standing_of_labeling(project: Project) -> tuple[Session | None, int]:
    """The newest session that waits to be opened or for labels, and how many sessions there are."""
    sessions = Session.objects.filter(project=project)
    filled = Sum("participants__submitted_count", default=0)
    open_states = (SessionState.DRAFT, SessionState.PREPARING, SessionState.OPEN)
    waiting = sessions.filter(state__in=open_states).annotate(filled=filled)
    found = waiting.filter(Q(seat_count=0) | Q(filled__lt=F("seat_count"))).order_by("-pk")
    newest = found.select_related("project__workspace").first()
    return newest, sessions.count()


@dataclass(frozen=True, kw_only=True)
class Figures:
    """How a session stands."""

    done: int
    wanted: int
    surplus: int
    skipped: int
    complete_items: int
    items: int
    last_hour: int
    seconds: float
    look_again: int
    open_flags: int

    @property
    def left(self) -> int:
        return max(0, self.wanted - self.done)

    @property
    def share(self) -> float:
        return self.done / self.wanted if self.wanted else 0.0

    @property
    def seconds_a_label(self) -> float | None:
        return self.seconds / self.done if self.done else None

    @property
    def finish_at(self) -> datetime | None:
        """If the team goes on as in the last hour; None: nobody labeled, or everything is done."""
        if not self.left or not self.last_hour:
            return None
        return timezone.now() + timedelta(minutes=PACE_MINUTES) * (self.left / self.last_hour)


def figures_of(session: Session) -> Figures:
    """Sums of the people's counters: the same few rows however many items there are."""
    sums = Participant.objects.filter(session=session).aggregate(
        done=Sum("submitted_count", default=0),
        surplus=Sum("surplus_count", default=0),
        skipped=Sum("skipped_count", default=0),
        complete=Sum("completed_count", default=0),
        seconds=Sum("seconds", default=0.0),
    )
    since = timezone.now() - timedelta(minutes=PACE_MINUTES)
    counting = Submission.objects.filter(session=session, state=SubmissionState.COUNTS)
    return Figures(
        done=sums["done"],
        wanted=session.seat_count,
        surplus=sums["surplus"],
        skipped=sums["skipped"],
        complete_items=sums["complete"],
        items=session.item_count,
        last_hour=counting.filter(created_at__gte=since).count(),
        seconds=sums["seconds"],
        look_again=counting.filter(look_again=True).count(),
        open_flags=Item.objects.filter(session=session, open_flags__gt=0).count(),
    )


# Only what waits is counted; the two stages that hold nearly all items follow from the people's counters. An item is
# complete in every stage but the first.
_STAGES = """
    SELECT (
        SELECT coalesce(sum(completed_count), 0) FROM labeling_participant WHERE session_id = %(session)s
    ), (
        SELECT coalesce(jsonb_object_agg(stage, items), '{}') FROM (
            SELECT stage, count(*) AS items FROM labeling_item
            WHERE session_id = %(session)s AND stage = ANY(%(waiting)s) GROUP BY stage
        ) AS counted
    )"""
_WAITING = [ItemStage.LABELED, ItemStage.REVIEW, ItemStage.ADJUDICATION, ItemStage.SET_ASIDE]


def stages_of_items(session: Session) -> dict[str, int]:
    """Items by stage, every stage named, in one statement, so that they fit each other."""
    parameters: dict[str, Any] = {
        "session": session.pk,
        "waiting": [stage.value for stage in _WAITING],
    }
    with connection.cursor() as cursor:
        cursor.execute(_STAGES, parameters)
        complete, counted = cursor.fetchone()
    counts: dict[str, int] = dict.fromkeys(ItemStage.values, 0) | json.loads(counted)
    counts[ItemStage.LABELING] = max(0, session.item_count - int(complete))
    counts[ItemStage.RESOLVED] = max(0, session.item_count - sum(counts.values()))
    return counts


def unread_by(session: Session, user: User) -> int:
    """Comments in the session that this person takes part in and has not read."""
    mine = Unread.objects.filter(session=session, user=user)
    return int(mine.aggregate(sum=Sum("count", default=0))["sum"])


def people_of(session: Session) -> QuerySet[Participant]:
    """By name, never by how much they did: this is no ranking."""
    holds = Seat.objects.filter(session=session, user=OuterRef("user"), state=SeatState.HELD)
    return (
        Participant.objects.filter(session=session)
        .filter(Q(is_active=True) | Q(submitted_count__gt=0) | Q(surplus_count__gt=0))
        .select_related("user")
        .annotate(
            holds=Exists(holds),
        )
        .order_by("user__name", "user__email")
    )


def too_few_people(session: Session) -> int | None:
    """How many people could label, where that is fewer than the labels that an item wants; else None."""
    active = Participant.objects.filter(session=session, is_active=True).count()
    people = len(may_label_in(session.project)) if session.everyone else active
    return people if people < session.overlap else None


def holds_of(session: Session) -> QuerySet[Seat]:
    """Who holds which item, the longest first."""
    return (
        Seat.objects.filter(session=session, state=SeatState.HELD)
        .select_related("user", "item")
        .annotate(runs_out_at=F("held_until"))
        .order_by("held_since", "pk")
    )


def may_label_in(project: Project) -> list[Membership]:
    """Members of the workspace who could take part."""
    members = (
        Membership.objects.filter(workspace=project.workspace)
        .select_related("user")
        .order_by("user__name", "user__email")
    )
    return [member for member in members if member.allows(Permission.LABEL)]


ITEM_FILTERS = {
    "": "All",
    "flagged": "Flagged",
    "skipped": "Skipped",
    "commented": "With comments",
    "replies": "With comments you have not read",
    "look_again": "To look at again",
    **dict(ItemStage.choices),
}


def items_page(
    session: Session, user: User, parameters: Mapping[str, Any], *, wanted: str
) -> KeysetPage[Item]:
    """Items in order, each with the beginning of its text."""
    items = Item.objects.filter(session=session)
    if wanted == "flagged":
        items = items.filter(open_flags__gt=0)
    elif wanted == "commented":
        items = items.filter(comment_count__gt=0)
    elif wanted == "replies":
        items = items.filter(pk__in=Unread.objects.filter(session=session, user=user).values("item"))
    elif wanted == "skipped":
        items = items.filter(pk__in=Skip.objects.filter(item__session=session).values("item"))
    elif wanted == "look_again":
        again = Submission.objects.filter(session=session, look_again=True, state=SubmissionState.COUNTS)
        items = items.filter(pk__in=again.values("item"))
    elif wanted in ItemStage.values:
        items = items.filter(stage=wanted)
    shown = ("position", "wanted", "done", "stage", "open_flags", "comment_count", "example__payload")
    return keyset_page(items.select_related("example").only(*shown), parameters, key="position")


def labels_visible(item: Item, user: User) -> tuple[QuerySet[Submission], bool]:
    """The labels of an item that this person may see, and whether others' are kept back.

    Whoever labels in the session, whatever their role, sees others' answers only after giving their own, or when
    nobody can give any more: the item has all its labels, or the session is closed.
    """
    labels = (
        Submission.objects.filter(item=item)
        .select_related("user", "guideline_version__guideline", "review__reviewer")
        .prefetch_related("answers__question")
        .order_by("pk")
    )
    session = item.session
    labels_here = (
        session.everyone or Participant.objects.filter(session=session, user=user, is_active=True).exists()
    )
    gave = labels.filter(user=user, state__in=(SubmissionState.COUNTS, SubmissionState.SURPLUS)).exists()
    is_blind = (
        labels_here and not gave and item.stage == ItemStage.LABELING and session.state != SessionState.CLOSED
    )
    return (labels.filter(user=user) if is_blind else labels), is_blind


def threads_of(item: Item, user: User, *, is_blind: bool) -> QuerySet[Comment]:
    """Comments on an item, thread by thread; where labeling is blind, only the thread with this person."""
    comments = Comment.objects.filter(item=item).select_related("author", "thread_of")
    return (comments.filter(thread_of=user) if is_blind else comments).order_by("thread_of", "pk")


def flags_of(item: Item) -> QuerySet[Flag]:
    """Of one item, settled ones too."""
    return Flag.objects.filter(item=item).select_related("user", "settled_by", "item__session")


def skips_of(item: Item) -> QuerySet[Skip]:
    """Of one item, oldest first."""
    return Skip.objects.filter(item=item).select_related("user").order_by("pk")


def draft_runs_of(session: Session) -> QuerySet[DraftRun]:
    """Each with what people made of its drafts, by answers that count."""
    counting = Q(drafts__uses__submission__state=SubmissionState.COUNTS)
    return (
        DraftRun.objects.filter(session=session)
        .select_related("variant", "created_by")
        .annotate(
            unchanged=Count("drafts__uses", filter=counting & Q(drafts__uses__draft_use=DraftUse.UNCHANGED)),
            edited=Count("drafts__uses", filter=counting & Q(drafts__uses__draft_use=DraftUse.EDITED)),
            rejected=Count("drafts__uses", filter=counting & Q(drafts__uses__draft_use=DraftUse.REJECTED)),
            distance=Avg("drafts__uses__edit_distance", filter=counting),
        )
        .order_by("-pk")
    )
