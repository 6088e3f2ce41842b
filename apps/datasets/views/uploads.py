"""Receiving a file in pieces, for `static/js/upload_pieces.js`. Answers are JSON."""

from django.http import HttpRequest, JsonResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse

from apps.accounts.permissions import Permission
from apps.core.errors import ConflictError, PortalError
from apps.datasets.models import Upload
from apps.datasets.selectors import uploads_of
from apps.datasets.services import PIECE_BYTES, upload_begin, upload_receive
from apps.projects.access import ProjectRequest, project_view


def _answer(request: ProjectRequest, upload: Upload, status: int = 200) -> JsonResponse:
    place = reverse("datasets:upload_piece", args=[request.workspace.slug, request.project.slug, upload.pk])
    return JsonResponse(
        {"upload": upload.pk, "received": upload.received, "url": place, "piece": PIECE_BYTES}, status=status
    )


@project_view(Permission.EDIT_DATA, methods=("POST",))
def begin_upload(request: ProjectRequest) -> JsonResponse:
    """Where the upload of a file stands; a new one begins at 0."""
    upload = upload_begin(
        project=request.project,
        file_name=request.POST.get("name", "") or "upload",
        size=_number(request, request.POST.get("size")),
        modified=request.POST.get("modified", ""),
        actor=request.user,
    )
    return _answer(request, upload)


@project_view(Permission.EDIT_DATA, methods=("POST",))
def upload_piece(request: ProjectRequest, pk: int) -> JsonResponse:
    """Take the piece that begins at `X-Upload-Offset`; 409 says which is needed instead."""
    upload = get_object_or_404(uploads_of(request.project), pk=pk)
    if upload.created_by_id != request.user.pk:
        raise ConflictError("Somebody else is uploading this file.")
    offset = _number(request, request.headers.get("X-Upload-Offset"))
    try:
        return _answer(request, upload_receive(upload=upload, offset=offset, data=request.body))
    except ConflictError:
        upload.refresh_from_db()
        return _answer(request, upload, status=409)


def _number(request: HttpRequest, text: str | None) -> int:
    if not text or not text.isascii() or not text.isdigit() or len(text) > 18:
        raise PortalError("A whole number is needed.", code="bad_number")
    return int(text)
