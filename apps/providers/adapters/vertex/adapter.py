"""Google Vertex AI: Gemini models tuned on answers or on pairs, files in Cloud Storage, answers by endpoints."""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from apps.providers.adapters.vertex import answers
from apps.providers.adapters.vertex.clients import SETTINGS, Clients
from apps.providers.adapters.vertex.families import (
    ADAPTER_SIZES,
    ENDS,
    PREFERENCE,
    TUNABLE,
    model_name,
    own_problems,
    support_of,
)
from apps.providers.adapters.vertex.metrics import ENDINGS, Measured, read_metrics
from apps.providers.adapters.vertex.progress import (
    Told,
    checkpoints_of,
    progress_of,
    state_of,
    steps_of,
    tuned_endpoint,
)
from apps.providers.adapters.vertex.storage import split_uri
from apps.providers.contracts import (
    ChatReply,
    ChatRequest,
    ModelReference,
    Objective,
    Problem,
    ProviderError,
    ProviderRejectedError,
    ProviderUnavailableError,
    TrainingResult,
    TrainingState,
)
from apps.providers.limits import limit_problems
from apps.providers.remote import (
    ConnectionCheck,
    DataFacts,
    FileRole,
    FileState,
    Quote,
    RemoteModel,
    RemoteProgress,
    RemoteRequest,
    Setting,
    Support,
)

if TYPE_CHECKING:
    from google.genai.types import CreateTuningJobConfig, TuningJob

JOB_LABEL = "ftportal-job"
PAGE = 100
MOST_METRICS_BYTES = 32 * 1024 * 1024
NAME_LENGTH = 128


class VertexProvider:
    """A handle is a tuning job's resource name. The provider's name of a file is its gs:// address."""

    name: ClassVar[str] = "vertex"
    label: ClassVar[str] = "Google Vertex AI"
    settings: ClassVar[tuple[Setting, ...]] = SETTINGS

    def __init__(self, settings: Mapping[str, str], *, allow_private: bool = False) -> None:
        self._clients = Clients(settings, allow_private=allow_private)

    def close(self) -> None:
        self._clients.close()

    # --- Before a job ---------------------------------------------------------------------------------------

    def check(self) -> ConnectionCheck:
        try:
            with self._clients.errors():
                self._clients.genai().tunings.list(config={"page_size": 1})
            served = self._served()
        except ProviderError as error:
            return _failed_check(error)
        problem = self._bucket_problem()
        return ConnectionCheck(
            reachable=True,
            authenticated=True,
            message=problem or f"Connected to {self._clients.parent}: {len(served)} Gemini models answer.",
            trainable=tuple(_tunable(name) for name in TUNABLE),
            served=served,
        )

    def support(self, base_model: str, objective: Objective) -> Support | None:
        return support_of(base_model, objective)

    def validate(self, request: RemoteRequest, data: DataFacts) -> list[Problem]:
        support = support_of(request.base_model, request.objective)
        if support is None:
            return [_unsupported(request)]
        return limit_problems(support, request, data) + own_problems(request, data.rows)

    def quote(self, request: RemoteRequest) -> Quote | None:
        return None

    # --- Files ----------------------------------------------------------------------------------------------

    def upload(self, path: Path, *, role: FileRole, objective: Objective, filename: str) -> str:
        """The same content gets the same key, so a repeated upload leaves one file."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        stem = re.sub(r"[^a-zA-Z0-9_-]+", "-", Path(filename).stem).strip("-")[:80] or role
        bucket, key = self._clients.bucket, self._clients.key("files", digest[:16], f"{stem}.jsonl")
        with self._clients.errors():
            self._clients.storage().upload(path, bucket, key)
        return f"gs://{bucket}/{key}"

    def file_state(self, file: str) -> FileState:
        """Whether it lies there: Vertex AI looks into files only when a job has begun."""
        with self._clients.errors():
            there = self._clients.storage().exists(*split_uri(file))
        if there:
            return FileState(readiness="ready")
        return FileState(
            readiness="refused", message="The file is not in the bucket (any more). Send it again."
        )

    # --- Jobs -----------------------------------------------------------------------------------------------

    def submit(self, request: RemoteRequest) -> str:
        """The label tells the job from others: Vertex AI takes no token that would make a repeat harmless."""
        from google.genai.types import TuningDataset

        with self._clients.errors(creating=True):
            made = self._clients.genai().tunings.tune(
                base_model=model_name(request.base_model),
                training_dataset=TuningDataset(gcs_uri=request.training_file),
                config=_configuration(request),
            )
        if not made.name:
            raise ProviderUnavailableError(
                "The answer of Vertex AI names no job. It may have been created.", code="reply_lost"
            )
        return str(made.name)

    def find(self, job_key: str) -> str | None:
        label = job_label(job_key)
        with self._clients.errors():
            for job in self._clients.genai().tunings.list(config={"page_size": PAGE}):
                if (job.labels or {}).get(JOB_LABEL) == label:
                    return job.name
        return None

    def poll(self, handle: str, *, cursor: str = "") -> RemoteProgress:
        job = self._job(handle)
        return progress_of(job, cursor, lambda told: self._measured(job, told))

    def cancel(self, handle: str) -> None:
        try:
            with self._clients.errors(job=handle):
                self._clients.genai().tunings.cancel(name=handle)
        except ProviderRejectedError as error:
            if error.code != "rejected" or not _is_over(self._job(handle)):
                raise

    def result(self, handle: str) -> TrainingResult:
        job = self._job(handle)
        endpoint = tuned_endpoint(job)
        if state_of(job) is not TrainingState.SUCCEEDED or not endpoint:
            raise ProviderRejectedError(
                "Vertex AI has no tuned model of this job.", code="no_result", raw=job
            )
        return TrainingResult(
            kind="remote", provider_model=endpoint, checkpoints=checkpoints_of(job), steps=steps_of(job)
        )

    # --- Answers --------------------------------------------------------------------------------------------

    def ensure_model(
        self, model: ModelReference, open_artifact: Callable[[], BinaryIO] | None = None
    ) -> None:
        """Google deploys a tuned model by itself, so there is nothing to do but to know its name."""
        answers.target_of(model)

    def chat(self, request: ChatRequest) -> ChatReply:
        return answers.chat(self._clients, request)

    # --- Inside ---------------------------------------------------------------------------------------------

    def _job(self, handle: str) -> dict[str, Any]:
        with self._clients.errors(job=handle):
            return _plain(self._clients.genai().tunings.get(name=handle))

    def _measured(self, job: Mapping[str, Any], told: Told) -> Measured | None:
        """The metrics file if there is a new one; that it can't be read is a note, no failure of the job."""
        uri = str(job.get("gcs_metrics_uri") or "")
        if not uri:
            return None
        bucket, key = split_uri(uri)
        try:
            with self._clients.errors():
                storage = self._clients.storage()
                if not key.endswith(ENDINGS):
                    folder = key.rstrip("/") + "/"
                    if not told.file.startswith(folder):
                        told.file = storage.first_under(bucket, folder, ENDINGS) or ""
                    if not told.file:
                        return None
                    key = told.file
                text, told.generation = storage.read(
                    bucket, key, limit=MOST_METRICS_BYTES, unlike=told.generation
                )
            return None if text is None else read_metrics(text)
        except ProviderRejectedError as error:
            if error.code != "not_found" or state_of(job).is_final:
                told.note = f"The metrics of the job could not be read: {error.message}"
        except ValueError as error:
            told.note = f"The metrics file of the job is not understood: {error}."
        return None

    def _served(self) -> tuple[RemoteModel, ...]:
        with self._clients.errors():
            page = self._clients.genai().models.list(config={"page_size": PAGE, "query_base": True}).page
        names = [model_name(model.name or "") for model in page]
        return tuple(
            RemoteModel(id=name, owner="Google", end_of_life=ENDS.get(name))
            for name in names
            if name.startswith("gemini-")
        )

    def _bucket_problem(self) -> str:
        try:
            with self._clients.errors():
                self._clients.storage().check_bucket(self._clients.bucket)
        except ProviderError as error:
            return f"The key works, but the bucket can't be used: {error.message}"
        return ""


