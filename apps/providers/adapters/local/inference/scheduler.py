"""The one thread that computes, and how it picks what to compute together."""

import threading
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from apps.core.chat_tokens import Chat
from apps.providers.adapters.local.inference.errors import InferenceError
from apps.providers.adapters.local.inference.store import ModelStore

if TYPE_CHECKING:
    from apps.providers.adapters.local.inference.choosing import TokenChance
    from apps.providers.adapters.local.inference.generation import Generator, Piece, Prompt
    from apps.providers.adapters.local.inference.models import LoadedModels

MAX_WAITING = 4096
MAX_BATCH = 64
# Padded prompt tokens of one batch; bounds the memory of the key-value cache.
MAX_BATCH_TOKENS = 64 * 1024
# Callers that start together arrive within milliseconds of each other. Waiting this long for the next one,
# and no longer than the limit for all, fills the first batch; later ones fill while it computes.
GATHER_SECONDS = 0.004
GATHER_LIMIT_SECONDS = 0.04
IDLE_CHECK_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Work:
    """What may be computed together: the same weights."""

    kind: str
    base: str | None
    revision: str | None = None
    sha256: str | None


@dataclass(frozen=True)
class Reply:
    """`seconds` is this answer's share of its batch's time; `queue_seconds` the wait before the batch began."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    queue_seconds: float
    chances: "tuple[TokenChance, ...]" = ()


@dataclass(eq=False)
class Waiting:
    """`tell` hears a streamed answer as it grows. An answer whose `future` was cancelled is not gone on with."""

    work: Work
    chat: Chat
    max_tokens: int
    seed: int | None
    stop: tuple[str, ...]
    temperature: float = 0.0
    top_p: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    top_chances: int | None = None
    tell: "Callable[[Piece], None] | None" = None
    future: "Future[Reply]" = field(default_factory=Future)
    since: float = field(default_factory=time.perf_counter)
    ids: tuple[int, ...] = ()


class Scheduler:
    """Requests go in from any thread; one thread of its own answers them batch by batch, oldest work first."""

    def __init__(self, store: ModelStore, *, budget_bytes: int, idle_seconds: float) -> None:
        self._store = store
        self._budget = budget_bytes
        self._idle_seconds = idle_seconds
        self._waiting: list[Waiting] = []
        self._changed = threading.Condition()
        self._models: LoadedModels | None = None
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, waiting: Waiting) -> None:
        with self._changed:
            if len(self._waiting) >= MAX_WAITING:
                raise InferenceError(503, "busy", "Too many requests are waiting. Try again in a moment.")
            self._waiting.append(waiting)
            self._changed.notify()

    def state(self) -> tuple[list[str], int]:
        """Labels of the loaded models and their bytes."""
        models = self._models
        return (models.labels(), models.bytes()) if models is not None else ([], 0)

    def _run(self) -> None:
        while True:
            group = self._gather()
            if group:
                self._answer(group)
            elif self._models is not None:
                self._models.free_idle()

    def _gather(self) -> list[Waiting]:
        """All waiting requests of the oldest one's work; empty when nothing came for a while."""
        with self._changed:
            if not self._waiting:
                self._changed.wait(IDLE_CHECK_SECONDS)
            if not self._waiting:
                return []
            deadline = time.perf_counter() + GATHER_LIMIT_SECONDS
            while len(self._waiting) < MAX_BATCH and time.perf_counter() < deadline:
                if not self._changed.wait(GATHER_SECONDS):
                    break
            self._waiting = [item for item in self._waiting if not item.future.cancelled()]
            if not self._waiting:
                return []
            work = self._waiting[0].work
            return [item for item in self._waiting if item.work == work]

    def _answer(self, group: list[Waiting]) -> None:
        try:
            generator = self._generator(group[0].work)
            for item in group:
                self._encode(item, generator)
            group = [item for item in group if not item.future.done()]
            if group:
                self._generate(choose_batch(group), generator)
        except Exception as error:
            failure = _explain(error)
            self._finish(group, lambda item: item.future.set_exception(failure))
        else:
            self._finish(group, None)

    def _generator(self, work: Work) -> "Generator":
        # Imports torch: only now, so that the program is up at once.
        from apps.providers.adapters.local.inference.models import LoadedModels, ModelKey

        if self._models is None:
            self._models = LoadedModels(
                self._store, budget_bytes=self._budget, idle_seconds=self._idle_seconds
            )
        return self._models.generator(ModelKey(work.kind, work.base, work.sha256, work.revision))

    def _encode(self, item: Waiting, generator: "Generator") -> None:
        if item.ids:
            return
        try:
            item.ids = generator.encode(item.chat, item.max_tokens)
        except InferenceError as error:
            item.future.set_exception(error)

    def _generate(self, batch: list[Waiting], generator: "Generator") -> None:
        started = time.perf_counter()
        try:
            answers = generator.generate([_prompt(item) for item in batch])
        except Exception as error:
            if _explain(error).code != "out_of_memory" or len(batch) == 1:
                raise
            # The memory didn't hold the batch; its halves may fit.
            generator.free_prefixes()
            half = len(batch) // 2
            self._generate(batch[:half], generator)
            self._generate(batch[half:], generator)
            return
        share = (time.perf_counter() - started) / len(batch)
        for item, answer in zip(batch, answers, strict=True):
            reply = Reply(
                text=answer.text,
                finish_reason=answer.finish_reason,
                prompt_tokens=len(item.ids),
                completion_tokens=answer.completion_tokens,
                seconds=share,
                queue_seconds=started - item.since,
                chances=answer.chances,
            )
            if not item.future.done():
                item.future.set_result(reply)

    def _finish(self, group: list[Waiting], settle: Callable[[Waiting], None] | None) -> None:
        """Take answered requests out of the queue; with `settle`, answer the rest of the group that way
        first."""
        for item in group:
            if settle is not None and not item.future.done():
                settle(item)
        with self._changed:
            self._waiting = [item for item in self._waiting if not item.future.done()]


