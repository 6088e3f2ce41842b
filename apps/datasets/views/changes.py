"""Changing many rows at once, and what became of it: preview, progress, undo."""

import json
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render

from apps.accounts.permissions import Permission
from apps.core.http import render_partial
from apps.datasets.forms_changes import BulkForm, FilterNameForm, MergeForm
from apps.datasets.message_differences import MessageDifference, message_differences
from apps.datasets.models import (
    Change,
    ChangeAction,
    ChangeRow,
    ChangeState,
    Dataset,
    Example,
    SavedFilter,
    Version,
)
from apps.datasets.row_filters import FILTER_PARAMETERS, RowFilter
from apps.datasets.row_finding import count_rows
from apps.datasets.selectors import datasets_of, versions_of
from apps.datasets.selectors_changes import change_rows_page, changes_of
from apps.datasets.services import (
    change_again,
    change_request,
    change_undo_request,
    filter_delete,
    filter_save,
    merge_request,
    restore_request,
)
from apps.datasets.services.bulk_edits import candidates_count, edit_sample
from apps.datasets.views.datasets import data_crumbs
from apps.operations.selectors import latest_operation_for
from apps.projects.access import ProjectRequest, project_view

SAMPLES = 5


@dataclass(frozen=True)
class Sample:
    key: int
    pk: int
    differences: list[MessageDifference]
    passes: bool


def _dataset(request: ProjectRequest, pk: int) -> Dataset:
    dataset = get_object_or_404(datasets_of(request.project), pk=pk)
    dataset.project = request.project
    return dataset


def _filter_only(query: QueryDict) -> QueryDict:
    kept = QueryDict(mutable=True)
    for name in FILTER_PARAMETERS:
        kept.setlist(name, query.getlist(name))
    return kept


@project_view(Permission.EDIT_DATA, methods=("GET", "POST"))
def change_rows(request: ProjectRequest, pk: int) -> HttpResponse:
    """What to do with the rows of a filter; nothing is done before its effect was shown and confirmed."""
    dataset = _dataset(request, pk)
    wanted = RowFilter.of(_filter_only(request.GET))
    form = BulkForm(request.POST or None, removed=wanted.removed)
    context: dict[str, Any] = {
        "dataset": dataset,
        "form": form,
        "wanted": wanted,
        "conditions": wanted.conditions(),
        "matching": count_rows(dataset, wanted),
        "breadcrumbs": data_crumbs(
            request, (dataset.name, f"{dataset.get_absolute_url()}?{wanted.query}"), ("Change rows", "")
        ),
    }
    if request.method == "POST" and form.is_valid():
        action, parameters = form.cleaned_data["action"], form.parameters
        if "confirmed" in request.POST:
            change = change_request(
                dataset=dataset, action=action, wanted=wanted, parameters=parameters, actor=request.user
            )
            return redirect(change)
        context |= _preview(dataset, wanted, action, parameters)
    status = 422 if form.errors else 200
    return render_partial(request, "datasets/change_rows.html", context, partials=["bulk"], status=status)


