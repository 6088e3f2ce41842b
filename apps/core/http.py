"""Small HTTP helpers shared by views."""

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django.utils.http import content_disposition_header

STREAM_BLOCK = 64 * 1024


def render_partial(
    request: HttpRequest,
    template: str,
    context: dict[str, Any],
    *,
    partials: Iterable[str],
    status: int = 200,
) -> HttpResponse:
    """The whole page, or the one of its `partials` that htmx asks for by its target's id.

    Never a partial for a history restore: a fragment alone would be shown as a page.
    """
    name = template
    htmx = getattr(request, "htmx", None)
    if htmx and not htmx.history_restore_request:
        # htmx 4 sends `tag#id`.
        target = (request.headers.get("HX-Target") or "").rpartition("#")[2]
        if target in partials:
            name = f"{template}#{target}"
    response = render(request, name, context, status=status)
    patch_vary_headers(response, ["HX-Request", "HX-Target"])
    return response


def render_until_done(
    request: HttpRequest, template: str, context: dict[str, Any], *, partial: str
) -> HttpResponse:
    """A page that asks for `partial` again while work goes on (`is_working`); at its end the whole page comes anew,
    since more of it than the partial is about what has been made."""
    response = render_partial(request, template, context, partials=[partial])
    if getattr(request, "htmx", None) and not context["is_working"]:
        response.headers["HX-Refresh"] = "true"
    return response


def stream_download(
    request: HttpRequest, content: Iterable[bytes], *, filename: str, content_type: str
) -> StreamingHttpResponse:
    """A file made while it is sent: however long it is, only a block of it is in memory."""
    blocks = _in_blocks(content)
    body = _in_request_thread(blocks) if isinstance(request, ASGIRequest) else blocks
    response = StreamingHttpResponse(body, content_type=content_type)
    response.headers["Content-Disposition"] = content_disposition_header(True, filename) or "attachment"
    return response


def _in_blocks(content: Iterable[bytes]) -> Iterator[bytes]:
    block = bytearray()
    for piece in content:
        block += piece
        if len(block) >= STREAM_BLOCK:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


async def _in_request_thread(blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Given a plain iterator, Django's ASGI handler would read all of it into memory before the first byte is sent."""
    read = sync_to_async(lambda: next(blocks, None))
    while (block := await read()) is not None:
        yield block
