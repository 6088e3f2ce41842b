"""The index of a project's data, a dataset with its rows, one row."""

import json
from pathlib import Path

from django.conf import settings
from django.contrib import messages
from django.http import FileResponse, Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from apps.accounts.permissions import Permission
from apps.core.http import render_partial
from apps.datasets.chat_rows import rejected_of
from apps.datasets.forms import DatasetForm
from apps.datasets.models import Dataset
from apps.datasets.selectors import (
    datasets_of,
    datasets_with_versions,
    examples_of,
    examples_page,
    imports_of,
    neighbours_of,
    open_imports_of,
    same_content_ids,
    version_rows_with,
)
from apps.datasets.selectors_checks import latest_report
from apps.datasets.services import dataset_delete, dataset_update
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
        for key, label in (("rows", "Rows"), ("versions", "Versions"), ("imports", "Imports"))
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
    """A dataset: its rows with search, its versions or its imports."""
    dataset = get_object_or_404(datasets_of(request.project), pk=pk)
    dataset.project = request.project
    tab = request.GET.get("tab", "rows")
    if tab not in ("rows", "versions", "imports"):
        tab = "rows"
    context = {
        "dataset": dataset,
        "tab": tab,
        "tabs": dataset_tabs(dataset, tab),
        "breadcrumbs": data_crumbs(request, (dataset.name, "")),
        "words": request.GET.get("q", ""),
        "may_delete": not dataset.versions.exists(),
        "report": latest_report(dataset),
    }
    if tab == "versions":
        versions = list(dataset.versions.defer("statistics"))
        for version in versions:
            version.dataset = dataset
        context["versions"] = versions
    elif tab == "imports":
        context["imports"] = list(imports_of(request.project).filter(dataset=dataset).order_by("-pk")[:100])
    else:
        source = (
            imports_of(request.project).filter(dataset=dataset, pk=_number(request, "source") or 0).first()
        )
        context["source"] = source
        context["page"] = examples_page(dataset, request.GET, source_id=source.pk if source else None)
    return render_partial(request, "datasets/detail.html", context, partials=["rows"])


def _number(request: ProjectRequest, name: str) -> int | None:
    text = request.GET.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


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
    messages.success(request, f"“{dataset.name}” is deleted.")
    return redirect("datasets:index", request.workspace.slug, request.project.slug)


@project_view(Permission.VIEW)
def example(request: ProjectRequest, pk: int) -> HttpResponse:
    """One row: the conversation, where it came from, which versions hold it."""
    found = get_object_or_404(examples_of(request.project).defer("text", "words"), pk=pk)
    dataset = get_object_or_404(datasets_of(request.project), pk=found.dataset_id)
    dataset.project = request.project
    found.dataset = dataset
    words, source_id = request.GET.get("q", ""), _number(request, "source")
    source = imports_of(request.project).filter(pk=found.source_id).first() if found.source_id else None
    raw = bytes(found.raw).decode("utf-8")
    rejected = rejected_of(found.payload)
    shown = ("messages", "rejected") if rejected else ("messages",)
    others = {name: value for name, value in found.payload.items() if name not in shown}
    context = {
        "example": found,
        "dataset": dataset,
        "source": source,
        "raw": raw,
        "rejected": rejected,
        "raw_bytes": len(found.raw),
        "others": json.dumps(others, ensure_ascii=False, indent=2) if others else "",
        "version_rows": version_rows_with(found),
        "same": same_content_ids(found),
        "neighbours": neighbours_of(found, words=words, source_id=source_id),
        "query": request.GET.urlencode(),
        "words": words,
        "breadcrumbs": data_crumbs(
            request, (dataset.name, dataset.get_absolute_url()), (f"Row {found.pk}", "")
        ),
    }
    return render(request, "datasets/example.html", context)
