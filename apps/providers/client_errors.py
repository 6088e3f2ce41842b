"""What goes wrong in a provider's own client, in the words of the contract: no Django.

The clients of several providers come from one generator: their errors carry the same attributes (`response`, `body`,
`request`) under classes of their own. So they are judged by what they hold, and one place knows what a status means.
"""

import email.utils
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from apps.providers.contracts import (
    JobUnknownError,
    ProviderError,
    ProviderRejectedError,
    ProviderUnavailableError,
)
from apps.providers.guarded import refusal, was_sent

LONGEST_WORDS = 300
LONGEST_TEXT_KEPT = 2000
HIDDEN = "•••"
_NOT_AS_DOCUMENTED = (KeyError, TypeError, ValueError, AttributeError, AssertionError)
_MAY_HAVE_WORKED = (500, 502, 504)


@dataclass(frozen=True)
class ErrorsOf:
    """Errors of one account. `secrets` are taken out of everything that is told or kept: some providers repeat them."""

    label: str
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @contextmanager
    def told(self, *, job: str | None = None, creates: str | None = None) -> Iterator[None]:
        """Raise `ProviderError` for what happens inside. Its chain ends there: the causes hold requests with keys.

        `job`: the handle that is asked for, so that "not found" means that job. `creates`: how the path of the request
        ends that creates something; if its answer is lost, the code is "reply_lost".
        """
        try:
            yield
        except ProviderError:
            raise
        except Exception as error:
            told = self.of(error, job=job, creates=creates)
            if told is None:
                raise
        else:
            return
        raise told

    def of(
        self, error: Exception, *, job: str | None = None, creates: str | None = None
    ) -> ProviderError | None:
        """The error in our words; None for one that has nothing to do with the provider."""
        refused = refusal(error)
        if refused is not None:
            return ProviderUnavailableError(refused.message, code="unreachable")
        response = getattr(error, "response", None)
        if isinstance(response, httpx.Response) and response.status_code >= 300:
            return self._answered(error, response, job=job, creates=creates)
        if isinstance(error, httpx.HTTPError) or isinstance(error.__cause__, httpx.HTTPError):
            return self._unanswered(error, creates=creates)
        if isinstance(error, _NOT_AS_DOCUMENTED) or isinstance(response, httpx.Response):
            return ProviderUnavailableError(
                f"{self.label} answered in a form that is not documented. If this stays so, its interface has changed.",
                code="odd_reply",
                raw={"error": self.hide(f"{type(error).__name__}: {error}"[:LONGEST_TEXT_KEPT])},
            )
        return None

    def hide(self, value: Any) -> Any:
        """The same without secrets, and with long texts cut."""
        if isinstance(value, str):
            for secret in self.secrets:
                value = value.replace(secret, HIDDEN) if secret else value
            return value[:LONGEST_TEXT_KEPT]
        if isinstance(value, Mapping):
            return {self.hide(str(key)): self.hide(entry) for key, entry in value.items()}
        if isinstance(value, Sequence) and not isinstance(value, bytes):
            return [self.hide(entry) for entry in value]
        return value if isinstance(value, (int, float, bool)) or value is None else self.hide(str(value))

    def _answered(
        self, error: Exception, response: httpx.Response, *, job: str | None, creates: str | None
    ) -> ProviderError:
        status = response.status_code
        body = _body(error, response)
        raw = {"status": status, "body": self.hide(body)}
        words = self.hide(_words(body))[:LONGEST_WORDS].rstrip(". ")
        if status in (408, 429) or status >= 500:
            return self._busy(status, words, raw, response, _creating(error, response.request, creates))
        if status == 404 and job is not None:
            return JobUnknownError(
                f"{self.label} holds no job {job}. It may have been deleted there.", raw=raw
            )
        said = f" It says: {words}." if words else ""
        message, code = _REFUSALS.get(status, ("{label} refused this.", "rejected"))
        return ProviderRejectedError(message.format(label=self.label) + said, code=code, raw=raw)

    def _busy(
        self, status: int, words: str, raw: Mapping[str, Any], response: httpx.Response, creating: bool
    ) -> ProviderUnavailableError:
        said = f" It says: {words}." if words else ""
        pause = _retry_after(response.headers)
        if status == 429:
            when = f" It can be asked again in {pause:g} seconds." if pause is not None else ""
            message, code = f"{self.label} is asked too often, or a limit of the account is reached.", "busy"
            return ProviderUnavailableError(message + when + said, code=code, raw=raw, retry_after=pause)
        code = "reply_lost" if creating and status in _MAY_HAVE_WORKED else "unavailable"
        message = f"{self.label} has a fault of its own (status {status}). It may pass.{said}"
        return ProviderUnavailableError(message, code=code, raw=raw, retry_after=pause)

    def _unanswered(self, error: Exception, *, creates: str | None) -> ProviderUnavailableError:
        cause = error if isinstance(error, httpx.HTTPError) else error.__cause__
        request = getattr(error, "request", None) if not isinstance(error, httpx.HTTPError) else None
        request = request or getattr(cause, "_request", None)
        if was_sent(error) and _creating(error, request, creates):
            return ProviderUnavailableError(
                f"The connection to {self.label} broke before its answer came. It is looked up whether the job was "
                "created.",
                code="reply_lost",
            )
        if isinstance(cause, httpx.TimeoutException):
            return ProviderUnavailableError(f"{self.label} did not answer in time.", code="timeout")
        detail = self.hide(str(cause).splitlines()[0][:150] if str(cause) else type(cause).__name__)
        return ProviderUnavailableError(f"{self.label} can't be reached: {detail}", code="unreachable")


_REFUSALS = {
    401: ("{label} does not accept the key. Enter a valid one in the connection.", "unauthenticated"),
    402: ("The account at {label} has no credit for this. Add some there, then try again.", "no_credit"),
    403: ("{label} does not allow this to the key, or to its account.", "forbidden"),
    404: ("{label} does not know what was asked for.", "not_found"),
    409: ("{label} says that this can't be done in the state that it is in.", "conflict"),
}


def _creating(error: Exception, request: httpx.Request | None, creates: str | None) -> bool:
    if creates is None or not isinstance(request, httpx.Request):
        return False
    return request.method == "POST" and request.url.path.rstrip("/").endswith(creates)


def _body(error: Exception, response: httpx.Response) -> Any:
    body = getattr(error, "body", None)
    if body is None:
        try:
            body = response.text
        except httpx.ResponseNotRead:
            return None
    if isinstance(body, str):
        try:
            return json.loads(body)
        except ValueError:
            return body
    return body


def _words(body: Any) -> str:
    """What a person can read of an answer."""
    if isinstance(body, Mapping):
        for key in ("error", "message", "detail", "error_message"):
            if body.get(key):
                return _words(body[key])
        return ""
    if isinstance(body, str):
        return "" if body.lstrip().startswith("<") else " ".join(body.split())
    return ""


def _retry_after(headers: httpx.Headers) -> float | None:
    """Seconds, from a number or a date."""
    text = headers.get("retry-after", "")
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
