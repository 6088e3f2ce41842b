"""Pages of training jobs: the list, the form, one job, several beside each other."""

import json
from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property

from apps.accounts.permissions import Permission
from apps.core.errors import PortalError
from apps.core.http import render_partial
from apps.core.pagination import keyset_page
from apps.jobs.forms import COMMON, RARE, JobForm, initial_from, kept_choices, new_submission_key, shown
from apps.jobs.hyperparameters import HyperparameterError, label
from apps.jobs.job_files import replay_file
from apps.jobs.models import TrainingJob
from apps.jobs.recovery.rescue import rescue_of
from apps.jobs.remote.downloads import hands_out_adapter
from apps.jobs.replay import available_rows
from apps.jobs.selectors import (
    job_details,
    jobs_of_project,
    trainable_base_models,
    trainable_versions,
)
from apps.jobs.services import job_cancel, job_operation, job_pause, job_resume, job_start
from apps.jobs.standing import differing_hyperparameters, job_standing
from apps.jobs.trainers import LAUNCHED, WITH_RECIPE, OfferedTrainer, trainer_label
from apps.projects.access import ProjectRequest, project_view
from apps.registry.services import base_model_ensure

COMPARED_AT_MOST = 6


@project_view(Permission.VIEW)
def jobs(request: ProjectRequest) -> HttpResponse:
    page = keyset_page(jobs_of_project(request.project), request.GET, descending=True, size=25)
    for job in page.rows:
        job.project = request.project
        job.version.dataset.project = request.project
    context = {"page": page, "has_versions": bool(page.rows) or trainable_versions(request.project).exists()}
    return render(request, "jobs/list.html", context)


class Draft:
    """The form as it stands, with what the card beside it says."""

    def __init__(self, request: ProjectRequest, form: JobForm) -> None:
        self.request, self.form = request, form
        self.ready = form.is_bound and form.is_valid()

    @cached_property
    def has_versions(self) -> bool:
        return trainable_versions(self.request.project).exists()

    @property
    def missing(self) -> str:
        """What the button says while the job can't be started; empty once it can."""
        if self.ready:
            return ""
        if not self.has_versions:
            return "Freeze a version first"
        errors = self.form.errors if self.form.is_bound else {}
        if not self.form.is_bound or "version" in errors:
            return "Choose a dataset version"
        if "base_model" in errors:
            return "Choose a base model"
        if set(errors) == {"accept_few"}:
            return "Confirm the small dataset"
        return f"Mend {len(errors)} setting{'s' if len(errors) > 1 else ''}"

    @property
    def problems(self) -> list[str]:
        """Errors of what was filled in; what is still empty is said by the button."""
        if not self.form.is_bound:
            return []
        skipped = {"version", "base_model", "accept_few"}
        return [
            self._in_words(name, str(error))
            for name, errors in self.form.errors.items()
            if name not in skipped
            for error in errors
        ]

    def _in_words(self, name: str, error: str) -> str:
        """With the name of its setting, unless it begins with that."""
        if name not in self.form.fields:
            return error
        named = str(self.form[name].label)
        return error if error.startswith(f"{named} ") else f"{named}: {error}"

    @property
    def settings(self) -> list[dict[str, Any]]:
        values, given = self.form.values, self.form.given() if self.form.values else {}
        return [
            {"label": label(name), "value": shown(values[name]), "chosen": name in given}
            for name in self.form.setting_names
            if values is not None
            and values.get(name) is not None
            and (name in (*COMMON, "beta") or name in given)
        ]

    @property
    def elsewhere(self) -> list[OfferedTrainer]:
        """Trainers that this training can be taken away for."""
        return [OfferedTrainer(name, trainer_label(name)) for name in WITH_RECIPE]

    def context(self) -> dict[str, Any]:
        return {
            "form": self.form,
            "draft": self,
            "common_fields": [self.form[name] for name in COMMON],
            "rare_fields": [self.form[name] for name in RARE],
            "objective_changed": self.request.GET.get("objective_shown", "") != self.form.objective_state,
            "data_url": reverse("datasets:index", args=_slugs(self.request)),
        }


@project_view(Permission.TRAIN, methods=("GET", "POST"))
def create(request: ProjectRequest) -> HttpResponse:
    """The form. Its fields come from the URL, so that a link can prefill it; htmx asks for the card beside it."""
    sent = request.POST if request.method == "POST" else request.GET
    given = {name: str(value) for name, value in sent.items()}
    given.setdefault("base_model", _base_model_of(request, given.get("from", "")))
    if _trains_elsewhere(request, given["base_model"]):
        there = reverse("jobs:create_remote", args=_slugs(request))
        return redirect(f"{there}?{kept_choices(given)}")
    available = available_rows(replay_file())
    if request.method == "POST":
        form = JobForm(request.POST, project=request.project, replay_available=available)
        if form.is_valid():
            try:
                return redirect(_start(request, form))
            except HyperparameterError as error:
                form.add_error(error.field if error.field in form.fields else None, error.message)
            except PortalError as error:
                form.add_error(None, error.message)
        return render(request, "jobs/create.html", Draft(request, form).context(), status=422)
    initial = _initial(request)
    if request.htmx:
        form = JobForm(request.GET, project=request.project, replay_available=available)
        draft = Draft(request, form)
    else:
        form = JobForm(initial=initial, project=request.project, replay_available=available)
        drafted = {key: value for key, value in initial.items() if key != "submission_key"}
        draft = Draft(request, JobForm(drafted, project=request.project, replay_available=available))
    context = draft.context() | {
        "form": form,
        "common_fields": [form[name] for name in COMMON],
        "rare_fields": [form[name] for name in RARE],
    }
    return render_partial(request, "jobs/create.html", context, partials=["job-preview"])


