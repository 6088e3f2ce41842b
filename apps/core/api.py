"""What every answer of the API has in common: errors with a code, and what they look like in the schema."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI, Schema
from ninja.errors import AuthenticationError, ValidationError

from apps.core.errors import PortalError


class ErrorDetail(Schema):
    code: str
    """Stable, for programs."""
    message: str
    """What happened, why, what to do."""


class ErrorOut(Schema):
    error: ErrorDetail


REFUSALS: dict[int, Any] = dict.fromkeys((400, 401, 403, 404, 409, 422), ErrorOut)
"""What any operation may answer instead, for its `response=`."""


def register_errors(api: NinjaAPI) -> None:
    """Errors are `{"error": {"code": …, "message": …}}`, whatever raised them. Unexpected ones are left to Django."""

    def answer(request: HttpRequest, status: int, code: str, message: str) -> HttpResponse:
        return api.create_response(request, {"error": {"code": code, "message": message}}, status=status)

    @api.exception_handler(PortalError)
    def refused(request: HttpRequest, error: PortalError) -> HttpResponse:
        return answer(request, error.status, error.code, error.message)

    @api.exception_handler(Http404)
    def missing(request: HttpRequest, error: Http404) -> HttpResponse:
        return answer(
            request, 404, "not_found", "There is no such thing here, or it belongs to another team."
        )

    @api.exception_handler(AuthenticationError)
    def unknown(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
        response = answer(
            request,
            401,
            "unauthenticated",
            "Send a working API key of the workspace: “Authorization: Bearer ftp-…”. Its owners make keys in the"
            " settings.",
        )
        response.headers["WWW-Authenticate"] = "Bearer"
        return response

    @api.exception_handler(ValidationError)
    def invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
        places = [
            f"{'.'.join(str(part) for part in each['loc'][1:]) or each['loc'][0]}: {each['msg']}"
            for each in error.errors[:5]
        ]
        return answer(request, 422, "invalid", "; ".join(places))