def _prompt(item: Waiting) -> "Prompt":
    from apps.providers.adapters.local.inference.choosing import Sampling
    from apps.providers.adapters.local.inference.generation import Prompt

    return Prompt(
        ids=item.ids,
        max_tokens=item.max_tokens,
        seed=item.seed,
        stop=item.stop,
        sampling=Sampling(item.temperature, item.top_p, item.frequency_penalty, item.presence_penalty),
        top_chances=item.top_chances,
        tell=item.tell,
        gone=item.future.cancelled,
    )


def choose_batch(group: list[Waiting]) -> list[Waiting]:
    """The oldest request with those of the most similar length, as many as a batch takes."""
    ordered = sorted(group, key=lambda item: len(item.ids))
    oldest = ordered.index(group[0])
    first = last = oldest
    while last - first + 1 < min(MAX_BATCH, len(ordered)):
        shorter = len(ordered[oldest].ids) - len(ordered[first - 1].ids) if first > 0 else None
        longer = len(ordered[last + 1].ids) - len(ordered[oldest].ids) if last + 1 < len(ordered) else None
        take_longer = shorter is None or (longer is not None and longer <= shorter)
        width = len(ordered[last + 1].ids) if take_longer else len(ordered[last].ids)
        if width * (last - first + 2) > MAX_BATCH_TOKENS:
            break
        first, last = (first, last + 1) if take_longer else (first - 1, last)
    return ordered[first : last + 1]


def _explain(error: Exception) -> InferenceError:
    if isinstance(error, InferenceError):
        return error
    words = str(error).lower()
    if isinstance(error, MemoryError) or "out of memory" in words or "allocate memory" in words:
        return InferenceError(
            507, "out_of_memory", "The machine has not enough memory to answer with this model."
        )
    traceback.print_exception(error)
    return InferenceError(500, "internal", f"The model failed unexpectedly: {type(error).__name__}: {error}")
