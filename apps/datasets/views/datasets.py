"""The index of a project's data, a dataset with its rows, one row."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import FileResponse, Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from apps.accounts.permissions import Permission
from apps.core.http import render_partial
from apps.core.pagination import keyset_page
from apps.datasets.forms import DatasetForm
from apps.datasets.models import Dataset, Split, VersionState
from apps.datasets.row_filters import NO_SPLIT, RowFilter
from apps.datasets.selectors import (
    common_answers_of,
    datasets_of,
    datasets_with_versions,
    deleted_datasets_of,
    examples_page,
    imports_of,
    open_imports_of,
    sources_of,
)
from apps.datasets.selectors_changes import changes_of
from apps.datasets.selectors_checks import finding_names, latest_report
from apps.datasets.services import DAYS_IN_TRASH, dataset_delete, dataset_restore, dataset_update
from apps.projects.access import ProjectRequest, project_view

VERSIONS_SHOWN = 5
IMPORTS_SHOWN = 20


def data_crumbs(request: ProjectRequest, *more: tuple[str, str]) -> list[dict[str, str]]:
    """Data, and what is below it; the last one is the page itself and has no address."""
    slugs = [request.workspace.slug, request.project.slug]
    crumbs = [(request.project.name, request.project.get_absolute_url())]
    crumbs += [("Data", reverse("datasets:index", args=slugs)), *more]
    return [{"label": label, "url": url} for label, url in crumbs]


def dataset_tabs(dataset: Dataset, current: str) -> list[dict[str, object]]:
    url = dataset.get_absolute_url()
    tabs: list[dict[str, object]] = [
        {"label": label, "url": f"{url}?tab={key}" if key != "rows" else url, "current": key == current}
        for key, label in (
            ("rows", "Rows"),
            ("versions", "Versions"),
            ("changes", "Changes"),
            ("imports", "Imports"),
        )
    ]
    tabs.insert(1, {"label": "Checks", "url": f"{url}checks/", "current": current == "checks"})
    return tabs


@project_view(Permission.VIEW)
def index(request: ProjectRequest) -> HttpResponse:
    datasets = list(datasets_with_versions(request.project))
    for dataset in datasets:
        dataset.project = request.project
        for version in dataset.versions.all():
            version.dataset = dataset
    context = {
        "datasets": datasets,
        "imports": list(open_imports_of(request.project)[:IMPORTS_SHOWN]),
        "versions_shown": VERSIONS_SHOWN,
        "deleted_count": deleted_datasets_of(request.project).count(),
        "has_sample": sample_file().is_file(),
    }
    return render_partial(request, "datasets/index.html", context, partials=["open-imports"])


def sample_file() -> Path:
    return Path(settings.FTPORTAL_DEMO) / "support_tickets" / "tickets.jsonl"


@project_view(Permission.VIEW)
def sample(request: ProjectRequest) -> HttpResponseBase:
    """The sample file that the empty page offers."""
    path = sample_file()
    if not path.is_file():
        raise Http404("This installation has no sample file")
    return FileResponse(
        path.open("rb"), as_attachment=True, filename=path.name, content_type="application/x-ndjson"
    )


@project_view(Permission.VIEW)
def detail(request: ProjectRequest, pk: int) -> HttpResponse:
    """A dataset: its rows with filters, its versions, what was done to it, or its imports."""
    dataset = get_object_or_404(datasets_of(request.project), pk=pk)
    dataset.project = request.project
    tab = request.GET.get("tab", "rows")
    if tab not in ("rows", "versions", "changes", "imports"):
        tab = "rows"
    latest = dataset.versions.only("number", "state", "dataset_id").first()
    context: dict[str, Any] = {
        "dataset": dataset,
        "latest": latest if latest and latest.state == VersionState.FROZEN else None,
        "tab": tab,
        "tabs": dataset_tabs(dataset, tab),
        "breadcrumbs": data_crumbs(request, (dataset.name, "")),
        "may_delete": latest is None,
        "report": latest_report(dataset),
    }
    if tab == "versions":
        versions = list(dataset.versions.defer("statistics").select_related("created_by"))
        for version in versions:
            version.dataset = dataset
        context["versions"] = versions
    elif tab == "changes":
        context["page"] = keyset_page(
            changes_of(request.project).filter(dataset=dataset), request.GET, descending=True
        )
    elif tab == "imports":
        context["imports"] = list(imports_of(request.project).filter(dataset=dataset).order_by("-pk")[:100])
    else:
        context |= _rows_context(request, dataset)
    return render_partial(request, "datasets/detail.html", context, partials=["rows"])


def _rows_context(request: ProjectRequest, dataset: Dataset) -> dict[str, Any]:
    wanted = RowFilter.of(request.GET)
    sources = list(sources_of(dataset))
    source = next((each for each in sources if each.pk == wanted.source), None)
    findings = finding_names(dataset)
    return {
        "wanted": wanted,
        "conditions": wanted.conditions(
            source.file_name if source else "", dict(findings).get(wanted.finding, "")
        ),
        "sources": sources,
        "findings": findings,
        "saved_filters": list(dataset.saved_filters.all()),
        "answers": common_answers_of(dataset),
        "split_choices": [*Split.choices, (NO_SPLIT, "No split given")],
        "page": examples_page(dataset, request.GET, wanted),
    }


@project_view(Permission.EDIT_DATA, methods=("GET", "POST"))
def edit(request: ProjectRequest, pk: int) -> HttpResponse:
    dataset = get_object_or_404(datasets_of(request.project), pk=pk)
    dataset.project = request.project
    initial = {"name": dataset.name, "description": dataset.description, "licence": dataset.licence}
    form = DatasetForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        dataset_update(dataset=dataset, actor=request.user, **form.cleaned_data)
        return redirect(dataset)
    crumbs = data_crumbs(request, (dataset.name, dataset.get_absolute_url()), ("Name and description", ""))
    context = {"dataset": dataset, "form": form, "breadcrumbs": crumbs}
    return render(request, "datasets/edit.html", context, status=422 if form.errors else 200)


@project_view(Permission.EDIT_DATA, methods=("POST",))
def delete(request: ProjectRequest, pk: int) -> HttpResponse:
    dataset = get_object_or_404(datasets_of(request.project), pk=pk)
    dataset_delete(dataset=dataset, actor=request.user)
    messages.success(request, f"“{dataset.name}” is in the trash for {DAYS_IN_TRASH} days.")
    return redirect("datasets:index", request.workspace.slug, request.project.slug)


@project_view(Permission.VIEW)
def trash(request: ProjectRequest) -> HttpResponse:
    """Deleted datasets, until they are removed for good."""
    deleted, kept = deleted_datasets_of(request.project), timedelta(days=DAYS_IN_TRASH)
    context = {
        "datasets": [(each, each.deleted_at + kept) for each in deleted if each.deleted_at],
        "days": DAYS_IN_TRASH,
        "breadcrumbs": data_crumbs(request, ("Trash", "")),
    }
    return render(request, "datasets/trash.html", context)


@project_view(Permission.EDIT_DATA, methods=("POST",))
def restore_dataset(request: ProjectRequest, pk: int) -> HttpResponse:
    dataset = get_object_or_404(Dataset.with_deleted.filter(project=request.project), pk=pk)
    dataset.project = request.project
    dataset_restore(dataset=dataset, actor=request.user)
    messages.success(request, f"“{dataset.name}” is back, with all its rows.")
    return redirect(dataset)
