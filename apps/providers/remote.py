"""What a provider on another machine offers, in plain Python, and what it is told and says.

An adapter is made with `settings`, the values of its own `settings` fields, and holds no state between calls: the
caller keeps what was uploaded, the handle of a job and the cursor of its events in its database, so any process can
carry on where another one stopped. Every call makes a few requests and returns; only `upload` lasts as long as the
file is large. All of them raise `ProviderError` and nothing else for what goes wrong with the provider:

- `ProviderUnavailableError`: unreachable, too busy (then `retry_after` says for how long), or an error of its own;
- `ProviderRejectedError`: it understood and will not do it; code "unauthenticated" for a wrong key and "forbidden"
  for a key that may not do this;
- `JobUnknownError`: it has no such job (any more).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

from apps.providers.contracts import Objective, Problem, TrainingProgress, TrainingResult, TrainingState

FileRole = Literal["training", "validation"]
FileReadiness = Literal["ready", "working", "refused"]

NUMBERS = (
    "epochs", "batch_size", "learning_rate", "learning_rate_multiplier", "lora_rank", "lora_alpha", "lora_dropout",
    "warmup_ratio", "weight_decay", "beta", "early_stopping_patience", "checkpoints",
)  # fmt: skip
"""The names of hyperparameters that providers share; each adapter offers some of them."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One thing that a person tells about a connection. Secrets are stored encrypted and never shown again."""

    name: str
    label: str
    help: str = ""
    secret: bool = False
    required: bool = True
    default: str = ""
    choices: tuple[str, ...] = ()
    is_url: bool = False
    is_text: bool = False
    """Of several lines, such as a certificate."""


@dataclass(frozen=True, kw_only=True)
class RemoteNumber:
    """A hyperparameter that the provider takes. Left out of a request, the provider uses `usual`, or decides itself
    where that is None."""

    name: str
    low: float
    high: float
    usual: float | None = None
    whole: bool = False


@dataclass(frozen=True, kw_only=True)
class Support:
    """How one model of a provider can be trained towards one objective. None where the provider names no limit.

    `data_format` is a key of the export formats of datasets: "chat", "preference", "together", "gemini"…
    """

    data_format: str
    numbers: tuple[RemoteNumber, ...] = ()
    takes_validation: bool = True
    takes_seed: bool = False
    fewest_rows: int = 1
    most_rows: int | None = None
    counts_both: bool = False
    """`fewest_rows` and `most_rows` are of training and validation rows together."""
    most_validation_rows: int | None = None
    most_bytes: int | None = None
    most_tokens_a_row: int | None = None
    refuses_long_rows: bool = False
    """Where others cut a row that is too long, the whole file is refused for it."""
    note: str = ""
    """What a person should know before choosing it, in a sentence."""


@dataclass(frozen=True, kw_only=True)
class RemoteModel:
    """A model as the provider lists it. None: it doesn't say."""

    id: str
    label: str = ""
    owner: str = ""
    objectives: tuple[Objective, ...] | None = None
    context_length: int | None = None
    end_of_life: date | None = None
    tuned: bool = False


@dataclass(frozen=True, kw_only=True)
class ConnectionCheck:
    """What a live look showed. `message` says it in a sentence, and what to do where something is wrong.

    `trainable` and `served` are None where the provider doesn't list them.
    """

    reachable: bool
    authenticated: bool | None
    message: str
    trainable: tuple[RemoteModel, ...] | None = None
    served: tuple[RemoteModel, ...] | None = None
    quota: str = ""


@dataclass(frozen=True, kw_only=True)
class RemoteRequest:
    """A training job as a remote provider gets it. `job_key` is unique to the job and goes with it to the provider,
    so that `find` can tell it from others. Hyperparameters hold `NUMBERS`; what is left out is left to the provider.
    """

    job_key: str
    base_model: str
    objective: Objective = "supervised"
    training_file: str
    validation_file: str | None = None
    hyperparameters: Mapping[str, float] = field(default_factory=dict)
    suffix: str = ""
    seed: int | None = None


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """What is known about the files before they are sent. Tokens are None where nothing counted them."""

    rows: int
    validation_rows: int = 0
    bytes: int | None = None
    tokens: int | None = None
    longest_row_tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class FileState:
    readiness: FileReadiness
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Quote:
    """What the provider itself says a job would cost."""

    cost: Decimal
    currency: str
    tokens: int | None = None


