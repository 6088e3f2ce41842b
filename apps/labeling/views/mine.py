"""A labeler's own labels, and those that deserve another look."""

from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import redirect, render

from apps.core.errors import ConflictError
from apps.core.pagination import keyset_page
from apps.labeling.access import LabelerRequest, labeler_view
from apps.labeling.models import Submission, SubmissionState
from apps.labeling.selectors.work import item_in_hands, look_again_of, my_labels, threads_to_read
from apps.labeling.services.reopening import label_reopen, look_again_confirm
from apps.labeling.services.talking import comment_add, threads_read


@labeler_view()
def mine(request: LabelerRequest) -> HttpResponse:
    session = request.labeling
    context = {
        "session": session,
        "page": keyset_page(my_labels(session, request.user), request.GET, descending=True),
        "threads": threads_to_read(session, request.user),
        "again": look_again_of(session, request.user)[:100],
    }
    return render(request, "labeling/mine.html", context)


@labeler_view(methods=("POST",))
def confirm(request: LabelerRequest) -> HttpResponse:
    look_again_confirm(
        submission=_label(request, look_again_of(request.labeling, request.user)), by=request.user
    )
    messages.success(request, "Noted: this label still holds.")
    return redirect("labeling:mine", request.workspace.slug, request.project.slug, request.labeling.pk)


@labeler_view(methods=("POST",))
def reopen(request: LabelerRequest) -> HttpResponse:
    """Label it again under the new guideline; the old label is kept beside it."""
    with transaction.atomic():
        labels = Submission.objects.select_for_update(of=("self",)).filter(
            session=request.labeling, user=request.user, look_again=True
        )
        label_reopen(submission=_label(request, labels), to=SubmissionState.REPLACED)
    return redirect("labeling:work", request.workspace.slug, request.project.slug, request.labeling.pk)


@labeler_view(methods=("POST",))
def read_thread(request: LabelerRequest) -> HttpResponse:
    """What the reviewers wrote about an item is read; with a text, answered as well."""
    session, user = request.labeling, request.user
    given = request.POST.get("item", "")
    number = int(given) if given.isascii() and given.isdigit() and len(given) < 19 else 0
    item = item_in_hands(session, user, number)
    if item is None:
        raise ConflictError("This item is not one of yours. Reload the page.")
    text = request.POST.get("text", "").strip()
    if text and request.POST.get("only") != "read":
        comment_add(session=session, item_id=item.pk, thread_of=user, author=user, text=text)
    threads_read(item_id=item.pk, threads_of=[user.pk], user=user)
    return redirect("labeling:mine", request.workspace.slug, request.project.slug, session.pk)


def _label(request: LabelerRequest, among: QuerySet[Submission]) -> Submission:
    """The label that the form names, if it is one of these."""
    given = request.POST.get("label", "")
    label = (
        among.filter(pk=int(given)).first()
        if given.isascii() and given.isdigit() and len(given) < 19
        else None
    )
    if label is None:
        raise ConflictError("This label is not waiting for another look any more. Reload the page.")
    label.session = request.labeling
    return label
