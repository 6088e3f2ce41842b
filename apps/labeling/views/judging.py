"""Review of single labels, and adjudication of items on which labels differ."""

import math

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from apps.accounts.permissions import Permission
from apps.core.errors import PortalError
from apps.labeling.forms_results import JudgeForm, ReturnForm, SetAsideForm
from apps.labeling.item_content import content_of
from apps.labeling.markdown import markdown_html
from apps.labeling.models import Item, ItemStage, Session, Submission
from apps.labeling.selectors.agreement import open_to
from apps.labeling.selectors.resolving import (
    ShownItem,
    kept_from_adjudicating,
    next_of,
    shown_item,
    span_text,
    stage_counts,
    to_adjudicate,
    to_review,
    waited_for,
)
from apps.labeling.services.adjudicating import (
    item_adjudicate,
    item_reopen,
    item_set_aside,
    session_take_majority,
)
from apps.labeling.services.reviewing import label_accept, label_return
from apps.labeling.services.submitting import AnswersRefusedError
from apps.labeling.tabs import session_tabs
from apps.labeling.views.sessions import get_session, label_crumbs
from apps.projects.access import ProjectRequest, project_view

SHOWN_IN_QUEUE = 25


@project_view(Permission.REVIEW)
def adjudication(request: ProjectRequest, pk: int) -> HttpResponse:
    """What waits for this person, the greatest disagreement first."""
    session = get_session(request, pk)
    counts = stage_counts(session)
    waiting = list(to_adjudicate(session, request.user)[:SHOWN_IN_QUEUE])
    context = {
        "session": session,
        "counts": counts,
        "rows": [(item, content_of(item.example.payload)) for item in waiting],
        "kept_from": kept_from_adjudicating(session, request.user),
        "waiting": waited_for(session, counts),
        "tabs": session_tabs(request, session, "adjudication", counts),
        "breadcrumbs": label_crumbs(
            request, (session.name, session.get_absolute_url()), ("Adjudication", "")
        ),
    }
    return render(request, "labeling/adjudication.html", context)


@project_view(Permission.REVIEW, methods=("GET", "POST"))
def judge(request: ProjectRequest, pk: int) -> HttpResponse:
    """The labels of one item side by side without names; one answer is chosen or written."""
    item = get_open_item(request, pk)
    session = item.session
    questions = list(session.questions.all())
    shown = shown_item(item, questions)
    may_judge = to_adjudicate(session, request.user).filter(pk=item.pk).exists()
    texts = {question.key: span_text(question, shown.content) for question in questions}
    candidates = len(shown.content.candidates)
    form = JudgeForm(request.POST or None, shown=shown.questions, texts=texts, candidates=candidates)
    if request.method == "POST" and form.is_valid():
        try:
            item_adjudicate(
                item=item,
                by=request.user,
                choices=form.cleaned_data["choices"],
                cause=form.cleaned_data["cause"],
                note=form.cleaned_data["note"],
                seconds=form.cleaned_data["seconds"],
            )
            return _next(request, session, item)
        except AnswersRefusedError as error:
            form.refuse(error.problems)
        except PortalError as error:
            form.add_error(None, error.message)
    context = _item_context(request, shown) | {
        "form": form,
        "may_judge": may_judge,
        "set_aside": SetAsideForm(),
    }
    return render(request, "labeling/judge.html", context, status=422 if form.errors else 200)


@project_view(Permission.REVIEW, methods=("POST",))
def set_aside(request: ProjectRequest, pk: int) -> HttpResponse:
    item = get_open_item(request, pk)
    item_set_aside(item=item, by=request.user, note=request.POST.get("note", ""), seconds=_seconds(request))
    return _next(request, item.session, item)


@project_view(Permission.MANAGE_LABELING, methods=("POST",))
def reopen(request: ProjectRequest, pk: int) -> HttpResponse:
    item = get_open_item(request, pk)
    item_reopen(item=item, by=request.user)
    return redirect("labeling:judge", request.workspace.slug, request.project.slug, item.pk)


