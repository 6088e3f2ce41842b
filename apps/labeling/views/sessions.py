"""The label stage, and how a session is set up and led."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from apps.accounts.permissions import Permission
from apps.core.errors import PortalError
from apps.core.http import render_partial
from apps.core.pagination import keyset_page
from apps.datasets.models import Version, VersionState
from apps.labeling.forms import PILOT_INITIAL, QuestionForm, SessionForm
from apps.labeling.markdown import markdown_html
from apps.labeling.models import Guideline, ItemStage, Question, Seat, Session, SessionState
from apps.labeling.selectors.resolving import stage_counts, waited_for
from apps.labeling.selectors.sessions import (
    figures_of,
    holds_of,
    people_of,
    sessions_of,
    stages_of_items,
    too_few_people,
    unread_by,
)
from apps.labeling.selectors.spending import session_time
from apps.labeling.services.claiming import seat_release
from apps.labeling.services.preparing import count_matching, row_filter_of
from apps.labeling.services.sessions import (
    PREPARE_KIND,
    question_add,
    question_change,
    question_move_up,
    question_remove,
    session_close,
    session_create,
    session_open,
    session_pause,
    session_update,
)
from apps.labeling.tabs import session_tabs
from apps.operations.selectors import latest_operation_for
from apps.projects.access import ProjectRequest, project_view


@project_view(Permission.VIEW)
def index(request: ProjectRequest) -> HttpResponse:
    """The sessions: a reviewer sees all of them, others those that they take part in."""
    sees_all = request.membership.allows(Permission.REVIEW)
    sessions = sessions_of(request.project, request.user, all_of_them=sees_all)
    context = {
        "page": keyset_page(sessions, request.GET, descending=True),
        "guidelines": Guideline.objects.filter(project=request.project)[:50],
        "has_versions": Version.objects.filter(
            dataset__project=request.project, state=VersionState.FROZEN
        ).exists(),
        "sees_all": sees_all,
    }
    return render(request, "labeling/index.html", context)


@project_view(Permission.MANAGE_LABELING, methods=("GET", "POST"))
def create(request: ProjectRequest) -> HttpResponse:
    initial: dict[str, Any] = {
        "version": request.GET.get("version"),
        "row_filter": request.GET.get("rows", ""),
    }
    if request.GET.get("pilot"):
        initial |= PILOT_INITIAL
    form = SessionForm(request.POST or None, project=request.project, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            return redirect(session_create(project=request.project, wish=form.wish(), actor=request.user))
        except PortalError as error:
            form.add_error(None, error.message)
    context = {"form": form, "breadcrumbs": label_crumbs(request, ("New session", ""))}
    return render(request, "labeling/session_form.html", context, status=422 if form.errors else 200)


@project_view(Permission.MANAGE_LABELING, methods=("GET", "POST"))
def edit(request: ProjectRequest, pk: int) -> HttpResponse:
    session = get_session(request, pk)
    form = SessionForm(
        request.POST or None,
        project=request.project,
        session=session,
        initial=SessionForm.initial_of(session),
    )
    if request.method == "POST" and form.is_valid():
        try:
            session_update(session=session, wish=form.wish(), actor=request.user)
            return redirect(session)
        except PortalError as error:
            form.add_error(None, error.message)
    context = {
        "form": form,
        "session": session,
        "breadcrumbs": label_crumbs(request, *_at(session), ("Change", "")),
    }
    return render(request, "labeling/session_form.html", context, status=422 if form.errors else 200)


@project_view(Permission.REVIEW)
def session(request: ProjectRequest, pk: int) -> HttpResponse:
    """Set-up while it is a draft; then progress, pace, people, and who holds what."""
    found = get_session(request, pk)
    context: dict[str, Any] = {
        "session": found,
        "questions": [(question, markdown_html(question.help)) for question in found.questions.all()],
        "instructions_html": markdown_html(found.instructions),
        "row_conditions": row_filter_of(found.row_filter).conditions(),
        "operation": latest_operation_for(found, PREPARE_KIND),
        "people": people_of(found),
        "too_few_people": too_few_people(found),
        "i_take_part": found.everyone
        or found.participants.filter(user=request.user, is_active=True).exists(),
        "breadcrumbs": label_crumbs(request, (found.name, "")),
    }
    if found.state == SessionState.DRAFT:
        context["matching"] = count_matching(found)
    else:
        stages = stages_of_items(found)
        counts = stage_counts(found, stages)
        context["tabs"] = session_tabs(request, found, "session", counts)
        context |= {
            "figures": figures_of(found),
            "spent": session_time(found),
            "reply_count": unread_by(found, request.user),
            "stages": _stages(stages),
            "waiting": waited_for(found, counts),
            "holds": holds_of(found)[:200],
        }
    is_ready = request.GET.get("was") == SessionState.PREPARING != found.state
    return render_partial(request, "labeling/session.html", context, partials=("live",), refresh=is_ready)


def _stages(counts: Mapping[str, int]) -> list[tuple[str, str, int]]:
    return [(stage.value, str(stage.label), counts[stage]) for stage in ItemStage if counts[stage]]


@project_view(Permission.MANAGE_LABELING, methods=("POST",))
def open_session(request: ProjectRequest, pk: int) -> HttpResponse:
    found = get_session(request, pk)
    session_open(session=found, actor=request.user)
    return redirect(found)


@project_view(Permission.MANAGE_LABELING, methods=("POST",))
def pause(request: ProjectRequest, pk: int) -> HttpResponse:
    found = get_session(request, pk)
    session_pause(session=found, actor=request.user)
    messages.success(request, "Paused. Nothing is handed out; what people hold they may still finish.")
    return redirect(found)


@project_view(Permission.MANAGE_LABELING, methods=("POST",))
def close(request: ProjectRequest, pk: int) -> HttpResponse:
    found = get_session(request, pk)
    session_close(session=found, actor=request.user)
    return redirect(found)


@project_view(Permission.MANAGE_LABELING, methods=("GET", "POST"))
def add_question(request: ProjectRequest, pk: int) -> HttpResponse:
    found = get_session(request, pk)
    form = QuestionForm(request.POST or None, session=found, initial={"kind": "choose_one"})
    return _question_page(request, found, form, None)


@project_view(Permission.MANAGE_LABELING, methods=("GET", "POST"))
def question(request: ProjectRequest, pk: int) -> HttpResponse:
    asked = get_question(request, pk)
    form = QuestionForm(
        request.POST or None,
        session=asked.session,
        question=asked,
        initial=QuestionForm.initial_of(asked),
    )
    return _question_page(request, asked.session, form, asked)


def _question_page(
    request: ProjectRequest, found: Session, form: QuestionForm, asked: Question | None
) -> HttpResponse:
    if request.method == "POST" and form.is_valid():
        try:
            if asked is None:
                question_add(session=found, wish=form.wish(), actor=request.user)
            else:
                question_change(question=asked, wish=form.wish(), actor=request.user)
            return redirect(found)
        except PortalError as error:
            form.add_error(None, error.message)
    crumbs = label_crumbs(request, *_at(found), (asked.title if asked else "New question", ""))
    context = {"form": form, "session": found, "question": asked, "breadcrumbs": crumbs}
    return render(request, "labeling/question_form.html", context, status=422 if form.errors else 200)


@project_view(Permission.MANAGE_LABELING, methods=("POST",))
def remove_question(request: ProjectRequest, pk: int) -> HttpResponse:
    asked = get_question(request, pk)
    question_remove(question=asked, actor=request.user)
    return redirect(asked.session)


@project_view(Permission.MANAGE_LABELING, methods=("POST",))
def move_question(request: ProjectRequest, pk: int) -> HttpResponse:
    asked = get_question(request, pk)
    question_move_up(question=asked, actor=request.user)
    return redirect(asked.session)


@project_view(Permission.MANAGE_LABELING, methods=("POST",))
def release(request: ProjectRequest, pk: int) -> HttpResponse:
    seat = get_object_or_404(Seat, session__project=request.project, pk=pk)
    seat_release(seat=seat, by=request.user)
    messages.success(request, "The item is free again.")
    return redirect(get_session(request, seat.session_id))


def get_session(request: ProjectRequest, pk: int) -> Session:
    """A session of the request's project, or Http404."""
    sessions = Session.objects.select_related("version__dataset", "guideline_version__guideline", "pilot")
    found = get_object_or_404(sessions, project=request.project, pk=pk)
    found.project = request.project
    return found


def get_question(request: ProjectRequest, pk: int) -> Question:
    asked = get_object_or_404(
        Question.objects.select_related("session"), session__project=request.project, pk=pk
    )
    asked.session.project = request.project
    return asked


def _at(session: Session) -> tuple[tuple[str, str]]:
    return ((session.name, session.get_absolute_url()),)


def label_crumbs(request: ProjectRequest, *more: tuple[str, str]) -> list[dict[str, str]]:
    workspace, project = request.workspace, request.project
    crumbs = [
        {"label": workspace.name, "url": workspace.get_absolute_url()},
        {"label": project.name, "url": project.get_absolute_url()},
        {"label": "Label", "url": reverse("labeling:index", args=[workspace.slug, project.slug])},
    ]
    return crumbs + [{"label": label, "url": url} for label, url in more]
