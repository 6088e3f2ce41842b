"""What the form would train, to be trained elsewhere."""

from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from apps.accounts.permissions import Permission
from apps.core.http import stream_download
from apps.jobs.forms import JobForm
from apps.jobs.job_files import replay_file
from apps.jobs.recipes import recipe_archive, recipe_name
from apps.jobs.replay import available_rows
from apps.jobs.trainers import WITH_RECIPE
from apps.jobs.views import Draft
from apps.projects.access import ProjectRequest, project_view


@project_view(Permission.TRAIN, methods=("POST",))
def recipe(request: ProjectRequest, trainer: str) -> HttpResponse | HttpResponseBase:
    """The filled-in form as another trainer's configuration with its data files, in a ZIP."""
    if trainer not in WITH_RECIPE:
        raise Http404("No such recipe")
    form = JobForm(
        request.POST,
        project=request.project,
        replay_available=available_rows(replay_file()),
        elsewhere=trainer,
    )
    if not form.is_valid():
        return render(request, "jobs/create.html", Draft(request, form).context(), status=422)
    assert form.values is not None
    version = form.cleaned_data["version"]
    content = recipe_archive(
        trainer=trainer,
        version=version,
        base_model=form.cleaned_data["base_model"],
        method=form.cleaned_data["method"],
        objective=form.chosen_objective,
        values=form.values,
        notes=form.trainer_problems,
    )
    return stream_download(
        request, content, filename=recipe_name(version, trainer), content_type="application/zip"
    )
