"""A labeler's own labels, and those that deserve another look."""

from django.contrib import messages
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from apps.core.pagination import keyset_page
from apps.labeling.access import LabelerRequest, labeler_view
from apps.labeling.models import Submission, SubmissionState
from apps.labeling.selectors.work import look_again_of, my_labels
from apps.labeling.services.reopening import label_reopen, look_again_confirm


@labeler_view()
def mine(request: LabelerRequest) -> HttpResponse:
    session = request.labeling
    context = {
        "session": session,
        "page": keyset_page(my_labels(session, request.user), request.GET, descending=True),
        "again": look_again_of(session, request.user)[:100],
    }
    return render(request, "labeling/mine.html", context)


@labeler_view(methods=("POST",))
def confirm(request: LabelerRequest, label_pk: int) -> HttpResponse:
    label = get_object_or_404(look_again_of(request.labeling, request.user), pk=label_pk)
    label.session = request.labeling
    look_again_confirm(submission=label, by=request.user)
    messages.success(request, "Noted: this label still holds.")
    return redirect("labeling:mine", request.workspace.slug, request.project.slug, request.labeling.pk)


@labeler_view(methods=("POST",))
def reopen(request: LabelerRequest, label_pk: int) -> HttpResponse:
    """Label it again under the new guideline; the old label is kept beside it."""
    with transaction.atomic():
        labels = Submission.objects.select_for_update(of=("self",)).filter(
            session=request.labeling, user=request.user, look_again=True
        )
        label_reopen(submission=get_object_or_404(labels, pk=label_pk), to=SubmissionState.REPLACED)
    return redirect("labeling:work", request.workspace.slug, request.project.slug, request.labeling.pk)
