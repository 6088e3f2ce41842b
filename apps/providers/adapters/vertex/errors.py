"""What Google says went wrong, as the errors that every provider raises."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
import httpx2

from apps.core.outgoing import OutgoingError
from apps.providers.contracts import (
    JobUnknownError,
    ProviderError,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from apps.providers.guarded import refusal, was_sent

_CONNECTION = (httpx.RequestError, httpx2.RequestError, httpx.InvalidURL, OutgoingError)


@contextmanager
def google_errors(
    *, creating: bool = False, job: str | None = None, hidden: Callable[[], str] = str
) -> Iterator[None]:
    """Raise `ProviderError` for whatever Google answers, or where it doesn't.

    `creating`: a lost answer may mean that the thing exists now. `job`: what is missing, then, is this job.
    `hidden` tells the text that no error may repeat.
    """
    from google.auth import exceptions as auth
    from google.genai.errors import APIError, UnknownApiResponseError
    from pydantic import ValidationError

    try:
        yield
    except APIError as error:
        headers = getattr(error.response, "headers", {})
        told = {"status": error.status or "", "message": error.message or ""}
        # Not chained: Google may repeat the request in its answer.
        raise answered(error.code, told, headers, creating=creating, job=job, hidden=hidden()) from None
    except _CONNECTION as error:
        raise _broken(error, creating) from error
    except auth.RefreshError as error:
        raise ProviderRejectedError(
            f"Google does not accept the service account's key: {_hide(_line(error.args[0]), hidden())} Make a new key"
            " for it and enter its JSON file.",
            code="unauthenticated",
        ) from None
    except auth.GoogleAuthError as error:
        raise ProviderUnavailableError(
            f"Google gave no access token: {_hide(_line(error), hidden())}", code="unreachable"
        ) from None
    except (ValidationError, UnknownApiResponseError, json.JSONDecodeError) as error:
        raise ProviderUnavailableError(
            f"The answer of Google can't be read: {type(error).__name__}", code="unreadable"
        ) from None


def answered(
    status: int,
    told: Mapping[str, Any],
    headers: Mapping[str, str],
    *,
    creating: bool = False,
    job: str | None = None,
    hidden: str = "",
) -> ProviderError:
    """The error for a refusal. `told` holds Google's own status word and message."""
    text = _hide(_line(told.get("message")), hidden) or f"status {status}"
    raw = {"code": status, "status": told.get("status", ""), "message": text}
    if status in (408, 429) or status >= 500:
        return _busy(status, text, raw, retry_after(headers), creating)
    if status == 404 and job is not None:
        return JobUnknownError(
            "Vertex AI knows no such job; it was made in another project or location, or is gone.", raw=raw
        )
    code, sentence = _REFUSALS.get(status, ("rejected", "Google refused: {}"))
    return ProviderRejectedError(sentence.format(text), code=code, raw=raw)


_REFUSALS = {
    401: (
        "unauthenticated",
        "Google does not accept the credentials: {} Enter a current service account key in the connection.",
    ),
    403: (
        "forbidden",
        "This service account may not do that: {} Give it the roles Vertex AI User and Storage Object Admin in the"
        " project.",
    ),
    404: ("not_found", "Google does not find it: {}"),
}


def _busy(
    status: int, text: str, raw: Mapping[str, Any], pause: float | None, creating: bool
) -> ProviderUnavailableError:
    if status == 429:
        return ProviderUnavailableError(
            f"Vertex AI is too busy for this project: {text}", code="busy", raw=raw, retry_after=pause
        )
    if creating:
        return ProviderUnavailableError(_LOST.format(text), code="reply_lost", raw=raw)
    return ProviderUnavailableError(f"Vertex AI failed: {text}", raw=raw, retry_after=pause)


_LOST = "The answer to the request was lost: {} It may have been carried out."


def retry_after(headers: Mapping[str, str]) -> float | None:
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except ValueError:
        return None


def _broken(error: Exception, creating: bool) -> ProviderUnavailableError:
    refused = refusal(error)
    text = refused.message if refused else _line(error) or type(error).__name__
    if creating and was_sent(error):
        return ProviderUnavailableError(_LOST.format(text), code="reply_lost")
    return ProviderUnavailableError(f"Google can't be reached: {text}", code="unreachable")


def _line(error: object) -> str:
    lines = str(error or "").strip().splitlines()
    return lines[0][:500] if lines else ""


def _hide(text: str, secret: str) -> str:
    return text.replace(secret, "…") if secret else text
