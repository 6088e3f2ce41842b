"""What a server of the protocol means with a refusal, in sentences."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import httpx2
from openai import APIConnectionError, APIStatusError, APITimeoutError, OpenAIError

from apps.providers.contracts import ProviderError, ProviderRejectedError, ProviderUnavailableError
from apps.providers.guarded import refusal, was_sent
from apps.providers.openai_protocol.access import Access

LONGEST_MESSAGE = 600

SENTENCES = {
    "insufficient_quota": "The account at {host} has no credit left. Add some there, then try again.",
    "billing_hard_limit_reached": "The account at {host} reached its spending limit. Raise it there, then try again.",
    "billing_not_active": "The account at {host} has no active billing. Set it up there, then try again.",
    "model_not_available": "{host} doesn't train this model. Choose another base model.",
    "model_not_found": "{host} has no such model for this key. It may be deleted, shut down, or not deployed.",
    "DeploymentNotFound": "{host} has no such deployment. Deploy the model there and use its deployment's name.",
    "context_length_exceeded": "The conversation is longer than the model can take.",
    "unsupported_country_region_territory": "{host} doesn't serve the region that this server is in.",
    "unsupported_method": "{host} doesn't offer this way of training.",
    "invalid_file": "{host} can't use the file.",
    "invalid_training_file": "{host} can't use the training file.",
}  # fmt: skip
"""Codes that are known; what the server says itself follows behind."""
LASTING = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
"""Codes of status 429 that waiting doesn't mend."""


@contextmanager
def asking(access: Access) -> Iterator[None]:
    """Errors of the client library leave it as `ProviderError`. Their chain ends here: it holds requests with keys."""
    try:
        yield
    except (OpenAIError, httpx2.HTTPError) as error:
        failed = provider_error(error, access)
    except json.JSONDecodeError:
        failed = bad_reply(access)
    else:
        return
    raise failed from None


def provider_error(error: Exception, access: Access) -> ProviderError:
    host = access.host
    if isinstance(error, APIStatusError):
        return _refused(error, access)
    if isinstance(error, APIConnectionError | httpx2.TransportError):
        why = refusal(error)
        if why is not None:
            return ProviderUnavailableError(why.message, code="unreachable")
        if not was_sent(error):
            detail = _detail(error, access)
            return ProviderUnavailableError(f"{host} can't be reached{detail}.", code="unreachable")
        if isinstance(error, APITimeoutError | httpx2.TimeoutException):
            return ProviderUnavailableError(f"{host} did not answer in time.", code="timeout")
        detail = _detail(error, access)
        return ProviderUnavailableError(
            f"The connection to {host} broke before its answer came{detail}.", code="connection_lost"
        )
    return ProviderUnavailableError(
        f"{host} answered with something that is not understood.",
        code="bad_reply",
        raw={"error": access.hide(str(error))[:LONGEST_MESSAGE]},
    )


def bad_reply(access: Access, body: object = None) -> ProviderUnavailableError:
    """An answer with a status of success that isn't the protocol's."""
    text = "" if body is None else access.hide(str(body))[:LONGEST_MESSAGE]
    return ProviderUnavailableError(
        f"{access.host} answered with something that is not OpenAI's protocol. Is the base URL right? It usually ends"
        " in /v1.",
        code="bad_reply",
        raw={"body": text},
    )


def _detail(error: Exception, access: Access) -> str:
    """What the system says about it: that of the innermost error."""
    inner: BaseException = error
    while inner.__cause__ is not None:
        inner = inner.__cause__
    text = access.hide(str(inner)).strip()
    return f" ({text.splitlines()[0][:150]})" if text and inner is not error else ""


def _refused(error: APIStatusError, access: Access) -> ProviderError:
    status, host = error.status_code, access.host
    said = access.hide(_message(error.body))[:LONGEST_MESSAGE]
    code = access.hide(str(error.code)) if error.code else ""
    raw = {"status": status, "request_id": error.request_id, "error": access.hide(_plain(error.body))}
    pause = retry_after(error.response.headers)
    theirs = f" It says: {said}" if said else ""

    lasting, sentence, usual = _meaning(
        status, code, host, error.response.headers.get("x-should-retry") == "true"
    )
    if lasting:
        message = sentence + theirs if sentence else said or f"{host} refused it with HTTP status {status}."
        return ProviderRejectedError(message, code=usual, raw=raw)
    return ProviderUnavailableError(sentence + theirs, code=usual, raw=raw, retry_after=pause)


def _meaning(status: int, code: str, host: str, may_retry: bool) -> tuple[bool, str, str]:
    """Whether it lasts, a sentence, and a code of ours or of the server."""
    if status == 401:
        return (
            True,
            f"{host} does not accept the key. Enter a current one for the connection.",
            "unauthenticated",
        )
    if status == 403:
        return True, f"The key may not do this at {host}. Give it the permission there.", "forbidden"
    if code in SENTENCES and (status < 429 or code in LASTING):
        return True, SENTENCES[code].format(host=host), code
    if status == 429:
        return False, f"{host} is asked too often at the moment.", "rate_limited"
    if status in (408, 425) or status >= 500 or may_retry:
        return False, f"{host} has a fault at the moment (HTTP status {status}).", "server_error"
    return True, "", code or {404: "not_found", 409: "conflict", 413: "too_large"}.get(status, "rejected")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a reply asks to wait for; headers without regard to case."""
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after", "")
    seconds = _number(text)
    if seconds is not None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < float("inf") else None


def _message(body: object) -> str:
    """Servers that speak the protocol agree on little else: {message}, {detail} and bare texts are all seen."""
    if isinstance(body, str):
        return "" if body.lstrip().startswith("<") else body.strip()
    if isinstance(body, Mapping):
        for name in ("message", "detail", "error"):
            found = body.get(name)
            if isinstance(found, str) and found:
                return found
            if found:
                return json.dumps(found)
    return ""


def _plain(body: object) -> Any:
    return body[:LONGEST_MESSAGE] if isinstance(body, str) else body