def _preview(dataset: Dataset, wanted: RowFilter, action: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """How many rows it touches, and what becomes of the first few."""
    planned = Change(dataset=dataset, action=action, parameters=parameters)
    if action in (ChangeAction.REPLACE, ChangeAction.SET_SYSTEM, ChangeAction.STRIP_SYSTEM):
        samples = [
            Sample(
                example.key,
                example.pk,
                [
                    part
                    for part in message_differences(_messages_of(example), edited["messages"])
                    if part.kind != "same"
                ],
                passes,
            )
            for example, edited, passes in edit_sample(planned, wanted, limit=SAMPLES)
        ]
        return {"preview": True, "touched": candidates_count(planned, wanted), "samples": samples}
    tag = parameters.get("tag", "")
    has_tag = "e.tags @> ARRAY[%s]::varchar[]"
    more = {
        ChangeAction.TAG: [(f"NOT {has_tag}", tag)],
        ChangeAction.UNTAG: [(has_tag, tag)],
    }.get(ChangeAction(action), [])
    return {"preview": True, "touched": count_rows(dataset, wanted, *more), "samples": []}


def _messages_of(example: Example) -> list[dict[str, Any]]:
    return json.loads(example.chat_line)["messages"]  # type: ignore[no-any-return]


@project_view(Permission.EDIT_DATA, methods=("GET", "POST"))
def merge(request: ProjectRequest, pk: int) -> HttpResponse:
    """Take the rows of another dataset of the project in."""
    dataset = _dataset(request, pk)
    others = datasets_of(request.project).exclude(pk=dataset.pk).filter(example_count__gt=0)
    form = MergeForm(request.POST or None, others=others)
    if request.method == "POST" and form.is_valid():
        other = form.cleaned_data["other"]
        keep = form.cleaned_data["duplicates"] == "keep"
        return redirect(merge_request(dataset=dataset, other=other, keep_duplicates=keep, actor=request.user))
    crumbs = data_crumbs(request, (dataset.name, dataset.get_absolute_url()), ("Merge", ""))
    context = {"dataset": dataset, "form": form, "has_others": others.exists(), "breadcrumbs": crumbs}
    return render(request, "datasets/merge.html", context, status=422 if form.errors else 200)


@project_view(Permission.EDIT_DATA, methods=("POST",))
def restore_version(request: ProjectRequest, pk: int) -> HttpResponse:
    version: Version = get_object_or_404(versions_of(request.project), pk=pk)
    return redirect(restore_request(version=version, actor=request.user))


@project_view(Permission.VIEW)
def change(request: ProjectRequest, pk: int) -> HttpResponse:
    """What was done, by whom, to which rows."""
    found = get_object_or_404(changes_of(request.project), pk=pk)
    dataset = found.dataset
    operation = latest_operation_for(found)
    is_working = operation is not None and operation.is_active
    context = {
        "change": found,
        "dataset": dataset,
        "operation": operation,
        "is_working": is_working,
        "details": _details(found),
        "page": change_rows_page(found, request.GET),
        "may_undo": found.state == ChangeState.DONE and ChangeRow.objects.filter(change=found).exists(),
        "breadcrumbs": data_crumbs(
            request,
            (dataset.name, dataset.get_absolute_url()),
            ("Changes", f"{dataset.get_absolute_url()}?tab=changes"),
            (found.get_action_display(), ""),
        ),
    }
    return render_partial(
        request, "datasets/change.html", context, partials=["change"], refresh=not is_working
    )


def _details(found: Change) -> list[tuple[str, str]]:
    """What the person filled in, in words."""
    labels = {
        "rows": "Rows",
        "find": "Text",
        "replacement": "Replaced by",
        "place": "Where",
        "text": "System prompt",
        "tag": "Tag",
        "name": "Dataset",
        "number": "Version",
        "reason": "Why",
    }
    values = found.parameters
    details = [
        (label, str(values[key])) for key, label in labels.items() if values.get(key) not in (None, "")
    ]
    if values.get("find") and values.get("replacement") == "":
        details.append(("Replaced by", "nothing"))
    return details


@project_view(Permission.EDIT_DATA, methods=("POST",))
def undo_change(request: ProjectRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(changes_of(request.project), pk=pk)
    change_undo_request(change=found, actor=request.user)
    return redirect(found)


@project_view(Permission.EDIT_DATA, methods=("POST",))
def repeat_change(request: ProjectRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(changes_of(request.project), pk=pk)
    change_again(change=found, actor=request.user)
    return redirect(found)


@project_view(Permission.EDIT_DATA, methods=("POST",))
def save_filter(request: ProjectRequest, pk: int) -> HttpResponse:
    """Keep the filter of the URL under a name; the same name again means the new filter."""
    dataset = _dataset(request, pk)
    wanted = RowFilter.of(_filter_only(request.GET))
    form = FilterNameForm(request.POST)
    if form.is_valid() and wanted.is_active:
        filter_save(dataset=dataset, name=form.cleaned_data["name"], wanted=wanted, actor=request.user)
        messages.success(request, f"The filter is saved as “{form.cleaned_data['name']}”.")
    else:
        messages.error(request, "Choose a filter and a name of at most 60 characters.")
    return redirect(f"{dataset.get_absolute_url()}?{wanted.query}")


@project_view(Permission.EDIT_DATA, methods=("POST",))
def delete_filter(request: ProjectRequest, pk: int) -> HttpResponse:
    dataset = _dataset(request, pk)
    found = SavedFilter.objects.filter(dataset=dataset, name=request.POST.get("name", "")).first()
    if found is not None:
        found.dataset = dataset
        filter_delete(saved=found, actor=request.user)
        messages.success(request, f"The saved filter “{found.name}” is deleted. No row was touched.")
    return redirect(dataset)
