"""An import from the upload to the decision."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from apps.accounts.permissions import Permission
from apps.artifacts.storage import blob_read
from apps.core.allowed_directory import files_below
from apps.core.errors import PortalError
from apps.core.http import render_partial, stream_download
from apps.datasets.formats import Reading
from apps.datasets.forms import CommitForm, FetchForm, UploadForm
from apps.datasets.import_files import blob_of, mapping_of
from apps.datasets.models import Import, ImportRow, ImportState
from apps.datasets.presets import PRESETS
from apps.datasets.problems import CODE_TITLES, FILE_CODES
from apps.datasets.selectors import earlier_imports_of_file, imports_of, problems_page, uploads_of
from apps.datasets.services import (
    MAPPABLE,
    dataset_create,
    import_check_again,
    import_commit_request,
    import_discard,
    import_from_path,
    import_from_upload,
    import_from_url,
    import_rejected_rows,
    import_upload,
    rejected_file_name,
    upload_refuse_too_large,
)
from apps.datasets.views.datasets import data_crumbs, sample_file
from apps.operations.selectors import latest_operation_for
from apps.projects.access import ProjectRequest, project_view

PREVIEW_ROWS = 3


@project_view(Permission.EDIT_DATA, methods=("GET", "POST"))
def upload(request: ProjectRequest) -> HttpResponse:
    """Choose a file; it is stored as a stream and checked in the background."""
    upload_refuse_too_large(request.META.get("CONTENT_LENGTH"))
    data, files = (request.POST, request.FILES) if request.method == "POST" else (None, None)
    form = UploadForm(
        data,
        files,
        project=request.project,
        uploads=uploads_of(request.project).filter(created_by=request.user),
        initial={"dataset": request.GET.get("dataset")},
    )
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        dataset = form.cleaned_data["dataset"] or dataset_create(
            project=request.project, name=form.cleaned_data["name"], actor=request.user
        )
        dataset.project = request.project
        if form.cleaned_data["upload"]:
            return redirect(
                import_from_upload(dataset=dataset, upload=form.cleaned_data["upload"], actor=request.user)
            )
        record = import_upload(
            dataset=dataset, file_name=file.name, content=file.chunks(1024 * 1024), actor=request.user
        )
        return redirect(place_of(record))
    fetch_form = FetchForm(project=request.project, initial={"dataset": request.GET.get("dataset")})
    return _upload_page(request, form, fetch_form)


def _upload_page(request: ProjectRequest, form: UploadForm, fetch_form: FetchForm) -> HttpResponse:
    directory = settings.FTPORTAL_IMPORT_DIRECTORY
    context = {
        "form": form,
        "fetch_form": fetch_form,
        "files": list(files_below(Path(directory))) if directory else [],
        "breadcrumbs": data_crumbs(request, ("Import a file", "")),
        "upload_limit": settings.FTPORTAL_UPLOAD_LIMIT,
        "line_limit": settings.FTPORTAL_LINE_LIMIT,
        "has_sample": sample_file().is_file(),
    }
    status = 422 if form.errors or fetch_form.errors else 200
    return render(request, "datasets/upload.html", context, status=status)


@project_view(Permission.EDIT_DATA, methods=("POST",))
def fetch(request: ProjectRequest) -> HttpResponse:
    """Let the server get a file from an address, or from the operator's import directory."""
    form = FetchForm(request.POST, project=request.project)
    if form.is_valid():
        place, is_url = form.cleaned_data["place"], form.is_url
        try:
            with transaction.atomic():
                dataset = form.cleaned_data["dataset"] or dataset_create(
                    project=request.project, name=form.cleaned_data["name"], actor=request.user
                )
                dataset.project = request.project
                record = (
                    import_from_url(dataset=dataset, url=place, actor=request.user)
                    if is_url
                    else import_from_path(dataset=dataset, path=place, actor=request.user)
                )
            return redirect(record)
        except PortalError as error:
            form.add_error("place", error.message)
    blank = UploadForm(
        project=request.project, uploads=uploads_of(request.project).filter(created_by=request.user)
    )
    return _upload_page(request, blank, form)


def place_of(record: Import) -> str:
    """Where the import goes on: what its rows mean is asked first where that is not plain."""
    project = record.dataset.project
    if record.state == ImportState.UNMAPPED:
        return reverse("datasets:mapping", args=[project.workspace.slug, project.slug, record.pk])
    return record.get_absolute_url()


