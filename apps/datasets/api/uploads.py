"""Files that come in piece by piece, so that a lost connection costs one piece: begin, put, import."""

from django.shortcuts import get_object_or_404
from ninja import P, QueryEx, Router, Status

from apps.accounts.permissions import Permission
from apps.core.api import REFUSALS
from apps.core.errors import ConflictError, PortalError
from apps.datasets.api.imports import into_dataset, refuse_errors, shown_import
from apps.datasets.api.schemas import ImportOut, UploadIn, UploadIntoIn, UploadOut
from apps.datasets.forms import UploadForm
from apps.datasets.models import Upload
from apps.datasets.selectors import uploads_of
from apps.datasets.services import PIECE_BYTES, import_from_upload, upload_begin, upload_receive
from apps.projects.access import ProjectRequest
from apps.projects.api import ProjectKey, ProjectPlace

router = Router(tags=["Uploads"])
EDIT = ProjectKey(Permission.EDIT_DATA)
_BYTES = {"requestBody": {"required": True, "content": {"application/octet-stream": {}}}}


def _shown(upload: Upload) -> UploadOut:
    return UploadOut(
        id=upload.pk,
        file_name=upload.file_name,
        size=upload.size,
        received=upload.received,
        piece_bytes=PIECE_BYTES,
        is_whole=upload.is_whole,
    )


def _upload(request: ProjectRequest, pk: int) -> Upload:
    """An upload of the project that the key's person began."""
    upload = get_object_or_404(uploads_of(request.project), pk=pk)
    if upload.created_by_id != request.user.pk:
        raise ConflictError("Somebody else is uploading this file.")
    return upload


@router.post("/uploads/", auth=EDIT, response={200: UploadOut, **REFUSALS}, url_name="begin_upload")
def begin_upload(request: ProjectRequest, place: ProjectPlace, payload: UploadIn) -> UploadOut:
    """Begin a file, or find how far it came: the same name, size and `modified` by the same person is the same file."""
    upload = upload_begin(
        project=request.project,
        file_name=payload.file_name,
        size=payload.size,
        modified=payload.modified,
        actor=request.user,
    )
    return _shown(upload)


@router.get("/uploads/{int:pk}/", auth=EDIT, response={200: UploadOut, **REFUSALS}, url_name="upload_state")
def upload_state(request: ProjectRequest, place: ProjectPlace, pk: int) -> UploadOut:
    """How far the file came: the next piece begins at `received`."""
    return _shown(_upload(request, pk))


@router.put(
    "/uploads/{int:pk}/",
    auth=EDIT,
    response={200: UploadOut, **REFUSALS},
    url_name="put_piece",
    openapi_extra=_BYTES,
)
def put_piece(
    request: ProjectRequest,
    place: ProjectPlace,
    pk: int,
    offset: QueryEx[int, P(ge=0, description="Where the piece begins.")] = 0,
) -> UploadOut:
    """Take the piece that begins at `offset`: the bytes are the body. Every piece but the last has `piece_bytes` bytes.

    409: another piece is needed next; ask for the upload's `received`. A piece that is sent twice is not stored twice.
    """
    if int(request.META.get("CONTENT_LENGTH") or 0) > PIECE_BYTES:
        raise PortalError(f"A piece has at most {PIECE_BYTES} bytes.", code="bad_piece")
    return _shown(upload_receive(upload=_upload(request, pk), offset=offset, data=request.body))


@router.post(
    "/uploads/{int:pk}/import/", auth=EDIT, response={201: ImportOut, **REFUSALS}, url_name="import_upload"
)
def import_upload(
    request: ProjectRequest, place: ProjectPlace, pk: int, payload: UploadIntoIn
) -> Status[ImportOut]:
    """Import a file whose pieces are all here; it is checked in the background."""
    upload = _upload(request, pk)
    form = UploadForm(
        {"dataset": payload.dataset, "name": payload.name, "upload": upload.pk},
        {},
        project=request.project,
        uploads=uploads_of(request.project).filter(created_by=request.user),
    )
    refuse_errors(form)
    record = import_from_upload(
        dataset=into_dataset(request, form), upload=form.cleaned_data["upload"], actor=request.user
    )
    return Status(201, shown_import(record))
