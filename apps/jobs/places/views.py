"""Where to train: the page that compares providers for a version, and the step from a line of it to the form."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from apps.accounts.permissions import Permission
from apps.jobs.places.finding import Place, places_for
from apps.jobs.places.forms import PlaceForm, TakeForm, Wanted
from apps.jobs.selectors import trainable_versions
from apps.projects.access import ProjectRequest, project_view
from apps.providers.selectors import connections_of
from apps.registry.services import remote_base_model_ensure

SHOWN = 80


@project_view(Permission.VIEW)
def where(request: ProjectRequest) -> HttpResponse:
    """?version=…&objective=…&epochs=…&q=…: a line for every model that the version could be trained on."""
    versions = trainable_versions(request.project)
    newest = versions.first()
    context: dict[str, Any] = {"has_versions": newest is not None, "breadcrumbs": _crumbs(request)}
    if newest is None:
        return render(request, "jobs/where.html", context)
    form = PlaceForm(request.GET, versions=versions, newest=newest)
    wanted = form.wanted
    version = wanted.version
    version.dataset.project = request.project
    found = places_for(version, objective=wanted.objective, epochs=wanted.epochs, today=timezone.localdate())
    words = wanted.search.casefold().split()
    places = [
        place
        for place in found.places
        if all(
            word
            in f"{place.name} {place.reference} {place.provider_label} {place.connection or ''}".casefold()
            for word in words
        )
    ]
    context |= {
        "form": form,
        "wanted": wanted,
        "version": version,
        "objective": wanted.objective,
        "has_pairs": bool(version.statistics.get("preference_pairs")),
        "found": found,
        "places": [
            {"place": place, "form_url": _form_url(request, wanted, place)} for place in places[:SHOWN]
        ],
        "total": len(places),
        "has_connections": connections_of(request.workspace).exists(),
    }
    return render(request, "jobs/where.html", context)


@project_view(Permission.TRAIN, methods=("POST",))
def take(request: ProjectRequest) -> HttpResponse:
    """Take a model of a connection's list into the workspace, and go on to the form with it."""
    form = TakeForm(request.POST)
    if not form.is_valid():
        return redirect("jobs:where", request.workspace.slug, request.project.slug)
    data = form.cleaned_data
    connection = get_object_or_404(connections_of(request.workspace), pk=data["connection"])
    base_model = remote_base_model_ensure(
        connection=connection, reference=data["reference"], actor=request.user
    )
    return redirect(_create_url(request, {**form.choices(), "base_model": base_model.pk}))


def _form_url(request: ProjectRequest, wanted: Wanted, place: Place) -> str:
    """Empty where the model has to be taken into the workspace first."""
    if place.base_model is None:
        return ""
    return _create_url(request, {**wanted.choices(place.epochs), "base_model": place.base_model.pk})


def _create_url(request: ProjectRequest, values: dict[str, Any]) -> str:
    return (
        f"{reverse('jobs:create', args=[request.workspace.slug, request.project.slug])}?{urlencode(values)}"
    )


def _crumbs(request: ProjectRequest) -> list[dict[str, str]]:
    workspace, project = request.workspace, request.project
    return [
        {"label": workspace.name, "url": workspace.get_absolute_url()},
        {"label": project.name, "url": project.get_absolute_url()},
        {"label": "Train", "url": reverse("jobs:index", args=[workspace.slug, project.slug])},
        {"label": "Where to train", "url": ""},
    ]
