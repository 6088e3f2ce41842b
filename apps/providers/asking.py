"""Asking a provider many questions at once, patiently: no Django, no database."""

import threading
import time
from collections.abc import Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice

from apps.core.errors import PortalError
from apps.providers.contracts import ChatReply, ChatRequest, InferenceProvider, ProviderError

IN_FLIGHT = 48
"""Questions under way at once: enough for a local program to fill its batches."""
IN_FLIGHT_REMOTE = 8
"""A provider answers each by itself and counts how many come in a minute."""
FLUSH_SECONDS = 0.5
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0


class AskingStoppedError(PortalError):
    """Going on makes no sense: the provider is gone, or every question fails."""

    status = 503
    code = "asking_stopped"


@dataclass(frozen=True, slots=True)
class Question:
    item_id: int
    request: ChatRequest


@dataclass(frozen=True, slots=True)
class Outcome:
    """`reply` is None when the item stays without an answer; `error` then says why."""

    item_id: int
    reply: ChatReply | None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a provider that cannot be reached is waited for, how long one that asks for a pause, and how often one
    question is tried otherwise."""

    seconds: float = 60.0
    busy_seconds: float = 900.0
    tries: int = 4


def ask_all(
    provider: InferenceProvider,
    questions: Sequence[Question],
    *,
    in_flight: int = IN_FLIGHT,
    patience: Patience | None = None,
) -> Generator[list[Outcome], None, None]:
    """Yield outcomes in small batches as they come, at least every second, also an empty one.

    Close the generator to stop: nothing new is asked then. Raises `AskingStoppedError` when the provider cannot
    be reached for as long as `patience` allows.
    """
    patience = patience or Patience()
    stop = threading.Event()
    executor = ThreadPoolExecutor(max_workers=in_flight, thread_name_prefix="ask")
    waiting = iter(questions)

    def submit(count: int) -> set["Future[Outcome]"]:
        return {
            executor.submit(_ask, provider, question, patience, stop) for question in islice(waiting, count)
        }

    try:
        # Twice as many as are under way, so that no thread waits for this loop.
        pending = submit(2 * in_flight)
        batch: list[Outcome] = []
        flushed = time.monotonic()
        while pending:
            done, pending = wait(pending, timeout=FLUSH_SECONDS, return_when=FIRST_COMPLETED)
            batch.extend(future.result() for future in done)
            pending |= submit(len(done))
            if time.monotonic() - flushed >= FLUSH_SECONDS:
                yield batch
                batch, flushed = [], time.monotonic()
        if batch:
            yield batch
    finally:
        stop.set()
        executor.shutdown(wait=False, cancel_futures=True)


def _ask(
    provider: InferenceProvider, question: Question, patience: Patience, stop: threading.Event
) -> Outcome:
    """One question with its retries. A refusal is final; an unreachable provider ends the whole asking."""
    started = time.monotonic()
    pause = FIRST_PAUSE
    tries = 0
    while True:
        tries += 1
        try:
            return Outcome(question.item_id, provider.chat(question.request))
        except ProviderError as error:
            if not error.retryable:
                return Outcome(question.item_id, None, error.message)
            gone = error.code == "unreachable"
            asked_pause = getattr(error, "retry_after", None)
            waited = time.monotonic() - started
            if gone:
                spent = waited >= patience.seconds
            elif asked_pause is not None:
                spent = waited >= patience.busy_seconds
            else:
                spent = tries >= patience.tries
            if spent and gone:
                raise AskingStoppedError(
                    f"{error.message} The answers so far are kept; start it, then go on from there."
                ) from error
            if spent:
                return Outcome(question.item_id, None, f"{error.message} Tried {tries} times.")
        if stop.wait(max(pause, asked_pause or 0.0)):
            return Outcome(question.item_id, None, "Not asked: it was stopped.")
        pause = min(LONGEST_PAUSE, pause * 2)
