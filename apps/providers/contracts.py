"""What every provider offers to the rest of the code, in plain Python.

A provider is one folder under `adapters/` with a class that fulfils one or both protocols here, and one line
in `registry.py`. Everything a caller must remember between two calls is a string it can store in the
database: the handle of a submitted job and the cursor of its events. So any process can carry on where
another one stopped.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol, runtime_checkable

from apps.core.errors import PortalError

Method = Literal["lora", "full"]
Objective = Literal["supervised", "dpo"]
"""What is learned from: answers to imitate, or pairs of a preferred and a rejected answer."""
Scheduler = Literal["linear", "cosine", "constant"]
TooLong = Literal["drop", "truncate", "refuse"]
ModelKind = Literal["base", "adapter", "full"]
ResultKind = Literal["adapter", "full", "remote"]
FinishReason = Literal["stop", "length"]


class ProviderError(PortalError):
    """A provider refused or failed.

    `message` is a sentence for a person; `code` is stable and for programs; `retryable` says whether the same
    call may succeed later without any change. `raw` keeps the provider's own reply for diagnosis; it never
    holds a credential.
    """

    status = 502
    code = "provider_error"
    retryable = False

    def __init__(
        self, message: str, *, code: str | None = None, raw: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.raw: Mapping[str, Any] = raw or {}


class ProviderUnavailableError(ProviderError):
    """The provider can't be reached or is too busy; the same call may succeed later."""

    status = 503
    code = "unavailable"
    retryable = True

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        raw: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, code=code, raw=raw)
        self.retry_after = retry_after
        """Seconds that the provider asked to be left alone for."""


class ProviderRejectedError(ProviderError):
    """The provider understood the request and will not do it; repeating it is pointless."""

    status = 400
    code = "rejected"


class JobUnknownError(ProviderError):
    """The provider holds no job under this handle."""

    status = 404
    code = "job_unknown"


# --- Training -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0
    target_modules: Literal["all-linear"] | tuple[str, ...] = "all-linear"


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """One recipe. A provider that can't honour a field says so in `validate`, never ignores it silently."""

    method: Method = "lora"
    objective: Objective = "supervised"
    beta: float | None = None
    """DPO: how strongly the model is held to the one it started from; larger holds it closer."""
    epochs: float = 3.0
    max_steps: int | None = None
    batch_size: int = 8
    gradient_accumulation: int = 1
    learning_rate: float = 2e-4
    scheduler: Scheduler = "cosine"
    warmup_ratio: float = 0.03
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    max_length: int = 1024
    too_long: TooLong = "drop"
    lora: LoraSettings | None = None
    evaluation_steps: int | None = None
    logging_steps: int = 1
    save_total_limit: int = 3
    early_stopping_patience: int | None = None
    seed: int = 42


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """A training job as the provider gets it. `job_id` makes `submit` idempotent.

    Files are JSON lines in chat format: `{"messages": [{"role": …, "content": …}, …]}`; for DPO a line also holds
    `"rejected": [{"role": "assistant", "content": …}]`, the answer that the last message was preferred to.
    """

    job_id: str
    base_model: str
    base_revision: str | None = None
    train_file: Path
    validation_file: Path | None = None
    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)
    resume: bool = False


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something wrong with a request, found before it costs anything. Only errors stop a submission."""

    code: str
    message: str
    field: str | None = None
    severity: Literal["error", "warning"] = "error"


@dataclass(frozen=True, kw_only=True)
class RowTokens:
    """Token counts of one row: all tokens of the rendered conversation, and those the loss is taken on.

    `assistant` is None where the chat template doesn't let the answers be told apart.
    """

    total: int
    assistant: int | None


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a job would take. A field is None where nothing measured or published stands behind a number."""

    examples: int
    dropped_rows: int
    truncated_rows: int
    tokens: int
    trained_tokens: int | None
    steps: int
    seconds: float | None = None
    cost: Decimal | None = None
    currency: str | None = None
    basis: str = "unknown"


class TrainingState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        return self in (TrainingState.SUCCEEDED, TrainingState.STOPPED, TrainingState.FAILED)


@dataclass(frozen=True, kw_only=True)
class TrainingEvent:
    """One thing that happened, in order: `seq` counts 0, 1, 2… over the whole job, over a resume too.

    `type` is one of phase, environment, plan, metrics, evaluation, checkpoint, message, result, stopped, failed;
    `data` holds the other fields of that type. `time` is unix seconds.
    """

    seq: int
    time: float
    type: str
    data: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class TrainingFailure:
    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class TrainingProgress:
    """Answer of one poll: the state now, the events after the cursor, and the cursor for the next poll."""

    state: TrainingState
    events: tuple[TrainingEvent, ...]
    cursor: str
    failure: TrainingFailure | None = None