@project_view(Permission.MANAGE_LABELING, methods=("POST",))
def take_majority(request: ProjectRequest, pk: int) -> HttpResponse:
    session = get_session(request, pk)
    taken = session_take_majority(session=session, by=request.user)
    messages.success(request, f"{taken} items took the answer of the majority.")
    return redirect("labeling:adjudication", request.workspace.slug, request.project.slug, pk)


@project_view(Permission.REVIEW)
def review(request: ProjectRequest, pk: int) -> HttpResponse:
    """The next item with labels that nobody has looked at."""
    session = get_session(request, pk)
    after = request.GET.get("after", "")
    queue = to_review(session, request.user)
    item = next_of(queue, int(after) if after.isdigit() else None) or next_of(queue)
    counts = stage_counts(session)
    context = {
        "session": session,
        "counts": counts,
        "tabs": session_tabs(request, session, "review", counts),
        "return_form": ReturnForm(),
    }
    if item is not None:
        item.session = session
        context |= _item_context(request, shown_item(item, list(session.questions.all())))
    context["breadcrumbs"] = label_crumbs(request, (session.name, session.get_absolute_url()), ("Review", ""))
    return render(request, "labeling/review.html", context)


@project_view(Permission.REVIEW, methods=("POST",))
def accept_label(request: ProjectRequest, pk: int) -> HttpResponse:
    label = get_label(request, pk)
    label_accept(submission=label, by=request.user, seconds=_seconds(request))
    return _back_to_review(request, label)


@project_view(Permission.REVIEW, methods=("POST",))
def return_label(request: ProjectRequest, pk: int) -> HttpResponse:
    label = get_label(request, pk)
    reason = request.POST.get("reason", "")
    label_return(submission=label, by=request.user, reason=reason, seconds=_seconds(request))
    messages.success(request, "Returned. Its author sees the item again, with your reason.")
    return _back_to_review(request, label)


def get_open_item(request: ProjectRequest, pk: int) -> Item:
    """An item of the project whose labels this person may see, or Http404."""
    found = get_object_or_404(Item.objects.select_related("session"), session__project=request.project, pk=pk)
    session = get_session(request, found.session_id)
    item = open_to(session, request.user).select_related("example").filter(pk=pk).first()
    if item is None:
        raise Http404("You have not labeled this item yet")
    item.session = session
    return item


def get_label(request: ProjectRequest, pk: int) -> Submission:
    """A label of the project whose item this person may see, or Http404."""
    label = get_object_or_404(Submission, session__project=request.project, pk=pk)
    get_open_item(request, label.item_id)
    return label


def _item_context(request: ProjectRequest, shown: ShownItem) -> dict[str, object]:
    session = shown.item.session
    guideline = session.guideline_version
    return {
        "session": session,
        "shown": shown,
        "item": shown.item,
        "guideline_html": markdown_html(guideline.text) if guideline else "",
        "waiting": to_adjudicate(session, request.user).count()
        if shown.item.stage == ItemStage.ADJUDICATION
        else 0,
        "breadcrumbs": label_crumbs(
            request,
            (session.name, session.get_absolute_url()),
            ("Adjudication", _adjudication_url(request, session)),
            (f"Item {shown.item.position}", ""),
        ),
    }


def _adjudication_url(request: ProjectRequest, session: Session) -> str:
    return reverse("labeling:adjudication", args=[request.workspace.slug, request.project.slug, session.pk])


def _seconds(request: ProjectRequest) -> float | None:
    """What the page measured; without JavaScript it measures nothing."""
    try:
        seconds = float(request.POST.get("seconds", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) else None


def _next(request: ProjectRequest, session: Session, item: Item) -> HttpResponse:
    following = next_of(to_adjudicate(session, request.user), item.pk)
    if following is None:
        messages.success(request, "Nothing waits for you any more.")
        return redirect(_adjudication_url(request, session))
    return redirect("labeling:judge", request.workspace.slug, request.project.slug, following.pk)


def _back_to_review(request: ProjectRequest, label: Submission) -> HttpResponse:
    return redirect("labeling:review", request.workspace.slug, request.project.slug, label.session_id)
