"""What htmx needs from every answer: redirects as a header, and waiting messages carried along.

Why so: docs/adr/0005-pages.md.
"""

from collections.abc import Awaitable, Callable
from typing import cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.contrib.messages import get_messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string

REDIRECTS = (301, 302, 303, 307, 308)


def _redirect(response: HttpResponseBase) -> HttpResponse:
    """The browser follows a 3xx inside the request and would put a whole page into a fragment's place."""
    answer = HttpResponse(status=204, headers={"HX-Redirect": response.headers["Location"]})
    answer.cookies = response.cookies
    for name in ("Vary", "Cache-Control"):
        if name in response.headers:
            answer.headers[name] = response.headers[name]
    return answer


def _with_messages(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Messages of this request appear on the page that asked, instead of on some later one."""
    is_html = response.headers.get("Content-Type", "").startswith("text/html")
    if response.streaming or not is_html or response.status_code == 204:
        return response
    if any(name in response.headers for name in ("HX-Redirect", "HX-Location", "HX-Refresh")):
        return response
    waiting = get_messages(request)
    if getattr(waiting, "added_new", False):
        fragment = render_to_string("components/messages_partial.html", {"messages": waiting})
        whole = cast(HttpResponse, response)
        whole.content = whole.content + fragment.encode()
        if "Content-Length" in whole.headers:
            whole.headers["Content-Length"] = str(len(whole.content))
    return response


class HtmxResponseMiddleware:
    """Stands inside the message and session middleware, so that what it spends is saved."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self._answer(request)
        return self._adapt(request, self.get_response(request))

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        response = await cast(Awaitable[HttpResponseBase], self.get_response(request))
        return await sync_to_async(self._adapt)(request, response)

    def _adapt(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if request.headers.get("HX-Request") != "true":
            return response
        if response.status_code in REDIRECTS and "Location" in response.headers:
            return _redirect(response)
        return _with_messages(request, response)
