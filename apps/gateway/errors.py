"""Errors in the shape of the protocol: {"error": {message, type, param, code}}."""

from typing import Any

from apps.core.errors import ConflictError, NotAllowedError, PortalError
from apps.jobs.hyperparameters import HyperparameterError
from apps.providers.contracts import ProviderError

INVALID = "invalid_request_error"
TYPES = {401: "authentication_error", 403: "permission_error", 429: "requests"}


class ApiError(Exception):
    """An answer that is an error. `retry` tells clients whether the same request may succeed later."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        code: str | None = None,
        param: str | None = None,
        retry: bool | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.param = param
        self.retry = retry
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        kind = TYPES.get(self.status, "server_error" if self.status >= 500 else INVALID)
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}


def not_found(what: str, public_id: str, *, param: str | None = "id") -> ApiError:
    return ApiError(f"No such {what}: {public_id}", status=404, param=param)


def model_not_found(name: str) -> ApiError:
    return ApiError(
        f"The model `{name}` does not exist or you do not have access to it.",
        status=404,
        code="model_not_found",
        param="model",
    )


def from_portal(error: PortalError) -> ApiError:
    """An expected error of the product, with its sentence."""
    if isinstance(error, NotAllowedError):
        return ApiError(error.message, status=403, code="insufficient_permissions")
    if isinstance(error, HyperparameterError):
        return ApiError(error.message, code="invalid_value", param=error.field)
    if isinstance(error, ProviderError):
        return from_provider(error)
    # A conflict here is about the state of a thing; sending the same again would not help.
    retry = False if isinstance(error, ConflictError) else None
    return ApiError(error.message, status=error.status, code=error.code, retry=retry)


PROMPT_ERRORS = {"too_long": "context_length_exceeded", "template_refused": "invalid_messages"}


def from_provider(error: ProviderError) -> ApiError:
    if error.code in PROMPT_ERRORS:
        return ApiError(error.message, code=PROMPT_ERRORS[error.code], param="messages")
    if error.retryable:
        return ApiError(error.message, status=503, code=error.code, retry=True, headers={"Retry-After": "2"})
    return ApiError(error.message, status=500, code=error.code, retry=False)
