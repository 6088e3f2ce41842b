"""The form of a training job at a provider, with what is known of it before it is sent."""

from datetime import date
from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from apps.accounts.permissions import Permission
from apps.core.errors import PortalError
from apps.core.http import render_partial
from apps.jobs.forms import initial_from, kept_choices, new_submission_key
from apps.jobs.hyperparameters import HyperparameterError
from apps.jobs.models import TrainingJob
from apps.jobs.remote.forms import RemoteJobForm
from apps.jobs.selectors import trainable_base_models, trainable_versions
from apps.jobs.services import job_start
from apps.projects.access import ProjectRequest, project_view
from apps.registry.models import BaseModel
from apps.registry.selectors import life_left


@project_view(Permission.TRAIN, methods=("GET", "POST"))
def create(request: ProjectRequest) -> HttpResponse:
    """Like the form of a job here: filled in from the URL, and htmx asks for the card beside it."""
    given = request.POST if request.method == "POST" else request.GET
    base_model = _base_model(request, given.get("base_model", ""))
    if base_model is None:
        return redirect(f"{_url(request, 'jobs:create')}?{kept_choices(given)}")

    def made(*args: Any, **options: Any) -> RemoteJobForm:
        return RemoteJobForm(*args, project=request.project, base_model=base_model, **options)

    if request.method == "POST":
        form = made(request.POST)
        if form.is_valid():
            try:
                return redirect(_start(request, form))
            except HyperparameterError as error:
                form.add_error(error.field if error.field in form.fields else None, error.message)
            except PortalError as error:
                form.add_error(None, error.message)
        return render(request, "jobs/create_remote.html", _context(request, form, form), status=422)
    if request.htmx:
        form = made(request.GET)
        context = _context(request, form, form)
    else:
        initial = _initial(request, base_model)
        drafted = {key: value for key, value in initial.items() if key != "submission_key"}
        context = _context(request, made(initial=initial), made(drafted))
    return render_partial(request, "jobs/create_remote.html", context, partials=["job-preview"])


def _base_model(request: ProjectRequest, value: str) -> BaseModel | None:
    """None: none is chosen, or one of this installation, which has a form of its own."""
    if not (value.isascii() and value.isdecimal() and len(value) < 19):
        return None
    found = get_object_or_404(trainable_base_models(request.workspace), pk=value)
    return found if found.connection is not None else None


def _start(request: ProjectRequest, form: RemoteJobForm) -> TrainingJob:
    data = form.cleaned_data
    return job_start(
        project=request.project,
        version=data["version"],
        base_model=data["base_model"],
        name=data["name"],
        method="managed",
        objective=data["objective"],
        hyperparameters=form.given(),
        cost=form.prospect.cost if form.prospect else None,
        by=request.user,
        submission_key=data["submission_key"],
    )


def _initial(request: ProjectRequest, base_model: BaseModel) -> dict[str, Any]:
    version = trainable_versions(request.project).first()
    initial: dict[str, Any] = {}
    if version is not None:
        initial["version"] = version.pk
    earlier = request.GET.get("from", "")
    if earlier.isascii() and earlier.isdecimal() and len(earlier) < 19:
        initial |= initial_from(get_object_or_404(TrainingJob, project=request.project, pk=earlier))
    initial |= {name: value for name, value in request.GET.items() if name not in ("from", "accept_cost")}
    return initial | {"base_model": base_model.pk, "submission_key": new_submission_key()}


def _context(request: ProjectRequest, form: RemoteJobForm, draft: RemoteJobForm) -> dict[str, Any]:
    """`form` is shown, `draft` is the same with its values read: what the card beside it says."""
    ready = draft.is_bound and draft.is_valid()
    errors = draft.errors if draft.is_bound else {}
    return {
        "form": form,
        "draft": draft,
        "choices_changed": request.GET.get("choices_shown", "") != form.shown,
        "ready": ready,
        "missing": _missing(request, draft, errors, ready=ready),
        "problems": [
            f"{draft.fields[name].label}: {error}" if name in draft.fields else str(error)
            for name, found in errors.items()
            if name not in ("version", "accept_cost")
            for error in found
        ],
        "life": life_left(draft.model, today=_today()),
        "connection": draft.model.connection,
        "data_url": _url(request, "datasets:index"),
        "local_url": _url(request, "jobs:create"),
    }


def _missing(request: ProjectRequest, draft: RemoteJobForm, errors: Any, *, ready: bool) -> str:
    """What the button says while the job can't be sent; empty once it can."""
    if ready:
        return ""
    if not trainable_versions(request.project).exists():
        return "Freeze a version first"
    if not draft.supports:
        return "This model can't be trained there"
    if "version" in errors:
        return "Choose a dataset version"
    if set(errors) == {"accept_cost"}:
        return "Confirm the unknown cost"
    return "Mend what is said above"


def _today() -> date:
    return timezone.localdate()


def _url(request: ProjectRequest, name: str) -> str:
    return reverse(name, args=[request.workspace.slug, request.project.slug])