@dataclass(frozen=True, kw_only=True)
class RemoteCheckpoint:
    """A state of the model on the way that the provider keeps and can be asked."""

    step: int
    provider_model: str
    validation_loss: float | None = None


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What came out. A local result is a directory (`path`), a remote one is the provider's model id."""

    kind: ResultKind
    path: Path | None = None
    provider_model: str | None = None
    checkpoints: tuple[RemoteCheckpoint, ...] = ()
    best_step: int | None = None
    validation_loss: float | None = None
    steps: int | None = None


@runtime_checkable
class TrainingProvider(Protocol):
    """Runs training jobs somewhere. No method blocks for longer than one request to the provider."""

    name: str

    def validate(self, request: TrainingRequest) -> list[Problem]:
        """Everything that is wrong with the request and can be seen without spending."""

    def estimate(
        self, request: TrainingRequest, rows: Sequence[RowTokens], *, tokens_per_second: float | None = None
    ) -> Estimate:
        """Tokens and steps from real counts; time only from a rate measured for this model and hardware."""

    def submit(self, request: TrainingRequest) -> str:
        """Start the job once, however often it is called with the same job id; return the handle to store."""

    def poll(self, handle: str, *, cursor: str = "") -> TrainingProgress:
        """State and new events. An empty cursor means from the start."""

    def cancel(self, handle: str) -> None:
        """Ask the job to stop soon. A job that has ended already is left as it is."""

    def result(self, handle: str) -> TrainingResult:
        """The result of a job that succeeded; ProviderError with code "no_result" otherwise."""


# --- Inference ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class ModelReference:
    """Which weights answer.

    Local: `base` (directory, or hub id with the pinned `base_revision`) alone, an adapter artifact on a base, or a
    full model artifact, by the SHA-256 of the artifact's tar. Remote: `provider_model`, the provider's own model id.
    """

    kind: ModelKind = "base"
    base: str | None = None
    base_revision: str | None = None
    artifact_sha256: str | None = None
    provider_model: str | None = None


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    model: ModelReference
    messages: Sequence[Mapping[str, Any]]
    tools: Sequence[Mapping[str, Any]] = ()
    """What the model may call, as JSON schemas."""
    max_tokens: int = 256
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    top_chances: int | None = None
    """How many likely candidates are told for every token; None: no chances are told."""

    def refuse_tools(self, label: str) -> None:
        """Raise ProviderRejectedError where a conversation holds tools: `label` is a provider that is asked in texts
        alone, and to leave them out would ask something else."""
        if self.tools or any(message.get("tool_calls") for message in self.messages):
            raise ProviderRejectedError(
                f"{label} is asked without tools here, and this conversation lists tools or holds calls of them.",
                code="unsupported_option",
            )


@dataclass(frozen=True, kw_only=True)
class Usage:
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, kw_only=True)
class ChatReply:
    """One answer. All times are seconds.

    `latency` is what the caller waited; `compute` is this answer's share of the batch it was computed in and
    `queue` the wait before that, None where the provider doesn't say.
    """

    text: str
    finish_reason: FinishReason
    usage: Usage | None
    latency: float
    compute: float | None = None
    queue: float | None = None
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ChatPiece:
    """What a streamed answer has grown by; `reply` comes once, with the last piece."""

    text: str = ""
    chances: Sequence[Mapping[str, Any]] = ()
    """A token each: {chosen: {text, logarithm}, top: [{text, logarithm}]}."""
    reply: ChatReply | None = None


class StreamingInference(Protocol):
    """Answers chats without blocking the event loop that it is used in."""

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Answer one conversation; raises ProviderError. A cancelled task ends the computation, too."""

    def stream(self, request: ChatRequest) -> AsyncIterator[ChatPiece]:
        """The answer as it grows; raises ProviderError, at the latest with the first piece if it can be known then."""

    async def close(self) -> None:
        """End the connections it holds open."""


@runtime_checkable
class InferenceProvider(Protocol):
    """Answers chats. Safe to call from several threads at once."""

    name: str

    def ensure_model(
        self, model: ModelReference, open_artifact: Callable[[], BinaryIO] | None = None
    ) -> None:
        """Make the weights available to the provider; `open_artifact` is called only if it lacks them."""

    def chat(self, request: ChatRequest) -> ChatReply:
        """Answer one conversation; raises ProviderError."""

    def close(self) -> None:
        """End the connections it holds open."""
