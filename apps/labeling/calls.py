"""The labeling page's calls: JSON in, JSON out, errors included."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from uuid import UUID

from django.http import HttpResponse, JsonResponse

from apps.core.errors import PortalError
from apps.labeling.access import LabelerRequest, labeler_view

Arguments = ParamSpec("Arguments")


class Call(LabelerRequest):
    """A call with its body read."""

    data: "Body"


class OtherPersonError(PortalError):
    """The page was opened by somebody who signed out since: their labels must not become another's."""

    status = 401
    code = "other_person"

    def __init__(self) -> None:
        super().__init__(
            "Somebody else is signed in here now. Your labels wait in this browser until you are back."
        )


class Body:
    """What the page sent, taken out by type; anything else is refused."""

    def __init__(self, raw: bytes) -> None:
        try:
            value = json.loads(raw)
        except ValueError as error:
            raise PortalError("The request holds no JSON.", code="bad_request") from error
        if not isinstance(value, dict):
            raise PortalError("The request holds no JSON object.", code="bad_request")
        self._value = value

    def _get(self, name: str, kind: type | tuple[type, ...], default: Any = ...) -> Any:
        value = self._value.get(name, default)
        if value is default and default is not ...:
            return default
        if not isinstance(value, kind) or isinstance(value, bool):
            raise PortalError(f"“{name}” is missing or of the wrong kind.", code="bad_request")
        return value

    def integer(self, name: str, default: Any = ...) -> int:
        value = int(self._get(name, int, default))
        if not -(2**63) <= value < 2**63:
            raise PortalError(f"“{name}” is out of range.", code="bad_request")
        return value

    def number(self, name: str) -> float:
        value = float(self._get(name, (int, float), 0.0))
        return value if 0 <= value < 1e9 else 0.0  # not a number fails both

    def text(self, name: str) -> str:
        return str(self._get(name, str, ""))

    def mapping(self, name: str) -> dict[str, Any]:
        return dict(self._get(name, dict))

    def integers(self, name: str) -> list[int]:
        return [each for each in self._get(name, list, []) if isinstance(each, int)][:100]

    def uuid(self, name: str) -> UUID:
        try:
            return UUID(str(self._get(name, str)))
        except ValueError as error:
            raise PortalError(f"“{name}” is not an id.", code="bad_request") from error


def call(
    view: Callable[Concatenate[Call, Arguments], dict[str, Any]],
) -> Callable[..., Any]:
    """A POST of the labeling page: `request.data` is its body; what the view returns is the answer."""

    @wraps(view)
    def answered(request: Any, *args: Arguments.args, **kwargs: Arguments.kwargs) -> HttpResponse:
        try:
            request.data = Body(request.body)
            if request.data.integer("me", request.user.pk) != request.user.pk:
                raise OtherPersonError
            return JsonResponse(view(request, *args, **kwargs))
        except PortalError as error:
            body = {"code": error.code, "message": error.message, "problems": getattr(error, "problems", {})}
            return JsonResponse({"error": body}, status=error.status)

    return labeler_view(methods=("POST",))(answered)  # type: ignore[arg-type]
