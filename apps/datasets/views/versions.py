"""A version: how it is frozen, what it holds, how to get it out."""

from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render

from apps.accounts.permissions import Permission
from apps.core.errors import ConflictError
from apps.core.http import render_partial, stream_download
from apps.datasets.charts import answer_rows, bars_of, duplicate_sizes, split_segments
from apps.datasets.forms import FreezeForm
from apps.datasets.models import Dataset, Split, Version, VersionState
from apps.datasets.row_filters import NO_SPLIT, RowFilter
from apps.datasets.selectors import (
    common_answers_of,
    datasets_of,
    given_splits_of,
    group_paths_of,
    identical_versions,
    next_version_number,
    origin_of,
    sources_of,
    tested_rows_of,
    version_rows_jsonl,
    version_rows_page,
    versions_of,
)
from apps.datasets.selectors_checks import blocking_findings, finding_names, latest_report
from apps.datasets.services import version_delete, version_freeze_again, version_freeze_request
from apps.datasets.services.check_running import TITLES
from apps.datasets.statistics import size_advice
from apps.datasets.version_exports import (
    FOLDER,
    ExportFile,
    checks_passed,
    export_file,
    file_stem,
    manifest_file,
    offered_exports,
)
from apps.datasets.views.datasets import data_crumbs
from apps.operations.selectors import latest_operation_for
from apps.projects.access import ProjectRequest, project_view


@project_view(Permission.EDIT_DATA, methods=("GET", "POST"))
def freeze(request: ProjectRequest, pk: int) -> HttpResponse:
    dataset = get_object_or_404(datasets_of(request.project), pk=pk)
    dataset.project = request.project
    form = FreezeForm(
        request.POST or None,
        group_paths=group_paths_of(dataset),
        given=given_splits_of(dataset),
        was_tested=tested_rows_of(dataset).exists(),
        initial={"number": next_version_number(dataset)},
    )
    status = 200
    if request.method == "POST" and form.is_valid():
        try:
            return redirect(_freeze(dataset, form, request))
        except ConflictError as error:  # said on the form, which keeps what was filled in
            form.add_error(None, error.message)
            status = error.status
    crumbs = data_crumbs(request, (dataset.name, dataset.get_absolute_url()), ("Freeze a version", ""))
    context = {
        "dataset": dataset,
        "form": form,
        "report": latest_report(dataset),
        "blocking": blocking_findings(dataset),
        "breadcrumbs": crumbs,
    }
    if form.errors and status == 200:
        status = 422
    return render(request, "datasets/freeze.html", context, status=status)


def _freeze(dataset: Dataset, form: FreezeForm, request: ProjectRequest) -> Version:
    wanted = form.cleaned_data
    return version_freeze_request(
        dataset=dataset,
        seed=wanted["seed"],
        validation_share=wanted["validation_percent"] / 100,
        test_share=wanted["test_percent"] / 100,
        group_path=wanted["group_path"],
        keeps_splits=wanted.get("keeps_splits", False),
        note=wanted["note"],
        test_release_reason=form.test_release_reason,
        number=wanted["number"],
        actor=request.user,
    )


def version_tabs(version: Version, current: str, query: str = "") -> list[dict[str, object]]:
    url = version.get_absolute_url()
    more = f"&{query}" if query else ""
    sizes = {"train": version.train_count, "validation": version.validation_count, "test": version.test_count}
    tabs: list[dict[str, object]] = [{"label": "Overview", "url": url, "current": current == ""}]
    tabs.append(
        {
            "label": "All rows",
            "url": f"{url}rows/?{query}",
            "count": version.row_count,
            "current": current == "all",
        }
    )
    tabs += [
        {
            "label": label,
            "url": f"{url}rows/?split={key}{more}",
            "count": sizes[key],
            "current": current == key,
        }
        for key, label in Split.choices
    ]
    tabs.append({"label": "Checks", "url": f"{url}checks/", "current": current == "checks"})
    if version.state == VersionState.FROZEN:
        tabs.append({"label": "Exports", "url": f"{url}exports/", "current": current == "exports"})
    return tabs


def _crumbs(request: ProjectRequest, version: Version) -> list[dict[str, str]]:
    dataset = version.dataset
    return data_crumbs(request, (dataset.name, dataset.get_absolute_url()), (f"Version {version.number}", ""))


@project_view(Permission.VIEW)
def version(request: ProjectRequest, pk: int) -> HttpResponse:
    """The identity of a version, how it is divided, and what its numbers say."""
    found = get_object_or_404(versions_of(request.project), pk=pk)
    operation = latest_operation_for(found)
    is_working = operation is not None and operation.is_active
    context: dict[str, Any] = {
        "version": found,
        "dataset": found.dataset,
        "operation": operation,
        "is_working": is_working,
        "breadcrumbs": _crumbs(request, found),
    }
    if found.state == VersionState.FROZEN:
        lengths = found.statistics["lengths"]
        turns = lengths["turns"]
        context |= {
            "report": latest_report(found.dataset, found),
            "tabs": version_tabs(found, ""),
            "statistics": found.statistics,
            "segments": split_segments(found),
            "advice": size_advice(found.train_count, found.test_count),
            "ngrams": list(found.statistics.get("ngrams", {}).get("ngrams", {}).items()),
            "duplicate_sizes": duplicate_sizes(found.statistics.get("duplicates")),
            "origin": origin_of(found),
            "answers": answer_rows(found.statistics["answers"]),
            "has_pairs": found.statistics.get("preference_pairs", 0) > 0,
            "identical": identical_versions(found),
            "histograms": [
                bars_of("Tokens a row", lengths["tokens"], "tokens"),
                bars_of("Tokens trained on, a row", lengths["answer_tokens"], "tokens"),
                bars_of("Characters a row", lengths["characters"], "characters"),
                *([bars_of("Answers a row", turns, "answers")] if turns["maximum"] > 1 else []),
            ],
        }
    return render_partial(
        request, "datasets/version.html", context, partials=["version"], refresh=not is_working
    )


