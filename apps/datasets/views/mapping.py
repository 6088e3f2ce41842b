"""What the rows of a file mean: seen on its first rows, corrected by hand, kept by name."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from apps.accounts.permissions import Permission
from apps.core.http import render_partial
from apps.datasets.chat_rows import rejected_of
from apps.datasets.formats import Reading, Record
from apps.datasets.forms import MappingForm
from apps.datasets.import_files import ROWS_LOOKED_AT, columns_in, first_records, mapping_of
from apps.datasets.mapping import MappedRow, RowMapping, row_of
from apps.datasets.models import Import, SavedMapping
from apps.datasets.presets import PRESETS, Suggestion, split_column, suggest, suggested_mapping
from apps.datasets.problems import RowProblem
from apps.datasets.selectors import imports_of, saved_mappings_of
from apps.datasets.services import MAPPABLE, import_map, mapping_delete, mapping_rename, mapping_save
from apps.datasets.views.datasets import data_crumbs
from apps.projects.access import ProjectRequest, project_view

PREVIEW_ROWS = 20
COLUMNS_OFFERED = 200


@dataclass(frozen=True)
class PreviewRow:
    """A row as the model will see it, or why it will not."""

    number: int
    messages: list[dict[str, Any]]
    rejected: list[dict[str, Any]] | None
    split: str
    problems: list[RowProblem]
    received: str


@project_view(Permission.EDIT_DATA, methods=("GET", "POST"))
def mapping(request: ProjectRequest, pk: int) -> HttpResponse:
    """Twenty rows as the model will see them; the file is checked by the mapping that is confirmed."""
    record = get_object_or_404(imports_of(request.project), pk=pk)
    if record.state not in MAPPABLE or not record.reading:
        return redirect(record)
    records = first_records(record, ROWS_LOOKED_AT)
    rows = [columns_in(each) for each in records]
    columns = _column_names(record, rows)
    wanted = _wanted(request, record, rows, columns)
    form = MappingForm(request.POST or None, mapping=wanted, columns=columns)
    if form.is_valid():
        wanted = form.mapping
        if "check" in request.POST:
            name = form.cleaned_data["save_as"].strip()
            if name:
                mapping_save(project=request.project, name=name, mapping=wanted, actor=request.user)
            import_map(import_record=record, mapping=wanted, actor=request.user)
            return redirect(record)
    suggestion = suggest(rows)
    context = {
        "import": record,
        "form": form,
        "reading": Reading.from_json(record.reading).name,
        "preview": [_preview(each, wanted) for each in records[:PREVIEW_ROWS]],
        "shapes": _shapes(suggestion),
        "rows_looked_at": len(records),
        "saved": list(saved_mappings_of(request.project)),
        "breadcrumbs": data_crumbs(
            request,
            (record.dataset.name, record.dataset.get_absolute_url()),
            (record.file_name, record.get_absolute_url()),
            ("What the rows mean", ""),
        ),
    }
    failed = form.is_bound and not form.is_valid()
    return render_partial(
        request, "datasets/mapping.html", context, partials=["mapping"], status=422 if failed else 200
    )


def _column_names(record: Import, rows: list[dict[str, Any] | None]) -> list[str]:
    """The columns, and those inside them by dotted paths, in the order of the file."""
    names = list(dict.fromkeys([*record.reading.get("columns", ())]))
    for row in rows:
        for name, value in (row or {}).items():
            names.append(name)
            if isinstance(value, dict):
                names += [f"{name}.{inner}" for inner in value]
    return list(dict.fromkeys(names))[:COLUMNS_OFFERED]


def _wanted(
    request: ProjectRequest, record: Import, rows: list[dict[str, Any] | None], columns: list[str]
) -> RowMapping:
    """The mapping that the form begins with: of the chosen shape, a saved one, or what was recognised."""
    saved = request.GET.get("saved", "")
    if saved.isdigit() and not request.POST:
        return RowMapping.from_json(
            get_object_or_404(saved_mappings_of(request.project), pk=int(saved)).mapping
        )
    preset = request.POST.get("preset") or request.GET.get("preset", "")
    if preset in PRESETS:
        plain = suggested_mapping(preset, columns)
        return RowMapping(**plain.as_json() | {"split": split_column(rows)})
    return mapping_of(record)


def _preview(record: Record, wanted: RowMapping) -> PreviewRow:
    found = row_of(record, wanted)
    received = record.raw[:4000].decode("utf-8", "replace")
    if not isinstance(found, MappedRow):
        return PreviewRow(record.number, [], None, "", found, received)
    payload = found.chat.payload
    return PreviewRow(record.number, payload["messages"], rejected_of(payload), found.split, [], received)


def _shapes(suggestion: Suggestion) -> list[dict[str, Any]]:
    """More than one only if the first rows differ."""
    counts = sorted(suggestion.shapes.items(), key=lambda item: -item[1])
    if len(counts) < 2:
        return []
    return [
        {"label": PRESETS[shape].label if shape else "no known shape", "count": count}
        for shape, count in counts
    ]


@project_view(Permission.VIEW)
def saved_mappings(request: ProjectRequest) -> HttpResponse:
    """The mappings that the project keeps, to rename and delete."""
    context = {
        "saved": [
            {
                "mapping": each,
                "preset": PRESETS[each.mapping["preset"]].label,
                "columns": sorted(RowMapping.from_json(each.mapping).columns),
            }
            for each in saved_mappings_of(request.project).select_related("created_by")
        ],
        "breadcrumbs": data_crumbs(request, ("Kept mappings", "")),
    }
    return render(request, "datasets/saved_mappings.html", context)


@project_view(Permission.EDIT_DATA, methods=("POST",))
def rename_mapping(request: ProjectRequest, pk: int) -> HttpResponse:
    found = _saved(request, pk)
    mapping_rename(saved=found, name=request.POST.get("name", ""), actor=request.user)
    return redirect("datasets:saved_mappings", request.workspace.slug, request.project.slug)


@project_view(Permission.EDIT_DATA, methods=("POST",))
def delete_mapping(request: ProjectRequest, pk: int) -> HttpResponse:
    found = _saved(request, pk)
    mapping_delete(saved=found, actor=request.user)
    messages.success(request, f"The mapping “{found.name}” is deleted. What was imported by it stays.")
    return redirect("datasets:saved_mappings", request.workspace.slug, request.project.slug)


def _saved(request: ProjectRequest, pk: int) -> SavedMapping:
    return get_object_or_404(saved_mappings_of(request.project).select_related("project__workspace"), pk=pk)
