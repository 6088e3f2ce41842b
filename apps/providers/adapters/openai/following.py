"""Polls of one job."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from openai import OpenAI

from apps.providers.adapters.openai.contents import MOST_RESULT_BYTES, result_rows, unwrapped
from apps.providers.adapters.openai.cursor import Seen
from apps.providers.adapters.openai.states import failure_of, state_of, status_of
from apps.providers.adapters.openai.timeline import Timeline
from apps.providers.contracts import (
    JobUnknownError,
    ProviderError,
    ProviderRejectedError,
    RemoteCheckpoint,
    TrainingState,
)
from apps.providers.openai_protocol.access import Access
from apps.providers.openai_protocol.errors import asking
from apps.providers.openai_protocol.replies import body_of, moment, number, pages, text
from apps.providers.remote import RemoteProgress

A_PAGE, MOST_PAGES = 100, 500
NOT_OFFERED = (404, 405, 501)


def read_job(client: OpenAI, access: Access, handle: str) -> dict[str, Any]:
    """The job as it stands. Raises JobUnknownError."""
    try:
        with asking(access):
            raw = client.fine_tuning.jobs.with_raw_response.retrieve(handle)
    except ProviderRejectedError as error:
        if error.raw.get("status") != 404:
            raise
        raise JobUnknownError(
            f"{access.host} has no job {handle}. It was removed there, or belongs to another account.",
            raw=error.raw,
        ) from None
    return body_of(access, raw)


def poll(client: OpenAI, access: Access, handle: str, cursor: str) -> RemoteProgress:
    """The job comes first: what it says of its end is then true of the events, too."""
    job = read_job(client, access, handle)
    state = state_of(job)
    seen = Seen.load(cursor)
    ends_now = state == TrainingState.SUCCEEDED and not seen.results_read
    timeline = Timeline(seen, job)
    for event in _fresh_events(client, access, handle, timeline):
        timeline.add(event)
    if ends_now:
        seen.results_read = True
        _add_results(client, access, job, timeline)
    if ends_now or timeline.measured:
        for checkpoint, when in read_checkpoints(client, access, handle):
            timeline.add_checkpoint(checkpoint, when)
    trained = number(job.get("trained_tokens"))
    return RemoteProgress(
        state=state,
        events=tuple(timeline.events),
        cursor=seen.dump(),
        failure=failure_of(job, seen.last_error),
        status=status_of(job),
        seconds_left=None if state.is_final else _seconds_left(job),
        trained_tokens=None if trained is None else int(trained),
        reply=access.hide(job),
    )


def _fresh_events(client: OpenAI, access: Access, handle: str, timeline: Timeline) -> list[Mapping[str, Any]]:
    """In the order they happened. The protocol lists the newest first; the other order is met, too."""
    found: list[Mapping[str, Any]] = []
    oldest_first = bool(timeline.seen.after)
    ask = client.fine_tuning.jobs.with_raw_response.list_events
    listing = pages(
        access,
        lambda **options: ask(handle, **options),
        limit=A_PAGE,
        most=MOST_PAGES,
        after=timeline.seen.after,
    )
    for page in _if_offered(listing):
        times = [number(event.get("created_at")) or 0.0 for event in page]
        oldest_first = oldest_first or times[0] < times[-1]
        found += page
        if oldest_first:
            timeline.seen.after = text(page[-1].get("id"))
        elif any(timeline.knows(event) for event in page):
            break
    return found if oldest_first else found[::-1]


def _if_offered(listing: Iterator[list[dict[str, Any]]]) -> Iterator[list[dict[str, Any]]]:
    """Nothing from a server that lacks the list."""
    try:
        yield from listing
    except ProviderRejectedError as error:
        if error.raw.get("status") not in NOT_OFFERED:
            raise


def read_checkpoints(
    client: OpenAI, access: Access, handle: str
) -> list[tuple[RemoteCheckpoint, float | None]]:
    """By step, each with its time."""
    found: dict[int, tuple[RemoteCheckpoint, float | None]] = {}
    ask = client.fine_tuning.jobs.checkpoints.with_raw_response.list
    listing = pages(access, lambda **options: ask(handle, **options), limit=A_PAGE, most=MOST_PAGES)
    for page in _if_offered(listing):
        for entry in page:
            step, model = number(entry.get("step_number")), text(entry.get("fine_tuned_model_checkpoint"))
            if step is None or not model:
                continue
            told = entry.get("metrics")
            metrics = told if isinstance(told, Mapping) else {}
            loss = number(metrics.get("full_valid_loss"))
            loss = number(metrics.get("valid_loss")) if loss is None else loss
            checkpoint = RemoteCheckpoint(step=int(step), provider_model=model, validation_loss=loss)
            found[int(step)] = (checkpoint, number(entry.get("created_at")))
    return [found[step] for step in sorted(found)]


def _add_results(client: OpenAI, access: Access, job: Mapping[str, Any], timeline: Timeline) -> None:
    """What the result files measured and no event told. Without them the job is as good."""
    files = job.get("result_files")
    for file in files if isinstance(files, list) else []:
        try:
            rows = result_rows(_small_file(client, access, str(file)))
        except (ProviderError, ValueError):
            timeline.warn(f"The result file {file} can't be read; the curve holds what the events told.")
            continue
        for row in rows:
            timeline.add_step(row)


def _small_file(client: OpenAI, access: Access, file: str) -> bytes:
    with asking(access), client.files.with_streaming_response.content(file) as raw:
        content = b""
        for piece in unwrapped(raw.iter_bytes()):
            content += piece
            if len(content) > MOST_RESULT_BYTES:
                raise ValueError("too large for a table of steps")
    return content


def _seconds_left(job: Mapping[str, Any]) -> float | None:
    end = moment(job.get("estimated_finish"))
    return None if end is None else max(0.0, (end - datetime.now(UTC)).total_seconds())
