"""Files and jobs that an account has already."""

from collections.abc import Iterator, Mapping
from typing import Any

from openai import OpenAI, omit

from apps.providers.adapters.openai.contents import unwrapped
from apps.providers.adapters.openai.states import failure_of, state_of, status_of
from apps.providers.adapters.openai.timeline import hyperparameters_of
from apps.providers.contracts import Objective
from apps.providers.openai_protocol.access import Access
from apps.providers.openai_protocol.errors import asking
from apps.providers.openai_protocol.replies import moment, number, pages, text
from apps.providers.remote import RemoteFile, RemoteJob

FILES_A_PAGE, JOBS_A_PAGE, MOST_PAGES = 1000, 100, 100
PURPOSE = "fine-tune"
_NAMES = {"n_epochs": "epochs"}


def files(client: OpenAI, access: Access) -> list[RemoteFile]:
    """Newest first."""
    ask = client.files.with_raw_response.list
    found = [
        RemoteFile(
            id=text(entry.get("id")),
            filename=text(entry.get("filename")),
            bytes=_whole(entry.get("bytes")),
            created_at=moment(entry.get("created_at")),
            purpose=text(entry.get("purpose")),
        )
        for page in pages(access, ask, limit=FILES_A_PAGE, most=MOST_PAGES, purpose=PURPOSE, order="desc")
        for entry in page
        if text(entry.get("id")) and text(entry.get("purpose")) in (PURPOSE, "")
    ]
    return sorted(found, key=lambda file: -file.created_at.timestamp() if file.created_at else 0.0)


def read_file(client: OpenAI, access: Access, file: str) -> Iterator[bytes]:
    with asking(access), client.files.with_streaming_response.content(file) as raw:
        yield from unwrapped(raw.iter_bytes())


def jobs(client: OpenAI, access: Access) -> list[RemoteJob]:
    """Newest first."""
    ask = client.fine_tuning.jobs.with_raw_response.list
    found = [
        job_of(access, entry)
        for page in pages(access, ask, limit=JOBS_A_PAGE, most=MOST_PAGES, metadata=omit)
        for entry in page
        if text(entry.get("id"))
    ]
    return sorted(found, key=lambda job: -job.created_at.timestamp() if job.created_at else 0.0)


def job_of(access: Access, entry: Mapping[str, Any]) -> RemoteJob:
    failure = failure_of(entry)
    metadata = entry.get("metadata")
    seed = number(entry.get("seed"))
    return RemoteJob(
        handle=text(entry.get("id")),
        base_model=text(entry.get("model")),
        state=state_of(entry),
        status=status_of(entry),
        created_at=moment(entry.get("created_at")),
        finished_at=moment(entry.get("finished_at")),
        objective=_objective(entry),
        training_file=text(entry.get("training_file")) or None,
        validation_file=text(entry.get("validation_file")) or None,
        hyperparameters=_numbers(entry),
        tuned_model=text(entry.get("fine_tuned_model")) or None,
        suffix=suffix_of(entry),
        seed=None if seed is None else int(seed),
        trained_tokens=_whole(entry.get("trained_tokens")),
        metadata={str(key): str(value) for key, value in metadata.items()}
        if isinstance(metadata, Mapping)
        else {},
        error=failure.message if failure else "",
        reply=access.hide(entry),
    )


def _objective(entry: Mapping[str, Any]) -> Objective:
    """What is neither is shown as supervised; the reply says what it was."""
    method = entry.get("method")
    return "dpo" if isinstance(method, Mapping) and method.get("type") == "dpo" else "supervised"


def _numbers(entry: Mapping[str, Any]) -> dict[str, float]:
    told = {_NAMES.get(name, name): number(value) for name, value in hyperparameters_of(entry).items()}
    return {name: value for name, value in told.items() if value is not None}


def suffix_of(entry: Mapping[str, Any]) -> str:
    """Told by some servers; else it is in the tuned model's name, ft:<base>:<organisation>:<suffix>:<id>."""
    told = text(entry.get("user_provided_suffix")) or text(entry.get("suffix"))
    parts = text(entry.get("fine_tuned_model")).split(":")
    return told or (parts[3] if len(parts) == 5 and parts[0] == "ft" else "")


def _whole(value: Any) -> int | None:
    found = number(value)
    return None if found is None else int(found)
