"""A reviewer's word on single labels: accepted, or returned to the author with the reason."""

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.core.errors import ConflictError, NotAllowedError, PortalError
from apps.labeling.models import Item, ItemStage, Review, ReviewVerdict, Submission, SubmissionState, TimeUse
from apps.labeling.services.reopening import label_reopen
from apps.labeling.services.settling import given_labels, items_pass_on
from apps.labeling.services.time_spending import measured, time_add

MOST_REASON_CHARACTERS = 2000


def label_accept(*, submission: Submission, by: User, seconds: float | None = None) -> None:
    """The label may count. With the last one of its item accepted, the item moves on."""
    with transaction.atomic():
        item, locked = _locked(submission, by)
        _keep(locked, by, ReviewVerdict.ACCEPTED, seconds)
        _record(locked, by, "labeling.label_accepted")
        if not Submission.objects.filter(item=item, state=SubmissionState.COUNTS, review=None).exists():
            questions = list(item.session.questions.all())
            given = given_labels([item.pk], questions)
            items_pass_on(items=[item], questions=questions, given=given)


def label_return(*, submission: Submission, by: User, reason: str, seconds: float | None = None) -> None:
    """Give the item back to the label's author, who sees the reason and labels anew. The label itself is kept."""
    reason = reason.strip().replace("\x00", "")[:MOST_REASON_CHARACTERS]
    if not reason:
        raise PortalError("Say what should be different: the author reads it beside the item.")
    with transaction.atomic():
        _, locked = _locked(submission, by)
        _keep(locked, by, ReviewVerdict.REJECTED, seconds, reason)
        label_reopen(submission=locked, to=SubmissionState.RETURNED)
        _record(locked, by, "labeling.label_returned", reason=reason)


def _locked(submission: Submission, by: User) -> tuple[Item, Submission]:
    items = Item.objects.select_for_update(of=("self",)).select_related("session__project__workspace")
    item = items.get(pk=submission.item_id)
    locked = Submission.objects.select_for_update().get(pk=submission.pk)
    if locked.user_id == by.pk:
        raise NotAllowedError("This is your own label. Somebody else reviews it.")
    if item.stage != ItemStage.REVIEW or locked.state != SubmissionState.COUNTS:
        raise ConflictError("This label is not waiting for a review any more. Reload the page.")
    if Review.objects.filter(submission=locked).exists():
        raise ConflictError("This label has been reviewed already. Reload the page.")
    locked.session, locked.item = item.session, item
    return item, locked


def _keep(
    submission: Submission, by: User, verdict: ReviewVerdict, seconds: float | None, reason: str = ""
) -> None:
    taken = measured(seconds)
    Review.objects.create(submission=submission, reviewer=by, verdict=verdict, reason=reason, seconds=taken)
    time_add(session_id=submission.session_id, user_id=by.pk, use=TimeUse.REVIEW, seconds=taken)


def _record(submission: Submission, by: User, action: str, **data: str) -> None:
    record(
        workspace=submission.session.project.workspace,
        actor=by,
        action=action,
        target=submission.session,
        data={"item": submission.item_id, "submission": submission.pk, **data},
    )