@dataclass(frozen=True, kw_only=True)
class RemoteProgress(TrainingProgress):
    """One poll of a remote job. Besides the types of `TrainingEvent` there is "message", {level, text}: what the
    provider says in words. A "checkpoint" event carries `provider_model` instead of a path where it can be asked.

    `status` is the provider's own word, `reply` its last answer as it came.
    """

    status: str = ""
    seconds_left: float | None = None
    trained_tokens: int | None = None
    cost: Decimal | None = None
    currency: str = ""
    reply: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class RemoteTrainer(Protocol):
    """Trains on machines that are not ours."""

    name: ClassVar[str]
    label: ClassVar[str]
    settings: ClassVar[tuple[Setting, ...]]

    def check(self) -> ConnectionCheck:
        """A live look: reachable, authenticated, what can be trained and asked. Never raises ProviderError."""

    def support(self, base_model: str, objective: Objective) -> Support | None:
        """How the model is trained; None if the provider can't. Asks nothing of the provider."""

    def validate(self, request: RemoteRequest, data: DataFacts) -> list[Problem]:
        """Everything wrong that can be seen without spending. The files of the request need not be uploaded yet."""

    def quote(self, request: RemoteRequest) -> Quote | None:
        """What the provider says it costs, for files that are uploaded; None if it doesn't say."""

    def upload(self, path: Path, *, role: FileRole, objective: Objective, filename: str) -> str:
        """Send a file in the support's data format; the provider's name for it."""

    def file_state(self, file: str) -> FileState:
        """Whether an uploaded file can be trained on."""

    def submit(self, request: RemoteRequest) -> str:
        """Create the job; the handle to store. ProviderUnavailableError with code "reply_lost" where the job may
        have been created and the answer did not come: `find` it before submitting again."""

    def find(self, job_key: str) -> str | None:
        """The handle of the job that was submitted under this key, if there is one."""

    def poll(self, handle: str, *, cursor: str = "") -> RemoteProgress:
        """State and new events, with seq 0, 1, 2… over the whole job. An empty cursor means from the start."""

    def cancel(self, handle: str) -> None:
        """Ask the job to stop. A job that has ended already is left as it is."""

    def result(self, handle: str) -> TrainingResult:
        """The tuned model of a job that succeeded; ProviderError with code "no_result" otherwise."""

    def close(self) -> None:
        """End the connections it holds open."""


@runtime_checkable
class AdapterSource(Protocol):
    """A provider that hands out the adapters it has trained."""

    adapter_ending: ClassVar[str]
    """How the archive's name ends, without a dot."""

    def read_adapter(self, handle: str) -> Iterator[bytes]:
        """The archive in pieces. Raises ProviderError with the first one where there is none."""


# --- Bringing a provider's past over ------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class RemoteFile:
    id: str
    filename: str
    bytes: int | None
    created_at: datetime | None
    purpose: str = ""


@dataclass(frozen=True, kw_only=True)
class RemoteJob:
    """A job that the provider has on record, whoever made it."""

    handle: str
    base_model: str
    state: TrainingState
    status: str
    created_at: datetime | None
    finished_at: datetime | None = None
    objective: Objective = "supervised"
    training_file: str | None = None
    validation_file: str | None = None
    hyperparameters: Mapping[str, float] = field(default_factory=dict)
    tuned_model: str | None = None
    suffix: str = ""
    seed: int | None = None
    trained_tokens: int | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    reply: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class RemoteArchive(Protocol):
    """A provider whose files and past jobs can be brought over."""

    def files(self) -> Sequence[RemoteFile]:
        """Training and validation files that are still there, newest first."""

    def read_file(self, file: str) -> Iterator[bytes]:
        """The bytes of a file in pieces, decoded where the provider wraps them."""

    def jobs(self) -> Sequence[RemoteJob]:
        """Every job on record, newest first."""
