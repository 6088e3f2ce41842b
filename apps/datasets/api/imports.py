"""Imports: a file comes in, is mapped and checked in the background, then committed or discarded."""

from typing import Any

from django.db import transaction
from django.http import Http404
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from ninja import File, Form, P, QueryEx, Router, Status, UploadedFile

from apps.accounts.permissions import Permission
from apps.core.api import REFUSALS
from apps.core.errors import PortalError
from apps.core.http import stream_download
from apps.datasets.api.datasets import dataset_in
from apps.datasets.api.schemas import (
    CommitIn,
    FetchIn,
    ImportOut,
    MappingIn,
    ProblemOut,
    ProblemsOut,
    work_of,
)
from apps.datasets.forms import FetchForm, UploadForm
from apps.datasets.import_files import columns_in, first_records
from apps.datasets.mapping import RowMapping
from apps.datasets.models import Dataset, Import, Upload
from apps.datasets.presets import PRESETS
from apps.datasets.selectors import imports_of, problems_page, saved_mappings_of
from apps.datasets.services import (
    dataset_create,
    import_commit_request,
    import_discard,
    import_from_path,
    import_from_url,
    import_map,
    import_rejected_rows,
    import_upload,
    mapping_save,
    rejected_file_name,
    upload_refuse_too_large,
)
from apps.projects.access import ProjectRequest
from apps.projects.api import ProjectKey, ProjectPlace

router = Router(tags=["Imports"])
EDIT, VIEW = ProjectKey(Permission.EDIT_DATA), ProjectKey(Permission.VIEW)
PIECE = 1024 * 1024
ROWS_FOR_COLUMNS = 20


def shown_import(record: Import) -> ImportOut:
    blob = record.blob
    return ImportOut(
        id=record.pk,
        dataset=record.dataset_id,
        state=record.state,
        file_name=record.file_name,
        bytes=blob.size if blob else None,
        sha256=blob.sha256 if blob else None,
        mapping=record.mapping,
        columns=list(record.reading.get("columns", ())),
        row_count=record.row_count,
        problem_count=record.problem_count,
        problem_counts=record.problem_counts,
        repeated_in_file=record.repeated_in_file,
        already_in_dataset=record.already_in_dataset,
        added_count=record.added_count,
        error=record.error,
        work=work_of(record),
    )


def _import(request: ProjectRequest, pk: int) -> Import:
    return get_object_or_404(imports_of(request.project), pk=pk)


def into_dataset(request: ProjectRequest, form: UploadForm | FetchForm) -> Dataset:
    """The chosen dataset, or a new one; only of a valid form."""
    dataset: Dataset = form.cleaned_data["dataset"] or dataset_create(
        project=request.project, name=form.cleaned_data["name"], actor=request.user
    )
    dataset.project = request.project
    return dataset


def refuse_errors(form: UploadForm | FetchForm) -> None:
    if not form.is_valid():
        raise PortalError(" ".join(str(error) for errors in form.errors.values() for error in errors))


@router.post("/imports/", auth=EDIT, response={201: ImportOut, **REFUSALS}, url_name="upload")
def upload(
    request: ProjectRequest,
    place: ProjectPlace,
    *,
    file: File[UploadedFile],
    dataset: Form[int | None] = None,
    name: Form[str] = "",
) -> Status[ImportOut]:
    """Upload a file as multipart/form-data; it is stored as a stream and checked in the background."""
    upload_refuse_too_large(request.META.get("CONTENT_LENGTH"))
    form = UploadForm(
        {"dataset": dataset, "name": name},
        {"file": file},
        project=request.project,
        uploads=Upload.objects.none(),
    )
    refuse_errors(form)
    record = import_upload(
        dataset=into_dataset(request, form),
        file_name=file.name or "upload",
        content=file.chunks(PIECE),
        actor=request.user,
    )
    return Status(201, shown_import(record))


@router.post("/imports/fetch/", auth=EDIT, response={201: ImportOut, **REFUSALS}, url_name="fetch")
def fetch(request: ProjectRequest, place: ProjectPlace, payload: FetchIn) -> Status[ImportOut]:
    """Let the server get a file from an https address, or from the operator's import directory."""
    data = {"place": payload.url, "dataset": payload.dataset, "name": payload.name}
    form = FetchForm(data, project=request.project)
    refuse_errors(form)
    source = form.cleaned_data["place"]
    with transaction.atomic():
        dataset = into_dataset(request, form)
        if form.is_url:
            record = import_from_url(dataset=dataset, url=source, actor=request.user)
        else:
            record = import_from_path(dataset=dataset, path=source, actor=request.user)
    return Status(201, shown_import(record))


@router.get("/imports/", auth=VIEW, response={200: list[ImportOut], **REFUSALS}, url_name="imports")
def imports(request: ProjectRequest, place: ProjectPlace, dataset: int | None = None) -> list[ImportOut]:
    """The newest hundred imports, of a dataset or of the whole project."""
    found = imports_of(request.project).order_by("-pk")
    if dataset is not None:
        found = found.filter(dataset=dataset_in(request, dataset))
    return [shown_import(record) for record in found[:100]]


