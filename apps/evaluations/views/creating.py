"""A new comparison."""

from django.http import HttpResponse
from django.shortcuts import redirect, render

from apps.accounts.permissions import Permission
from apps.core.errors import PortalError
from apps.evaluations.costs import paid_over
from apps.evaluations.forms import ComparisonForm
from apps.evaluations.pages import estimated_time
from apps.evaluations.selectors.comparisons import answers_per_second
from apps.evaluations.selectors.recordings import finished_recordings
from apps.evaluations.services.planning import comparison_from_wish
from apps.projects.access import ProjectRequest, project_view
from apps.registry.models import ModelVersion


@project_view(Permission.EVALUATE, methods=("GET", "POST"))
def create(request: ProjectRequest) -> HttpResponse:
    project = request.project
    initial = {"model_version": request.GET.get("model") or None} | _replaced(request)
    form = ComparisonForm(
        request.POST or None, project=project, initial={k: v for k, v in initial.items() if v}
    )
    if request.method == "POST" and form.is_valid():
        try:
            return redirect(comparison_from_wish(project=project, wish=form.wish(), by=request.user))
        except PortalError as error:
            form.add_error(None, error.message)
    context = {
        "form": form,
        "has_models": ModelVersion.objects.filter(project=project).exists(),
        "preview": _preview(request, form),
    }
    return render(request, "evaluations/create.html", context, status=422 if form.errors else 200)


def _replaced(request: ProjectRequest) -> dict[str, object]:
    """?recorded=…: the answers of the model that it replaces, on the items that they were given to."""
    key = request.GET.get("recorded", "")
    run = next((run for run in finished_recordings(request.project) if str(run.pk) == key), None)
    return {} if run is None else {"recorded": key, "suite": f"suite:{run.suite_id}"}


@project_view(Permission.EVALUATE)
def preview(request: ProjectRequest) -> HttpResponse:
    """What starting would mean: items, calls, time, cost. Asked by htmx as the form changes."""
    form = ComparisonForm(request.GET, project=request.project)
    return render(request, "evaluations/preview.html", {"preview": _preview(request, form)})


def _preview(request: ProjectRequest, form: ComparisonForm) -> dict[str, object]:
    counts = form.counts()
    calls = counts["calls"]
    paid = paid_over(request.project, str(form["model_version"].value() or ""))
    return {
        **counts,
        "paid_over": paid,
        "tools_note": form.tools_note(),
        "time": estimated_time(calls, answers_per_second(request.project)) if calls else None,
    }