@project_view(Permission.VIEW)
def version_rows(request: ProjectRequest, pk: int) -> HttpResponse:
    found = _frozen(request, pk)
    wanted = replace(RowFilter.of(request.GET), removed=False)
    wanted = replace(wanted, split="") if wanted.split == NO_SPLIT else wanted
    kept = replace(wanted, split="").query
    findings = finding_names(found.dataset, found)
    context = {
        "version": found,
        "dataset": found.dataset,
        "split": wanted.split,
        "wanted": wanted,
        "conditions": wanted.conditions(finding_title=dict(findings).get(wanted.finding, "")),
        "findings": findings,
        "answers": common_answers_of(found.dataset),
        "sources": list(sources_of(found.dataset)),
        "tabs": version_tabs(found, wanted.split or "all", kept),
        "page": version_rows_page(found, wanted, request.GET),
        "breadcrumbs": _crumbs(request, found),
    }
    return render_partial(request, "datasets/version_rows.html", context, partials=["rows"])


def _frozen(request: ProjectRequest, pk: int) -> Version:
    return get_object_or_404(
        versions_of(request.project).filter(state=VersionState.FROZEN).defer("statistics"), pk=pk
    )


@project_view(Permission.VIEW)
def download(request: ProjectRequest, pk: int, split: str) -> HttpResponseBase:
    """The rows of a split as lines of chat; what was received as chat byte for byte."""
    found = _frozen(request, pk)
    if split not in (*Split.values, "all"):
        raise Http404("No such split")
    rows = version_rows_jsonl(found, None if split == "all" else split)
    name = f"{file_stem(found)}-{split}.jsonl"
    return stream_download(request, rows, filename=name, content_type="application/x-ndjson")


@project_view(Permission.VIEW)
def exports(request: ProjectRequest, pk: int) -> HttpResponse:
    """Every file that can be made of the version, and what of its rows each can't carry."""
    found = _whole(request, pk)
    checks = checks_passed(found)
    context = {
        "version": found,
        "dataset": found.dataset,
        "exports": offered_exports(found),
        "splits": [(key, label) for key, label in Split.choices if getattr(found, f"{key}_count")],
        "checks": checks,
        "not_passed": [TITLES[name] for name in checks["not_passed"]] if checks else [],
        "tabs": version_tabs(found, "exports"),
        "breadcrumbs": _crumbs(request, found),
    }
    return render(request, "datasets/exports.html", context)


@project_view(Permission.VIEW)
def export(request: ProjectRequest, pk: int, kind: str) -> HttpResponseBase:
    """The rows in another form: of one split, or of all in the order of the manifest."""
    found = _whole(request, pk)
    split = request.GET.get("split", "") or None
    if split is not None and split not in Split.values:
        raise Http404("No such split")
    if kind.endswith("preference") and not found.statistics.get("preference_pairs"):
        raise ConflictError("No row of this version is a preference pair, so there is nothing to export.")
    return _download(request, export_file(found, kind, split))


@project_view(Permission.VIEW)
def export_dataset(request: ProjectRequest, pk: int) -> HttpResponseBase:
    """A Hugging Face dataset folder with card and manifest, in a ZIP that can be imported again."""
    return _download(request, export_file(_frozen(request, pk), FOLDER))


@project_view(Permission.VIEW)
def manifest(request: ProjectRequest, pk: int) -> HttpResponseBase:
    """The manifest, made anew from the stored rows: its SHA-256 is the version's hash."""
    return _download(request, manifest_file(_frozen(request, pk)))


def _whole(request: ProjectRequest, pk: int) -> Version:
    return get_object_or_404(versions_of(request.project).filter(state=VersionState.FROZEN), pk=pk)


def _download(request: ProjectRequest, file: ExportFile | None) -> HttpResponseBase:
    if file is None:
        raise Http404("No such export")
    return stream_download(request, file.content, filename=file.name, content_type=file.content_type)


@project_view(Permission.EDIT_DATA, methods=("POST",))
def freeze_again(request: ProjectRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(versions_of(request.project), pk=pk)
    version_freeze_again(version=found, actor=request.user)
    return redirect(found)


@project_view(Permission.EDIT_DATA, methods=("POST",))
def delete_version(request: ProjectRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(versions_of(request.project), pk=pk)
    dataset = found.dataset
    version_delete(version=found, actor=request.user)
    messages.success(request, f"Version {found.number}, which was never frozen, is deleted.")
    return redirect(dataset)
