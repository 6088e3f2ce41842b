"""Creating a job once, and finding it by its key."""

from collections.abc import Mapping
from typing import Any

from openai import OpenAI, omit

from apps.providers.contracts import ProviderRejectedError, ProviderUnavailableError
from apps.providers.openai_protocol.access import Access
from apps.providers.openai_protocol.errors import asking
from apps.providers.openai_protocol.replies import body_of, pages, text
from apps.providers.remote import RemoteRequest

METADATA_KEY = "ftportal_job"
LONGEST_SUFFIX = 64
LARGEST_SEED = 2**31 - 1
A_PAGE, MOST_PAGES = 100, 100
IN_METHOD, AT_TOP = "in the method", "at the top"
MAY_HAVE_CREATED = ("connection_lost", "timeout", "bad_reply", "server_error")
"""Errors of a create call behind which the job can stand all the same."""
_NAMES = {"epochs": "n_epochs"}


def submit(client: OpenAI, access: Access, request: RemoteRequest, *, placement: str = IN_METHOD) -> str:
    """The new job's id. Raises ProviderError."""
    try:
        with asking(access):
            raw = client.fine_tuning.jobs.with_raw_response.create(**_arguments(request, placement))
        handle = text(body_of(access, raw).get("id"))
    except ProviderUnavailableError as error:
        if error.code not in MAY_HAVE_CREATED:
            raise
        raise _lost(access, error) from None
    if not handle:
        raise _lost(access)
    return handle


def _lost(access: Access, error: ProviderUnavailableError | None = None) -> ProviderUnavailableError:
    why = f" {error.message}" if error else ""
    return ProviderUnavailableError(
        f"{access.host} was asked to start the job and gave no usable answer, so it may have started.{why}",
        code="reply_lost",
        raw=error.raw if error else None,
        retry_after=error.retry_after if error else None,
    )


def _arguments(request: RemoteRequest, placement: str) -> dict[str, Any]:
    numbers = hyperparameters(request.hyperparameters)
    arguments: dict[str, Any] = {
        "model": request.base_model,
        "training_file": request.training_file,
        "validation_file": request.validation_file or omit,
        "suffix": request.suffix or omit,
        "seed": omit if request.seed is None else request.seed,
        "metadata": {METADATA_KEY: request.job_key},
        "extra_headers": {"Idempotency-Key": request.job_key},
    }
    if placement == AT_TOP and request.objective == "supervised":
        arguments["hyperparameters"] = numbers or omit
    else:
        block = {"hyperparameters": numbers} if numbers else {}
        arguments["method"] = {"type": request.objective, request.objective: block}
    return arguments


def hyperparameters(values: Mapping[str, float]) -> dict[str, float]:
    """By the protocol's names; what is left out is "auto" there."""
    return {
        _NAMES.get(name, name): int(value) if value == int(value) else value for name, value in values.items()
    }


def find(client: OpenAI, access: Access, job_key: str) -> str | None:
    """The job with this key in its metadata, whether or not the server can filter by it."""
    ask = client.fine_tuning.jobs.with_raw_response.list
    try:
        return _among(access, ask, job_key, metadata={METADATA_KEY: job_key})
    except ProviderRejectedError as error:
        if error.raw.get("status") not in (400, 422):
            raise
    return _among(access, ask, job_key)


def _among(access: Access, ask: Any, job_key: str, **filters: Any) -> str | None:
    for page in pages(access, ask, limit=A_PAGE, most=MOST_PAGES, **filters):
        for job in page:
            metadata = job.get("metadata")
            if isinstance(metadata, Mapping) and metadata.get(METADATA_KEY) == job_key:
                return text(job.get("id")) or None
    return None


def cancel(client: OpenAI, access: Access, handle: str) -> None:
    with asking(access):
        client.fine_tuning.jobs.with_raw_response.cancel(handle)
