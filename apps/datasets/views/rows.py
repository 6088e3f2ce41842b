"""One row: looked at, edited, removed, brought back, tagged."""

import json
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from apps.accounts.permissions import Permission
from apps.core.http import render_partial
from apps.datasets.chat_rows import rejected_of
from apps.datasets.message_differences import message_differences
from apps.datasets.models import Dataset, Example, Version
from apps.datasets.row_drafts import (
    RowDraft,
    draft_from,
    draft_of,
    empty_draft,
    raw_of,
    rearranged,
    with_problems,
)
from apps.datasets.row_filters import RowFilter, number_of
from apps.datasets.row_history import history_of
from apps.datasets.selectors import (
    datasets_of,
    examples_of,
    frozen_versions_of,
    imports_of,
    neighbours_of,
    same_content_ids,
    version_rows_with,
)
from apps.datasets.services import (
    RowProblemsError,
    StaleRowError,
    row_add,
    row_bring_back,
    row_edit,
    row_remove,
    row_tag,
)
from apps.datasets.views.datasets import data_crumbs
from apps.projects.access import ProjectRequest, project_view


@dataclass(frozen=True)
class Place:
    """The list that the person came from, as it stands in the URL."""

    query: str
    wanted: RowFilter
    version: Version | None


def place_of(request: ProjectRequest) -> Place:
    kept = request.GET.copy()
    for name in ("after", "before", "tab"):
        kept.pop(name, None)
    number = number_of(kept.get("version"))
    version = frozen_versions_of(request.project).filter(pk=number).first() if number else None
    return Place(kept.urlencode(), RowFilter.of(kept), version)


def _example(request: ProjectRequest, pk: int) -> Example:
    found = get_object_or_404(examples_of(request.project).defer("text", "words"), pk=pk)
    found.dataset = get_object_or_404(datasets_of(request.project), pk=found.dataset_id)
    found.dataset.project = request.project
    return found


def _to_row(example: Example, query: str) -> HttpResponseRedirect:
    return HttpResponseRedirect(f"{example.get_absolute_url()}{f'?{query}' if query else ''}")


@project_view(Permission.VIEW)
def example(request: ProjectRequest, pk: int) -> HttpResponse:
    """The conversation, what happened to it, where it came from, which versions hold it."""
    found = _example(request, pk)
    dataset, place = found.dataset, place_of(request)
    tab = request.GET.get("tab", "")
    tab = tab if tab in ("raw", "history") else ""
    rejected = rejected_of(found.payload)
    shown = ("messages", "tools", "rejected") if rejected else ("messages", "tools")
    others = {name: value for name, value in found.payload.items() if name not in shown}
    history = history_of(found)
    context = {
        "example": found,
        "dataset": dataset,
        "source": imports_of(request.project).filter(pk=found.source_id).first() if found.source_id else None,
        "raw": bytes(found.raw).decode("utf-8") if tab == "raw" else "",
        "raw_bytes": len(found.raw),
        "tools": _tools(found.payload),
        "rejected": rejected,
        "others": json.dumps(others, ensure_ascii=False, indent=2) if others else "",
        "history": history,
        "is_current": found.removed_at is None,
        "version_rows": version_rows_with(found),
        "same": same_content_ids(found),
        "neighbours": neighbours_of(found, place.wanted, place.version),
        "place": place,
        "query": place.query,
        "tab": tab,
        "tabs": _tabs(found, tab, place.query, len(history.steps)),
        "breadcrumbs": _crumbs(request, dataset, found, place),
    }
    return render(request, "datasets/example.html", context)


def _tabs(found: Example, tab: str, query: str, steps: int) -> list[dict[str, object]]:
    url = found.get_absolute_url()

    def address(name: str) -> str:
        pairs = "&".join(part for part in (f"tab={name}" if name else "", query) if part)
        return f"{url}?{pairs}" if pairs else url

    names = (("", "Conversation", None), ("raw", "As received", None), ("history", "History", steps or None))
    return [
        {"label": label, "url": address(name), "current": name == tab, "count": count}
        for name, label, count in names
    ]


def _tools(payload: dict[str, Any]) -> list[dict[str, str]]:
    """The tools that the conversation may call, by name and description."""
    tools = []
    for tool in payload.get("tools") or ():
        function = tool.get("function", tool) if isinstance(tool, dict) else {}
        if isinstance(function, dict):
            tools.append(
                {
                    "name": str(function.get("name", "")),
                    "text": str(function.get("description", "")),
                    "json": json.dumps(tool, ensure_ascii=False, indent=2),
                }
            )
    return tools


def _crumbs(
    request: ProjectRequest, dataset: Dataset, found: Example, place: Place, *more: tuple[str, str]
) -> list[dict[str, str]]:
    if place.version is not None:
        where = (f"Version {place.version.number}", f"{place.version.get_absolute_url()}rows/?{place.query}")
    else:
        where = (dataset.name, f"{dataset.get_absolute_url()}{f'?{place.query}' if place.query else ''}")
    row = (f"Row {found.key}", f"{found.get_absolute_url()}?{place.query}" if more else "")
    return data_crumbs(request, where, row, *more)


# --- Editing ------------------------------------------------------------------------------------------------


