"""How the answers of a session came about, and every label for an export."""

from collections.abc import Iterator
from typing import Any

from django.db.models import Count, Prefetch, Q

from apps.accounts.models import User
from apps.labeling.models import (
    Answer,
    Cause,
    Provenance,
    Resolution,
    Session,
    Submission,
)
from apps.labeling.selectors.agreement import open_to

BATCH = 500


def provenance_counts(session: Session) -> list[tuple[str, int]]:
    """(how it came about, number of items) of the answers that stand."""
    counts = dict(_standing(session).order_by().values_list("provenance").annotate(count=Count("pk")))
    return [(str(each.label), counts[each.value]) for each in Provenance if counts.get(each.value)]


def causes_of(session: Session) -> list[tuple[str, int]]:
    """(why labelers differed, number of items), the most frequent first."""
    found = _standing(session).exclude(cause="").order_by().values_list("cause").annotate(count=Count("pk"))
    return sorted(((str(Cause(cause).label), count) for cause, count in found), key=lambda pair: -pair[1])


def _standing(session: Session) -> Any:
    return Resolution.objects.filter(item__session=session, replaced_at=None)


def export_lines(session: Session, user: User) -> Iterator[dict[str, Any]]:
    """One record a label, in the order in which they came in: nothing that was ever submitted is left out.

    Only of items that this person could still label themselves, others' labels are kept back.
    """
    visible = Q(user=user) | Q(item__in=open_to(session, user).values("pk"))
    labels = (
        Submission.objects.filter(visible, session=session)
        .select_related("item__example", "user", "guideline_version__guideline", "review__reviewer")
        .prefetch_related(
            Prefetch("answers", queryset=Answer.objects.select_related("question", "draft__run__variant"))
        )
        .order_by("pk")
    )
    for batch in _batches(labels):
        standing = {
            resolution.item_id: resolution
            for resolution in Resolution.objects.filter(
                item__in={label.item_id for label in batch}, replaced_at=None
            )
            .select_related("decided_by")
            .prefetch_related("answers__question")
        }
        for label in batch:
            yield _label(session, label) | {"resolution": _resolution(standing.get(label.item_id))}


def _batches(labels: Any) -> Iterator[list[Submission]]:
    after = 0
    while batch := list(labels.filter(pk__gt=after)[:BATCH]):
        yield batch
        after = batch[-1].pk


def _label(session: Session, label: Submission) -> dict[str, Any]:
    review = getattr(label, "review", None)
    example = label.item.example
    return {
        "session": session.name,
        "version": str(session.version),
        "item": label.item.position,
        "row": example.key,
        "content_hash": example.content_hash,
        "messages": example.payload.get("messages"),
        "label": label.pk,
        "labeler": label.user.email,
        "state": label.state,
        "is_independent": label.is_independent,
        "guideline": str(label.guideline_version) if label.guideline_version else None,
        "look_again": label.look_again,
        "seconds": label.seconds,
        "claimed_at": _moment(label.claimed_at),
        "submitted_at": _moment(label.created_at),
        "ended_at": _moment(label.ended_at),
        "answers": {answer.question.key: _answer(answer) for answer in label.answers.all()},
        "review": None
        if review is None
        else {
            "verdict": review.verdict,
            "reason": review.reason,
            "reviewer": review.reviewer.email,
            "at": _moment(review.created_at),
        },
    }


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "kind": answer.question.kind,
        "value": answer.value,
        "draft_use": answer.draft_use,
        "draft_by": str(answer.draft.run.variant) if answer.draft else None,
        "edit_distance": answer.edit_distance,
    }


def _resolution(resolution: Resolution | None) -> dict[str, Any] | None:
    if resolution is None:
        return None
    return {
        "provenance": resolution.provenance,
        "cause": resolution.cause,
        "note": resolution.note,
        "decided_by": resolution.decided_by.email if resolution.decided_by else None,
        "at": _moment(resolution.created_at),
        "answers": {one.question.key: one.value for one in resolution.answers.all()},
        "distribution": {one.question.key: one.distribution for one in resolution.answers.all()},
    }


def _moment(value: Any) -> str | None:
    return value.isoformat(timespec="milliseconds") if value else None
