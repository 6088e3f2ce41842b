"""What tuned models answered, kept for the day on which they are gone."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from apps.accounts.permissions import Permission
from apps.core.errors import PortalError
from apps.core.http import render_partial
from apps.evaluations.forms import RecordingForm
from apps.evaluations.models import Run
from apps.evaluations.selectors.recordings import SHOWN, recording_rows, recordings_of, recordings_url
from apps.evaluations.services.comparisons import LeakageError
from apps.evaluations.services.recording import Recording, recording_close, recording_start
from apps.evaluations.services.suites import suite_from_version
from apps.projects.access import ProjectRequest, project_view


@project_view(Permission.EVALUATE, methods=("GET", "POST"))
def recordings(request: ProjectRequest) -> HttpResponse:
    """What is recorded, and the form of a new recording; ?model=… and ?items=… fill it in."""
    given = {"model_version": request.GET.get("model"), "suite": request.GET.get("items")}
    form = RecordingForm(
        request.POST or None, project=request.project, initial={k: v for k, v in given.items() if v}
    )
    asks_to_confirm = bool(request.POST.get("knows_trained_on"))
    if request.method == "POST" and form.is_valid():
        try:
            _start(request, form)
        except LeakageError as error:
            form.add_error("knows_trained_on", error.message)
            asks_to_confirm = True
        except PortalError as error:
            form.add_error(None, error.message)
        else:
            return redirect(recordings_url(request.project))
    rows = recording_rows(list(recordings_of(request.project)[:SHOWN]))
    context = {
        "form": form,
        "has_models": form.fields["model_version"].queryset.exists(),  # type: ignore[attr-defined]
        "asks_to_confirm": asks_to_confirm,
        "rows": rows,
        "is_working": any(row.is_working for row in rows),
    }
    status = 422 if form.errors else 200
    if status == 422:
        return render(request, "evaluations/recordings.html", context, status=status)
    return render_partial(request, "evaluations/recordings.html", context, partials=("recordings",))


def _start(request: ProjectRequest, form: RecordingForm) -> None:
    suite, version = form.chosen()
    if suite is None:
        assert version is not None
        suite = suite_from_version(project=request.project, version=version, by=request.user)
    wish = Recording(
        model_version=form.cleaned_data["model_version"],
        suite=suite,
        knows_trained_on=form.cleaned_data["knows_trained_on"],
    )
    recording_start(project=request.project, wish=wish, by=request.user)


@project_view(Permission.EVALUATE, methods=("POST",))
def close(request: ProjectRequest, pk: int) -> HttpResponse:
    """Keep what was answered, and ask no more."""
    run = get_object_or_404(
        Run.objects.select_related("suite__project__workspace", "variant"),
        suite__project=request.project,
        pk=pk,
    )
    try:
        recording_close(run=run, by=request.user)
    except PortalError as error:
        messages.error(request, error.message)
    return redirect(recordings_url(request.project))