@router.get("/imports/{int:pk}/", auth=VIEW, response={200: ImportOut, **REFUSALS}, url_name="import")
def import_(request: ProjectRequest, place: ProjectPlace, pk: int) -> ImportOut:
    """How far an import is, and what its check found."""
    return shown_import(_import(request, pk))


@router.get(
    "/imports/{int:pk}/problems/", auth=VIEW, response={200: ProblemsOut, **REFUSALS}, url_name="problems"
)
def problems(
    request: ProjectRequest,
    place: ProjectPlace,
    pk: int,
    *,
    code: QueryEx[str, P(description="Only problems of this code.")] = "",
    after: int | None = None,
) -> ProblemsOut:
    """What is wrong with which line, fifty at a time. All are counted; the first few thousand are kept."""
    page = problems_page(_import(request, pk), {"code": code, "after": after})
    shown = [ProblemOut.model_validate(problem, from_attributes=True) for problem in page.rows]
    return ProblemsOut(problems=shown, after=page.after)


@router.get("/imports/{int:pk}/rejected/", auth=VIEW, response={**REFUSALS}, url_name="rejected")
def rejected(request: ProjectRequest, place: ProjectPlace, pk: int) -> HttpResponseBase:
    """The rows that did not pass, as received: mend them and upload them again."""
    record = _import(request, pk)
    if record.blob is None:
        raise Http404("The file was not fetched")
    return stream_download(
        request,
        import_rejected_rows(import_record=record),
        filename=rejected_file_name(record),
        content_type="application/octet-stream",
    )


@router.post(
    "/imports/{int:pk}/mapping/", auth=EDIT, response={200: ImportOut, **REFUSALS}, url_name="map_import"
)
def map_import(request: ProjectRequest, place: ProjectPlace, pk: int, payload: MappingIn) -> ImportOut:
    """Say what the columns mean. The file is checked by it from its first row on."""
    record = _import(request, pk)
    mapping = _mapping(request, record, payload)
    with transaction.atomic():
        import_map(import_record=record, mapping=mapping, actor=request.user)
        if payload.save_as.strip():
            mapping_save(
                project=request.project, name=payload.save_as.strip(), mapping=mapping, actor=request.user
            )
    return shown_import(record)


def _mapping(request: ProjectRequest, record: Import, payload: MappingIn) -> RowMapping:
    if payload.saved:
        saved = saved_mappings_of(request.project).filter(name=payload.saved).first()
        if saved is None:
            raise PortalError(f"There is no saved mapping “{payload.saved}”.", code="unknown_mapping")
        return RowMapping.from_json(saved.mapping)
    preset = PRESETS.get(payload.preset)
    if preset is None:
        raise PortalError(
            f"There is no preset “{payload.preset}”. Presets: {', '.join(PRESETS)}.", code="unknown_preset"
        )
    parts = {part.key: part for part in preset.parts}
    unknown = payload.fields.keys() - parts.keys()
    if unknown:
        raise PortalError(
            f"The preset {preset.key} has no part “{sorted(unknown)[0]}”. Parts: {', '.join(parts) or 'none'}.",
            code="unknown_part",
        )
    missing = [key for key, part in parts.items() if part.required and not payload.fields.get(key)]
    if missing:
        raise PortalError(f"Name the column of “{missing[0]}” in fields.", code="missing_part")
    fields = {key: column for key, column in payload.fields.items() if column}
    mapping = RowMapping(
        preset.key,
        fields=fields,
        system=payload.system,
        prompt=payload.prompt,
        answer=payload.answer,
        split=payload.split,
    )
    _refuse_unknown_columns(record, mapping)
    return mapping


def _refuse_unknown_columns(record: Import, mapping: RowMapping) -> None:
    columns: dict[str, Any] = dict.fromkeys(record.reading.get("columns", ()))
    for row in first_records(record, ROWS_FOR_COLUMNS):
        columns |= columns_in(row) or {}
    for column in sorted(mapping.columns):
        if column not in columns and column.split(".")[0] not in columns:
            raise PortalError(
                f"The file has no column “{column}”. It has: {', '.join(columns)[:300]}",
                code="unknown_column",
            )


@router.post(
    "/imports/{int:pk}/commit/", auth=EDIT, response={200: ImportOut, **REFUSALS}, url_name="commit_import"
)
def commit_import(request: ProjectRequest, place: ProjectPlace, pk: int, payload: CommitIn) -> ImportOut:
    """Add the rows that passed to the dataset, in the background."""
    record = _import(request, pk)
    import_commit_request(import_record=record, keep_duplicates=payload.keep_duplicates, actor=request.user)
    return shown_import(record)


@router.post(
    "/imports/{int:pk}/discard/", auth=EDIT, response={204: None, **REFUSALS}, url_name="discard_import"
)
def discard_import(request: ProjectRequest, place: ProjectPlace, pk: int) -> Status[None]:
    """Give the import up: the dataset is as it was."""
    import_discard(import_record=_import(request, pk), actor=request.user)
    return Status(204, None)