def _base_model_of(request: ProjectRequest, job: str) -> str:
    """The key of the base model of an earlier job; empty if there is none."""
    if not (job.isascii() and job.isdecimal() and len(job) < 19):
        return ""
    found = TrainingJob.objects.filter(project=request.project, pk=job).values_list(
        "base_model_id", flat=True
    )
    return str(found.first() or "")


def _trains_elsewhere(request: ProjectRequest, base_model: str) -> bool:
    """Whether a provider's model is chosen: that has a form of its own."""
    if not (base_model.isascii() and base_model.isdecimal() and len(base_model) < 19):
        return False
    chosen = trainable_base_models(request.workspace).filter(pk=base_model, connection__isnull=False)
    return chosen.exists()


def _start(request: ProjectRequest, form: JobForm) -> TrainingJob:
    data = form.cleaned_data
    return job_start(
        project=request.project,
        version=data["version"],
        base_model=data["base_model"],
        name=data["name"],
        method=data["method"],
        objective=form.chosen_objective,
        hyperparameters=form.given(),
        trained_by=form.trainer,
        by=request.user,
        submission_key=data["submission_key"],
    )


def _initial(request: ProjectRequest) -> dict[str, Any]:
    """From an earlier job (?from=…), from the URL, else the newest version and the project's base model."""
    initial: dict[str, Any] = {"method": "lora"}
    version = trainable_versions(request.project).first()
    if version is not None:
        initial["version"] = version.pk
    try:
        base = base_model_ensure(
            workspace=request.workspace, reference=request.project.base_model, actor=request.user
        )
        initial["base_model"] = base.pk
    except PortalError:
        pass  # the project's default is not there; others may be
    earlier = request.GET.get("from", "")
    if earlier.isascii() and earlier.isdecimal() and len(earlier) < 19:
        initial |= initial_from(get_object_or_404(TrainingJob, project=request.project, pk=earlier))
    initial |= {
        name: value
        for name, value in request.GET.items()
        if name in JobForm.base_fields or name in (*RARE, *COMMON, "beta")
    }
    return initial | {"submission_key": new_submission_key()}


@project_view(Permission.VIEW)
def detail(request: ProjectRequest, pk: int) -> HttpResponse:
    job = _job(request, pk)
    context = page_context(job) | {
        "configuration_json": json.dumps(job.configuration, indent=2, sort_keys=True),
        "runs": [chart_run(job)],
        "rescue": rescue_of(job, today=timezone.localdate()),
    }
    return render(request, "jobs/detail.html", context)


@project_view(Permission.TRAIN, methods=("POST",))
def cancel(request: ProjectRequest, pk: int) -> HttpResponse:
    job = _job(request, pk)
    job_cancel(job=job, by=request.user)
    return redirect(job)


@project_view(Permission.TRAIN, methods=("POST",))
def pause(request: ProjectRequest, pk: int) -> HttpResponse:
    job = _job(request, pk)
    job_pause(job=job, by=request.user)
    return redirect(job)


@project_view(Permission.TRAIN, methods=("POST",))
def resume(request: ProjectRequest, pk: int) -> HttpResponse:
    job = _job(request, pk)
    job_resume(job=job, by=request.user)
    return redirect(job)


@project_view(Permission.VIEW)
def compare(request: ProjectRequest) -> HttpResponse:
    """?job=1&job=2: their curves in one picture, and only the settings that differ."""
    ids = [int(value) for value in request.GET.getlist("job") if value.isascii() and value.isdecimal()]
    found = {job.pk: job for job in job_details(request.project).filter(pk__in=ids[:COMPARED_AT_MOST])}
    chosen = [found[pk] for pk in dict.fromkeys(ids) if pk in found]
    others = list(jobs_of_project(request.project).exclude(pk__in=list(found)).order_by("-pk")[:25])
    context = {
        "jobs": chosen,
        "others": others if len(chosen) < COMPARED_AT_MOST else [],
        "differences": differing_hyperparameters(chosen),
        "runs": [chart_run(job) for job in chosen],
        "at_most": COMPARED_AT_MOST,
    }
    return render(request, "jobs/compare.html", context)


def page_context(job: TrainingJob) -> dict[str, Any]:
    """What the parts of the page of a job that change while it runs are made of."""
    return {
        "job": job,
        "standing": job_standing(job, job_operation(job)),
        "trained_by": trainer_label(job.provider) if job.provider in LAUNCHED else "",
        "hands_out_adapter": hands_out_adapter(job),
    }


def chart_run(job: TrainingJob) -> dict[str, str]:
    arguments = [job.project.workspace.slug, job.project.slug, job.pk]
    return {
        "name": job.name,
        "url": reverse("jobs:metrics", args=arguments),
        "csv_url": reverse("jobs:csv", args=arguments),
    }


def _job(request: ProjectRequest, pk: int) -> TrainingJob:
    return get_object_or_404(job_details(request.project), pk=pk)


def _slugs(request: ProjectRequest) -> list[str]:
    return [request.workspace.slug, request.project.slug]
