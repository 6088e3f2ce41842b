"""Background work of a workspace: the list, the fragment in the top bar, and the stream that keeps it live."""

import asyncio
from collections.abc import AsyncIterator

import redis
from asgiref.sync import sync_to_async
from django.db import close_old_connections
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from apps.accounts.access import WorkspaceRequest, require, workspace_view
from apps.accounts.permissions import Permission
from apps.core.pagination import keyset_page
from apps.operations.live import async_client, channel_of_workspace
from apps.operations.models import Operation
from apps.operations.presence import queues_without_worker
from apps.operations.selectors import active_operations_of, operations_of
from apps.operations.services import operation_cancel

STREAM_SECONDS = 600
"""A stream ends after this long and the browser opens the next: nothing is held for ever."""
PING_SECONDS = 15
QUIET_SECONDS = 0.4
"""At most one event in this time, however much changes."""


@workspace_view(Permission.VIEW)
def operations(request: WorkspaceRequest) -> HttpResponse:
    """All background work; asked by htmx for the top bar, only what is under way."""
    url = reverse("operations:list", args=[request.workspace.slug])
    if request.htmx and (request.headers.get("HX-Target") or "").endswith("running-work"):
        active = {"operations": active_operations_of(request.workspace), "url": url}
        return render(request, "components/running_work.html", active)
    page = keyset_page(operations_of(request.workspace), request.GET, descending=True)
    missing = queues_without_worker()
    context: dict[str, object] = {
        "page": page,
        "queues_without_worker": missing,
        "queues_text": ", ".join(missing or []),
        "redis_is_away": missing is None,
    }
    return render(request, "operations/list.html", context)


@workspace_view(Permission.VIEW, methods=("POST",))
def cancel(request: WorkspaceRequest, pk: int) -> HttpResponse:
    """Whoever started it may stop it; leads and owners may stop everything."""
    operation = get_object_or_404(Operation, workspace=request.workspace, pk=pk)
    if operation.actor_id != request.user.pk:
        require(request.membership, Permission.TRAIN)
    operation_cancel(operation=operation, by=request.user)
    return redirect(operation.url or reverse("operations:list", args=[request.workspace.slug]))


@workspace_view(Permission.VIEW)
def stream(request: WorkspaceRequest) -> HttpResponseBase:
    """Server-sent events: `operations` whenever background work of the workspace changed."""
    events = changes(channel_of_workspace(request.workspace.pk), event="operations")
    response = StreamingHttpResponse(events, content_type="text/event-stream")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"
    return response


async def changes(channel: str, *, event: str) -> AsyncIterator[str]:
    """An event for every burst of messages on `channel`, and comments in between that keep proxies awake."""
    await sync_to_async(close_old_connections)()  # the view's own goes back to the pool now, not at the end
    client = async_client()
    yield "retry: 3000\n\n"
    try:
        async with client.pubsub() as pubsub, asyncio.timeout(STREAM_SECONDS):
            await pubsub.subscribe(channel)
            yield f"event: {event}\ndata: connected\n\n"
            while True:
                message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=PING_SECONDS)
                if message is None:
                    yield ": still here\n\n"
                    continue
                await asyncio.sleep(QUIET_SECONDS)
                while await pubsub.get_message(ignore_subscribe_messages=True, timeout=0):
                    pass
                yield f"event: {event}\ndata: changed\n\n"
    except (TimeoutError, redis.RedisError):
        return
    finally:
        await client.aclose()