@project_view(Permission.VIEW)
def report(request: ProjectRequest, pk: int) -> HttpResponse:
    """How the check goes, then what it found and what to do with it."""
    record = get_object_or_404(imports_of(request.project), pk=pk)
    operation = latest_operation_for(record)
    context: dict[str, Any] = {
        "import": record,
        "dataset": record.dataset,
        "operation": operation,
        "is_working": operation is not None and operation.is_active,
        "breadcrumbs": data_crumbs(
            request, (record.dataset.name, record.dataset.get_absolute_url()), (record.file_name, "")
        ),
        "earlier": earlier_imports_of_file(record),
        "reading": Reading.from_json(record.reading).name if record.reading else "",
        "preset": PRESETS[mapping_of(record).preset].label,
        "may_map": record.state in MAPPABLE and bool(record.reading),
    }
    if record.state not in (
        ImportState.FETCHING,
        ImportState.RECEIVED,
        ImportState.UNMAPPED,
        ImportState.CHECKING,
    ):
        context |= _report_context(request, record)
    return render_partial(request, "datasets/import.html", context, partials=["import"])


def _report_context(request: ProjectRequest, record: Import) -> dict[str, Any]:
    counts = sorted(record.problem_counts.items(), key=lambda item: (-item[1], item[0]))
    code = request.GET.get("code", "")
    base = reverse("datasets:import", args=[request.workspace.slug, request.project.slug, record.pk])
    filters = [
        {"label": "All", "url": base, "count": record.problem_count, "current": not code},
        *(
            {
                "label": CODE_TITLES.get(key, key),
                "url": f"{base}?code={key}",
                "count": count,
                "current": key == code,
            }
            for key, count in counts
        ),
    ]
    page = problems_page(record, request.GET)
    is_whole_file = len(counts) == 1 and counts[0][0] in FILE_CODES and not record.row_count
    file_problem = page.rows[0] if is_whole_file and page.rows else None
    preview = []
    if record.state == ImportState.CHECKED:
        rows = ImportRow.objects.filter(import_record=record).order_by("line").only("line", "payload")
        preview = list(rows[:PREVIEW_ROWS])
    return {
        "file_problem": file_problem,
        "filters": filters if len(counts) > 1 else [],
        "page": page,
        "preview": preview,
        "form": CommitForm(),
        "may_commit": record.state == ImportState.CHECKED and record.row_count,
    }


def _import(request: ProjectRequest, pk: int) -> Import:
    return get_object_or_404(imports_of(request.project), pk=pk)


def _with_file(request: ProjectRequest, pk: int) -> Import:
    record = _import(request, pk)
    if record.blob is None:
        raise Http404("The file was not fetched")
    return record


@project_view(Permission.EDIT_DATA, methods=("POST",))
def commit(request: ProjectRequest, pk: int) -> HttpResponse:
    record = _import(request, pk)
    form = CommitForm(request.POST)
    if not form.is_valid():
        raise PortalError("Choose whether to drop or to keep duplicates.")
    import_commit_request(import_record=record, keep_duplicates=form.keep_duplicates, actor=request.user)
    return redirect(record)


@project_view(Permission.EDIT_DATA, methods=("POST",))
def discard(request: ProjectRequest, pk: int) -> HttpResponse:
    record = _import(request, pk)
    import_discard(import_record=record, actor=request.user)
    messages.success(request, f"{record.file_name} is discarded. The dataset is as it was.")
    return redirect("datasets:index", request.workspace.slug, request.project.slug)


@project_view(Permission.EDIT_DATA, methods=("POST",))
def check_again(request: ProjectRequest, pk: int) -> HttpResponse:
    record = _import(request, pk)
    import_check_again(import_record=record, actor=request.user)
    return redirect(record)


@project_view(Permission.VIEW)
def rejected_lines(request: ProjectRequest, pk: int) -> HttpResponseBase:
    """The rows that did not pass, as received, to be mended and uploaded again."""
    record = _with_file(request, pk)
    rows = import_rejected_rows(import_record=record)
    return stream_download(
        request, rows, filename=rejected_file_name(record), content_type="application/octet-stream"
    )


@project_view(Permission.VIEW)
def original_file(request: ProjectRequest, pk: int) -> HttpResponseBase:
    """The file as it was uploaded."""
    record = _with_file(request, pk)
    return stream_download(
        request,
        blob_read(blob_of(record)),
        filename=record.file_name,
        content_type="application/octet-stream",
    )
