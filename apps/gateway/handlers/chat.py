"""/v1/chat/completions"""

from typing import Any

import msgspec
from starlette.responses import Response, StreamingResponse

from apps.accounts.permissions import Permission
from apps.gateway.calls import Call, reply
from apps.gateway.chat.asking import Choice, all_choices
from apps.gateway.chat.parameters import ChatBody, Wanted, read_chat
from apps.gateway.chat.shapes import Frame
from apps.gateway.chat.streams import Stream
from apps.gateway.database import in_thread
from apps.gateway.disconnects import unless_gone
from apps.gateway.errors import not_found
from apps.gateway.handlers.fine_tuning import read_metadata
from apps.gateway.models import StoredCompletion
from apps.gateway.pagination import listed, page_of, wants_descending
from apps.gateway.pagination import listing as list_shape
from apps.gateway.services.stored_completions import (
    stored_completion_create,
    stored_completion_delete,
    stored_completion_update,
)
from apps.gateway.shapes import stored_shape

A_PAGE, MOST = 20, 100
STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


async def create(call: Call) -> Response:
    body = await call.json(ChatBody)
    wanted = read_chat(body)
    if wanted.store:
        call.principal.require(Permission.EVALUATE)
    served = await call.answering.models.get(call.principal.workspace, wanted.model)
    if wanted.stream:

        async def ended(choices: list[Choice]) -> None:
            if wanted.store:
                await _store(call, stream.frame.completion(choices, wanted), wanted)

        stream = Stream(call.answering, served, wanted, ended)
        await stream.begin()
        return StreamingResponse(stream.events(), media_type="text/event-stream", headers=STREAM_HEADERS)
    choices = await unless_gone(call.request, all_choices(call.answering, served, wanted))
    completion = Frame(wanted.model).completion(choices, wanted)
    if wanted.store:
        await _store(call, completion, wanted)
    return reply(completion)


async def _store(call: Call, completion: dict[str, Any], wanted: Wanted) -> None:
    request = msgspec.json.decode(await call.content())
    await in_thread(
        stored_completion_create,
        workspace=call.principal.workspace,
        completion=completion,
        request=request,
        metadata=wanted.metadata or {},
        by=call.principal.user,
    )


# --- Stored ones ---------------------------------------------------------------------------------------------


class UpdateBody(msgspec.Struct):
    metadata: dict[str, Any] | None = None


def _stored(call: Call) -> StoredCompletion:
    public_id = call.parameters["completion_id"]
    found = (
        StoredCompletion.objects.select_related("workspace")
        .filter(workspace=call.principal.workspace, public_id=public_id)
        .first()
    )
    if found is None:
        raise not_found("chat completion", public_id, param="completion_id")
    return found


async def retrieve(call: Call) -> Response:
    return reply(stored_shape(await in_thread(_stored, call)))


async def listing(call: Call) -> Response:
    return reply(await in_thread(_listing, call))


def _listing(call: Call) -> dict[str, Any]:
    """Oldest first, as the protocol has it."""
    rows = StoredCompletion.objects.filter(workspace=call.principal.workspace)
    if model := call.query.get("model"):
        rows = rows.filter(model=model)
    if wanted := call.nested("metadata"):
        rows = rows.filter(metadata__contains=wanted)
    page, has_more = page_of(rows, call.query, default=A_PAGE, most=MOST, newest_first=False)
    return listed(page, stored_shape, has_more=has_more)


async def update(call: Call) -> Response:
    body = await call.json(UpdateBody)
    metadata = read_metadata(body.metadata) or {}
    return reply(await in_thread(_update, call, metadata))


def _update(call: Call, metadata: dict[str, str]) -> dict[str, Any]:
    stored = stored_completion_update(stored=_stored(call), metadata=metadata, by=call.principal.user)
    return stored_shape(stored)


async def delete(call: Call) -> Response:
    return reply(await in_thread(_delete, call))


def _delete(call: Call) -> dict[str, Any]:
    stored_completion_delete(stored=_stored(call), by=call.principal.user)
    return {"id": call.parameters["completion_id"], "object": "chat.completion.deleted", "deleted": True}


async def messages(call: Call) -> Response:
    stored = await in_thread(_stored, call)
    data = [
        {"content": None, **message, "id": f"{stored.public_id}-{index}"}
        for index, message in enumerate(stored.request.get("messages", []))
    ]
    if wants_descending(call.query, default=False):
        data.reverse()
    after = call.query.get("after", "")
    ids = [message["id"] for message in data]
    if after:
        data = data[ids.index(after) + 1 :] if after in ids else []
    return reply(list_shape(data[:MOST], has_more=len(data) > MOST))
