"""/v1/files"""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

from django.conf import settings
from django.utils.http import content_disposition_header
from starlette.responses import Response, StreamingResponse

from apps.artifacts.models import Blob, BlobChunk
from apps.gateway.calls import Call, reply
from apps.gateway.database import in_thread
from apps.gateway.errors import ApiError
from apps.gateway.models import File, IntakeState, Purpose
from apps.gateway.multipart import Received, receive_upload
from apps.gateway.pagination import listed, page_of
from apps.gateway.selectors import file_get, files_of
from apps.gateway.services.files import file_create, file_delete
from apps.gateway.services.intakes import intake_advance
from apps.gateway.services.projects import project_ensure
from apps.gateway.shapes import file_shape
from apps.projects.models import Project

UPLOADED = (Purpose.ASSISTANTS, Purpose.BATCH, Purpose.FINE_TUNE, Purpose.VISION, Purpose.USER_DATA)
EVALS = "evals"
"""Taken as data of the user: evaluations are made on the pages."""
SHORTEST_LIFE, LONGEST_LIFE = 3600, 30 * 24 * 3600
WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")
FILES_A_PAGE = 10_000


async def create(call: Call) -> Response:
    projects: list[Project] = []

    async def check(fields: dict[str, str], size: int) -> None:
        """Before the file is kept."""
        purpose = _purpose(fields.get("purpose", ""))
        _life(fields)
        if purpose == Purpose.FINE_TUNE:
            if not size:
                raise ApiError("The file is empty.", code="invalid_file", param="file")
            named = call.request.headers.get("openai-project", "")
            projects.append(await in_thread(project_ensure, principal=call.principal, named=named))

    received = await receive_upload(call.request, limit=settings.FTPORTAL_UPLOAD_LIMIT, check=check)
    file = await in_thread(_create, call, received, projects[0] if projects else None)
    return reply(file_shape(file))


def _create(call: Call, received: Received, project: Project | None) -> File:
    principal = call.principal
    file = file_create(
        workspace=principal.workspace,
        project=project,
        name=received.file_name,
        purpose=_purpose(received.fields.get("purpose", "")),
        blob=received.blob,
        expires_in=_life(received.fields),
        by=principal.user,
    )
    return file_get(principal.workspace, file.public_id)


def _purpose(text: str) -> str:
    if not text:
        raise ApiError("'purpose' is a required property", code="missing_required_parameter", param="purpose")
    if text == EVALS:
        return Purpose.USER_DATA
    if text not in [purpose.value for purpose in UPLOADED]:
        known = ", ".join(f"'{purpose.value}'" for purpose in UPLOADED)
        raise ApiError(f"'{text}' is not one of [{known}]", code="invalid_value", param="purpose")
    return text


def _life(fields: dict[str, str]) -> timedelta | None:
    anchor, life = fields.get("expires_after[anchor]"), fields.get("expires_after[seconds]")
    if anchor is None and life is None:
        return None
    if anchor != "created_at":
        raise ApiError("The anchor must be 'created_at'.", code="invalid_value", param="expires_after.anchor")
    if not life or not WHOLE_NUMBER.fullmatch(life) or not SHORTEST_LIFE <= int(life) <= LONGEST_LIFE:
        raise ApiError(
            f"The seconds must be from {SHORTEST_LIFE} to {LONGEST_LIFE}.",
            code="invalid_value",
            param="expires_after.seconds",
        )
    return timedelta(seconds=int(life))


async def retrieve(call: Call) -> Response:
    return reply(await in_thread(_retrieve, call))


def _retrieve(call: Call) -> dict[str, object]:
    workspace, public_id = call.principal.workspace, call.parameters["file_id"]
    file = file_get(workspace, public_id)
    working = [intake.pk for intake in file.intakes.all() if intake.state == IntakeState.WORKING]
    if working:
        for intake_id in working:
            intake_advance(intake_id=intake_id)
        file = file_get(workspace, public_id)
    return file_shape(file)


async def listing(call: Call) -> Response:
    return reply(await in_thread(_listing, call))


def _listing(call: Call) -> dict[str, object]:
    workspace = call.principal.workspace
    files = files_of(workspace)
    if purpose := call.query.get("purpose"):
        files = files.filter(purpose=purpose)
    cursors = File.objects.filter(workspace=workspace)
    rows, has_more = page_of(files, call.query, default=FILES_A_PAGE, most=FILES_A_PAGE, cursors=cursors)
    return listed(rows, file_shape, has_more=has_more)


async def delete(call: Call) -> Response:
    return reply(await in_thread(_delete, call))


def _delete(call: Call) -> dict[str, object]:
    file = file_get(call.principal.workspace, call.parameters["file_id"])
    file_delete(file=file, by=call.principal.user)
    return {"id": file.public_id, "object": "file", "deleted": True}


async def content(call: Call) -> Response:
    file = await in_thread(file_get, call.principal.workspace, call.parameters["file_id"])
    csv = file.purpose == Purpose.RESULTS
    return StreamingResponse(
        _chunks(file.blob),
        media_type="text/csv" if csv else "application/octet-stream",
        headers={
            "Content-Length": str(file.blob.size),
            "Content-Disposition": content_disposition_header(True, file.name) or "attachment",
        },
    )


async def _chunks(blob: Blob) -> AsyncIterator[bytes]:
    index = 0
    while (chunk := await in_thread(_chunk, blob, index)) is not None:
        yield chunk
        index += 1


def _chunk(blob: Blob, index: int) -> bytes | None:
    row = BlobChunk.objects.filter(blob=blob, index=index).values_list("data", flat=True).first()
    return None if row is None else bytes(row)
