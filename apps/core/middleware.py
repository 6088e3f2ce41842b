"""Request id and origin for the audit record; expected errors as pages or fragments; unexpected ones with an id."""

import logging
import uuid
from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render

from apps.core.errors import PortalError
from apps.core.request_context import RequestContext, reset_current_request, set_current_request

logger = logging.getLogger(__name__)

JSON_PREFIXES = ("/api/", "/v1/")


class RequestContextMiddleware:
    """Gives every request an id (`X-Request-ID`), and tells the audit record where a change comes from."""

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
        token = self._enter(request)
        try:
            return self._leave(request, self.get_response(request))
        finally:
            reset_current_request(token)

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        token = self._enter(request)
        try:
            return self._leave(request, await self.get_response(request))  # type: ignore[misc]
        finally:
            reset_current_request(token)

    def _enter(self, request: HttpRequest) -> object:
        request_id = uuid.uuid4().hex[:16]
        request.request_id = request_id  # type: ignore[attr-defined]
        source = "api" if request.path.startswith(JSON_PREFIXES) else "page"
        address = request.META.get("REMOTE_ADDR", "")
        return set_current_request(RequestContext(request_id=request_id, address=address, source=source))

    def _leave(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response.headers["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
        return response


class PortalErrorMiddleware:
    """Turns `PortalError` into an answer with its status and its message; the page's input is not lost."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, PortalError):
            return None
        logger.info("request.refused", extra={"code": exception.code, "path": request.path})
        if request.path.startswith(JSON_PREFIXES):
            body = {"error": {"code": exception.code, "message": exception.message}}
            return JsonResponse(body, status=exception.status)
        template = (
            "components/error_box.html" if getattr(request, "htmx", False) else "errors/portal_error.html"
        )
        return render(request, template, {"error": exception}, status=exception.status)
