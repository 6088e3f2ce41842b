"""Small HTTP helpers shared by views."""

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import patch_vary_headers


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