def job_label(job_key: str) -> str:
    """A label may hold little but lower-case letters and digits."""
    return hashlib.sha256(job_key.encode()).hexdigest()[:40]


def _configuration(request: RemoteRequest) -> "CreateTuningJobConfig":
    from google.genai.types import (
        AdapterSize,
        CreateTuningJobConfig,
        TuningMethod,
        TuningValidationDataset,
    )

    numbers = request.hyperparameters
    pairs = request.objective == "dpo"
    size = numbers.get("lora_rank")
    return CreateTuningJobConfig(
        method=TuningMethod.PREFERENCE_TUNING if pairs else TuningMethod.SUPERVISED_FINE_TUNING,
        tuned_model_display_name=(request.suffix or f"ftportal-{request.job_key}")[:NAME_LENGTH],
        validation_dataset=TuningValidationDataset(gcs_uri=request.validation_file)
        if request.validation_file
        else None,
        epoch_count=int(numbers["epochs"]) if "epochs" in numbers else None,
        learning_rate_multiplier=numbers.get("learning_rate_multiplier"),
        adapter_size=AdapterSize(ADAPTER_SIZES[int(size)]) if size is not None else None,
        beta=numbers.get("beta") if pairs else None,
        labels={JOB_LABEL: job_label(request.job_key)},
    )


def _plain(job: "TuningJob") -> dict[str, Any]:
    """The answer in what JSON can hold."""
    found: dict[str, Any] = job.model_dump(mode="json", exclude_none=True, exclude={"sdk_http_response"})
    return found


def _is_over(job: Mapping[str, Any]) -> bool:
    return state_of(job).is_final or str(job.get("state")) == "JOB_STATE_CANCELLING"


def _tunable(name: str) -> RemoteModel:
    objectives: tuple[Objective, ...] = ("supervised", "dpo") if name in PREFERENCE else ("supervised",)
    return RemoteModel(id=name, owner="Google", objectives=objectives, end_of_life=ENDS.get(name))


def _unsupported(request: RemoteRequest) -> Problem:
    if support_of(request.base_model, "supervised") is None:
        return Problem(
            code="unknown_model",
            field="base_model",
            message=f"“{request.base_model}” is no Gemini model that Vertex AI tunes.",
        )
    return Problem(
        code="objective_not_supported",
        field="objective",
        message="Vertex AI tunes this model on answers, not on preference pairs. Choose a Flash model for pairs.",
    )


def _failed_check(error: ProviderError) -> ConnectionCheck:
    """A refusal for the key's sake was an answer, all the same; with a wrong setting nothing was asked."""
    reachable = error.code != "unreachable" and not error.code.startswith("bad_")
    authenticated = {"unauthenticated": False, "forbidden": True}.get(error.code)
    return ConnectionCheck(reachable=reachable, authenticated=authenticated, message=error.message)
