"""Pages that belong to no app: errors, health, the gallery of components."""

import sys

from django.core.exceptions import DisallowedHost
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import split_domain_port
from django.shortcuts import render
from django.template.loader import render_to_string

from apps.core.middleware import JSON_PREFIXES


def health(request: HttpRequest) -> JsonResponse:
    """For load balancers: the web process answers. It asks nobody else."""
    return JsonResponse({"status": "ok"})


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    strange = isinstance(exception, DisallowedHost)
    # Without its port: so it is listed in FTPORTAL_ALLOWED_HOSTS.
    host = split_domain_port(request.META.get("HTTP_HOST", ""))[0] if strange else ""
    return render(request, "errors/400.html", {"strange_host": host}, status=400)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return render(request, "errors/403.html", status=403)


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    if request.path.startswith(JSON_PREFIXES):
        return _json_error(404, "not_found", "There is no such address. See /api/docs.")
    return render(request, "errors/404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Stands alone: no session, no database, no context processors. Called where the error is being handled."""
    request_id = getattr(request, "request_id", "")
    if database_is_away(sys.exception()):
        if request.path.startswith(JSON_PREFIXES):
            return _json_error(503, "database_away", "The database cannot be reached. Try again in a minute.")
        return HttpResponse(render_to_string("errors/503.html", {"request_id": request_id}), status=503)
    if request.path.startswith(JSON_PREFIXES):
        return _json_error(500, "unexpected", f"Something broke. The log has it under {request_id}.")
    return HttpResponse(render_to_string("errors/500.html", {"request_id": request_id}), status=500)


def database_is_away(error: BaseException | None) -> bool:
    """Whether Postgres cannot be reached, as against an error that it tells of."""
    if not isinstance(error, OperationalError | InterfaceError):
        return False
    state = getattr(error.__cause__, "sqlstate", None)  # none: it did not get as far as to ask
    return state is None or state.startswith(("08", "57P"))


def _json_error(status: int, code: str, message: str) -> JsonResponse:
    return JsonResponse({"error": {"code": code, "message": message}}, status=status)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return render(request, "errors/403_csrf.html", {"reason": reason}, status=403)