@project_view(Permission.EDIT_DATA, methods=("GET", "POST"))
def edit_row(request: ProjectRequest, pk: int) -> HttpResponse:
    """The messages as fields. What somebody else saved meanwhile is shown beside one's own text, never overwritten."""
    found, place = _example(request, pk), place_of(request)
    draft, status, current = draft_of(found.payload), 200, None
    if request.method == "POST":
        draft = _sent(request)
        if request.POST.get("do"):
            draft = rearranged(draft, request.POST["do"])
        else:
            raw = raw_of(draft, found.payload, found.chat_line)
            if isinstance(raw, RowDraft):
                draft, status = raw, 422
            else:
                try:
                    form = row_edit(example=found, raw=raw, actor=request.user)
                except RowProblemsError as error:
                    draft, status = with_problems(draft, error.problems), error.status
                except StaleRowError as error:
                    if error.current is None:
                        raise
                    current, status = error.current, error.status
                else:
                    return _after_edit(request, form, place)
    elif found.removed_at is not None:
        history = history_of(found)
        if history.current is not None:
            url = reverse("datasets:edit_row", kwargs=_kwargs(request, history.current.pk))
            return HttpResponseRedirect(f"{url}{f'?{place.query}' if place.query else ''}")
    return _editor(request, found, draft, place, status=status, current=current)


def _kwargs(request: ProjectRequest, pk: int) -> dict[str, Any]:
    return {"workspace_slug": request.workspace.slug, "project_slug": request.project.slug, "pk": pk}


def _after_edit(request: ProjectRequest, form: Example, place: Place) -> HttpResponse:
    messages.success(request, f"Row {form.key} is saved. Frozen versions keep the form that they hold.")
    if request.POST.get("then") == "next":
        following = neighbours_of(form, place.wanted, place.version).next
        if following is not None:
            url = reverse("datasets:edit_row", kwargs=_kwargs(request, following))
            return redirect(f"{url}{f'?{place.query}' if place.query else ''}")
    return _to_row(form, place.query)


def _sent(request: ProjectRequest) -> RowDraft:
    data = request.POST
    return draft_from(
        data.getlist("role"), data.getlist("content"), data.getlist("extra"), data.get("others", "")
    )


def _editor(
    request: ProjectRequest,
    found: Example,
    draft: RowDraft,
    place: Place,
    *,
    status: int,
    current: Example | None,
) -> HttpResponse:
    base = current or found
    theirs = []
    if current is not None:
        own = [{"role": turn.role, "content": turn.content} for turn in draft.turns]
        stored = [{"role": m["role"], "content": m.get("content") or ""} for m in current.payload["messages"]]
        theirs = [part for part in message_differences(stored, own) if part.kind != "same"]
    url = reverse("datasets:edit_row", kwargs=_kwargs(request, base.pk))
    context = {
        "example": base,
        "dataset": found.dataset,
        "draft": draft,
        "current": current,
        "theirs": theirs,
        "place": place,
        "action": f"{url}{f'?{place.query}' if place.query else ''}",
        "cancel_url": f"{base.get_absolute_url()}{f'?{place.query}' if place.query else ''}",
        "breadcrumbs": _crumbs(request, found.dataset, found, place, ("Edit", "")),
    }
    return render_partial(request, "datasets/row_edit.html", context, partials=["row-form"], status=status)


@project_view(Permission.EDIT_DATA, methods=("GET", "POST"))
def add_row(request: ProjectRequest, pk: int) -> HttpResponse:
    """A row made by hand."""
    dataset = get_object_or_404(datasets_of(request.project), pk=pk)
    dataset.project = request.project
    draft, status = empty_draft(), 200
    if request.method == "POST":
        draft = _sent(request)
        if request.POST.get("do"):
            draft = rearranged(draft, request.POST["do"])
        else:
            raw = raw_of(draft, None)
            if isinstance(raw, RowDraft):
                draft, status = raw, 422
            else:
                try:
                    made = row_add(dataset=dataset, raw=raw, actor=request.user)
                except RowProblemsError as error:
                    draft, status = with_problems(draft, error.problems), error.status
                else:
                    messages.success(request, f"Row {made.key} is added.")
                    return redirect(made)
    context = {
        "dataset": dataset,
        "draft": draft,
        "action": request.path,
        "cancel_url": dataset.get_absolute_url(),
        "breadcrumbs": data_crumbs(request, (dataset.name, dataset.get_absolute_url()), ("Write a row", "")),
    }
    return render_partial(request, "datasets/row_edit.html", context, partials=["row-form"], status=status)


@project_view(Permission.EDIT_DATA, methods=("POST",))
def remove_row(request: ProjectRequest, pk: int) -> HttpResponse:
    found, place = _example(request, pk), place_of(request)
    following = neighbours_of(found, place.wanted, place.version).next
    row_remove(example=found, actor=request.user, reason=request.POST.get("reason", "")[:300])
    messages.success(request, f"Row {found.key} is removed. Frozen versions keep it; it can be brought back.")
    if following is not None:
        return _to_row(get_object_or_404(examples_of(request.project), pk=following), place.query)
    return redirect(found.dataset)


@project_view(Permission.EDIT_DATA, methods=("POST",))
def bring_back_row(request: ProjectRequest, pk: int) -> HttpResponse:
    found, place = _example(request, pk), place_of(request)
    form = row_bring_back(example=found, actor=request.user)
    messages.success(request, f"Row {form.key} stands in the dataset as this form.")
    return _to_row(form, place.query)


@project_view(Permission.EDIT_DATA, methods=("POST",))
def tag_row(request: ProjectRequest, pk: int) -> HttpResponse:
    found, place = _example(request, pk), place_of(request)
    row_tag(example=found, tags=request.POST.get("tags", "").split(","), actor=request.user)
    return _to_row(found, place.query)
