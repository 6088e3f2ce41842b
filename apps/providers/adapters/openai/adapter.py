"""The adapter of servers that speak OpenAI's fine-tuning protocol."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import BinaryIO, ClassVar

import httpx2
from openai import OpenAI

from apps.core.formatting import format_number
from apps.providers.adapters.openai import archive, following, known_models, submission
from apps.providers.adapters.openai.states import state_of
from apps.providers.contracts import (
    ChatReply,
    ChatRequest,
    ModelReference,
    Objective,
    Problem,
    ProviderError,
    ProviderRejectedError,
    TrainingResult,
    TrainingState,
)
from apps.providers.limits import ending_problems, limit_problems
from apps.providers.openai_protocol.access import CONNECT_SECONDS, OPENAI_URL, Access, open_client
from apps.providers.openai_protocol.chat import Chats
from apps.providers.openai_protocol.errors import asking, bad_reply
from apps.providers.openai_protocol.looking import Listing, failed_look, list_models
from apps.providers.openai_protocol.replies import body_of, text
from apps.providers.openai_protocol.streaming import StreamingChats
from apps.providers.remote import (
    ConnectionCheck,
    DataFacts,
    FileRole,
    FileState,
    Quote,
    RemoteFile,
    RemoteJob,
    RemoteModel,
    RemoteProgress,
    RemoteRequest,
    Setting,
    Support,
)

UPLOAD_SECONDS = 1800.0
REFUSALS_OF_THE_ENDED = (400, 404, 409, 422)
"""Statuses with which servers refuse to cancel a job that has ended."""


class OpenAIProvider:
    """A handle is a job's id. Holds one client open; safe to use from several threads at once."""

    name: ClassVar[str] = "openai"
    label: ClassVar[str] = "OpenAI and compatible"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(
            name="base_url",
            label="Base URL",
            help="Of OpenAI, or of any server with its fine-tuning API; it usually ends in /v1.",
            default=OPENAI_URL,
            is_url=True,
        ),
        Setting(
            name="api_key",
            label="API key",
            help="Empty only for a server that wants none.",
            secret=True,
            required=False,
        ),
        Setting(
            name="organisation", label="Organisation", help="Sent as OpenAI-Organization.", required=False
        ),
        Setting(name="project", label="Project", help="Sent as OpenAI-Project.", required=False),
        Setting(
            name="placement",
            label="Hyperparameters go",
            help="At the top of the request for servers that don't know methods, such as Nebius.",
            required=False,
            default=submission.IN_METHOD,
            choices=(submission.IN_METHOD, submission.AT_TOP),
        ),
        Setting(
            name="certificates",
            label="Own certificate authority",
            help="PEM text, for a server whose certificate no public authority signed.",
            required=False,
            is_text=True,
        ),
    )

    def __init__(
        self,
        settings: Mapping[str, str],
        *,
        allow_private: bool = False,
        today: Callable[[], date] = date.today,
    ) -> None:
        self._access = Access.from_settings(settings)
        self._placement = settings.get("placement") or submission.IN_METHOD
        self._today = today
        self._client: OpenAI = open_client(self._access, allow_private=allow_private)
        self._chats = Chats(self._client, self._access)

    @classmethod
    def streaming(cls, settings: Mapping[str, str], *, allow_private: bool = False) -> StreamingChats:
        """Answers for an event loop."""
        return StreamingChats(Access.from_settings(settings), allow_private=allow_private)

    def close(self) -> None:
        self._client.close()

    # --- A live look ----------------------------------------------------------------------------------------

    def check(self) -> ConnectionCheck:
        try:
            listing = self._listing()
            trains = self._offers_training()
        except ProviderError as error:
            return failed_look(error)
        models = tuple(self._dated(model) for model in listing.models)
        trainable: tuple[RemoteModel, ...] | None = None
        if not trains:
            trainable = ()
        elif listing.trainable is not None:
            trainable = tuple(model for model in models if model.id in listing.trainable)
        elif self._access.is_openai:
            trainable = tuple(model for model in models if model.objectives)
        host = self._access.host
        message = f"{host} answers and takes the key. It lists {_models(len(models))}."
        if not models and not trains:
            message = (
                f"{host} answers, but offers neither models nor fine-tuning here. Is the base URL right?"
            )
        elif not trains:
            message += " It offers no fine-tuning to this key: its models can be asked, and not trained."
        return ConnectionCheck(
            reachable=True,
            authenticated=True,
            message=message,
            trainable=trainable,
            served=models,
            quota=listing.quota,
        )

    def _listing(self) -> Listing:
        """Empty for a server that lists no models."""
        try:
            return list_models(self._client, self._access)
        except ProviderRejectedError as error:
            if error.raw.get("status") not in following.NOT_OFFERED:
                raise
        return Listing(models=(), quota="", trainable=None)

    def _offers_training(self) -> bool:
        try:
            with asking(self._access):
                raw = self._client.fine_tuning.jobs.with_raw_response.list(limit=1)
            body_of(self._access, raw)
        except ProviderRejectedError as error:
            if error.code == "forbidden" or error.raw.get("status") in following.NOT_OFFERED:
                return False
            raise
        return True

    def _dated(self, model: RemoteModel) -> RemoteModel:
        """With what is known of it besides what the server says."""
        if not self._access.is_openai:
            return model
        objectives: tuple[Objective, ...] = tuple(
            objective
            for objective in ("supervised", "dpo")
            if not model.tuned and known_models.is_trained_by_openai(model.id, objective)
        )
        end = model.end_of_life or known_models.end_of_life(model.id)
        return replace(model, end_of_life=end, objectives=objectives)

    # --- Training -------------------------------------------------------------------------------------------

    def support(self, base_model: str, objective: Objective) -> Support | None:
        of_openai = self._access.is_openai
        if of_openai and not known_models.is_trained_by_openai(base_model, objective):
            return None
        return known_models.support_of(objective, of_openai=of_openai)

    def validate(self, request: RemoteRequest, data: DataFacts) -> list[Problem]:
        """Asks for the list of models once."""
        support = self.support(request.base_model, request.objective)
        if support is None:
            message = (
                f"{self._access.host} doesn't train {request.base_model} this way. Choose another base model."
            )
            return [Problem(code="unknown_model", field="base_model", message=message)]
        return [
            *limit_problems(support, request, data),
            *self._problems_of_names(request),
            *self._problems_of_model(request.base_model),
        ]

    def _problems_of_names(self, request: RemoteRequest) -> Iterator[Problem]:
        longest, largest = submission.LONGEST_SUFFIX, submission.LARGEST_SEED
        if len(request.suffix) > longest:
            message = f"The suffix of the model's name has at most {longest} characters."
            yield Problem(code="suffix_too_long", field="suffix", message=message)
        if request.seed is not None and not 0 <= request.seed <= largest:
            message = f"A seed is from 0 to {largest}."
            yield Problem(code="seed_out_of_range", field="seed", message=message)

    def _problems_of_model(self, name: str) -> Iterator[Problem]:
        """Closing days, and a name that isn't listed. A server that can't be asked now is no problem yet."""
        known = None
        if self._access.is_openai:
            known = known_models.end_of_life(name)
            yield from known_models.closing_problems(self._today())
        try:
            models = list_models(self._client, self._access).models
        except ProviderError:
            models = ()
        listed = {model.id: model for model in models}
        if name in listed:
            known = listed[name].end_of_life or known
        elif listed:
            # Few servers but OpenAI's own promise that what can be trained is in that list.
            message = (
                f"{self._access.host} does not list a model {name}. Look at the name: the job may be refused."
            )
            yield Problem(
                code="unknown_model",
                field="base_model",
                message=message,
                severity="error" if self._access.is_openai else "warning",
            )
        yield from ending_problems(name, known, self._today())

    def quote(self, request: RemoteRequest) -> Quote | None:
        """The protocol names no prices."""
        return None

    def upload(self, path: Path, *, role: FileRole, objective: Objective, filename: str) -> str:
        name = filename if filename.endswith(".jsonl") else f"{filename}.jsonl"
        with path.open("rb") as content, asking(self._access):
            raw = self._client.files.with_raw_response.create(
                file=(name, content, "application/jsonl"),
                purpose="fine-tune",
                timeout=httpx2.Timeout(UPLOAD_SECONDS, connect=CONNECT_SECONDS),
            )
        body = body_of(self._access, raw)
        if not text(body.get("id")):
            raise bad_reply(self._access, body)
        return text(body["id"])

    def file_state(self, file: str) -> FileState:
        with asking(self._access):
            raw = self._client.files.with_raw_response.retrieve(file)
        body = body_of(self._access, raw)
        status = text(body.get("status")).lower()
        if status in ("error", "failed", "deleted"):
            details = text(body.get("status_details")) or "It does not say why."
            return FileState(
                readiness="refused", message=f"{self._access.host} can't use the file. {details}"
            )
        # Files are named before they are looked at; a server without the deprecated field has them ready.
        working = ("uploaded", "pending", "processing", "running", "queued")
        return FileState(readiness="working" if status in working else "ready")

    def submit(self, request: RemoteRequest) -> str:
        return submission.submit(self._client, self._access, request, placement=self._placement)

    def find(self, job_key: str) -> str | None:
        return submission.find(self._client, self._access, job_key)

    def poll(self, handle: str, *, cursor: str = "") -> RemoteProgress:
        return following.poll(self._client, self._access, handle, cursor)

    def cancel(self, handle: str) -> None:
        try:
            submission.cancel(self._client, self._access, handle)
        except ProviderRejectedError as error:
            if error.raw.get("status") not in REFUSALS_OF_THE_ENDED:
                raise
            if not state_of(following.read_job(self._client, self._access, handle)).is_final:
                raise

    def result(self, handle: str) -> TrainingResult:
        job = following.read_job(self._client, self._access, handle)
        model = text(job.get("fine_tuned_model"))
        if state_of(job) != TrainingState.SUCCEEDED or not model:
            raise ProviderRejectedError(
                "The job has no tuned model: it did not succeed.",
                code="no_result",
                raw=self._access.hide(job),
            )
        checkpoints = tuple(
            checkpoint for checkpoint, _ in following.read_checkpoints(self._client, self._access, handle)
        )
        measured = [entry for entry in checkpoints if entry.validation_loss is not None]
        best = min(measured, key=lambda entry: entry.validation_loss or 0.0, default=None)
        return TrainingResult(
            kind="remote",
            provider_model=model,
            checkpoints=checkpoints,
            best_step=best.step if best else None,
            validation_loss=measured[-1].validation_loss if measured else None,
            steps=checkpoints[-1].step if checkpoints else None,
        )

    # --- Answers --------------------------------------------------------------------------------------------

    def ensure_model(
        self, model: ModelReference, open_artifact: Callable[[], BinaryIO] | None = None
    ) -> None:
        """The server has its models, and says with the first question if one is missing."""

    def chat(self, request: ChatRequest) -> ChatReply:
        return self._chats.ask(request)

    # --- The past -------------------------------------------------------------------------------------------

    def files(self) -> Sequence[RemoteFile]:
        return archive.files(self._client, self._access)

    def read_file(self, file: str) -> Iterator[bytes]:
        return archive.read_file(self._client, self._access, file)

    def jobs(self) -> Sequence[RemoteJob]:
        return archive.jobs(self._client, self._access)


def _models(count: int) -> str:
    return f"{format_number(count)} model{'' if count == 1 else 's'}"
