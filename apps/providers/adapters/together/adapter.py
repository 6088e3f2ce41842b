"""Together AI as a provider of training and of answers."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

import httpx

from apps.providers.adapters.together import asking, files
from apps.providers.adapters.together.following import (
    Cursor,
    Story,
    failure_of,
    in_order,
    state_of,
)
from apps.providers.adapters.together.serving import Serving
from apps.providers.client_errors import ErrorsOf
from apps.providers.contracts import (
    ChatReply,
    ChatRequest,
    ModelReference,
    Objective,
    Problem,
    ProviderError,
    ProviderRejectedError,
    ProviderUnavailableError,
    RemoteCheckpoint,
    TrainingResult,
    TrainingState,
)
from apps.providers.guarded import httpx_client
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
    from together.types import FinetuneResponse
    from together.types.finetune_model_limits import FinetuneModelLimits
    from together.types.supported_model import SupportedModel

ADDRESS = "https://api.together.ai"
ASKING = httpx.Timeout(30.0, connect=10.0)
SENDING = httpx.Timeout(600.0, connect=10.0)
LIMITS_KEPT = 600.0
"""Seconds for which the limits of a model are not asked for again."""
CREATE_PATH = "/fine-tunes"
NANODOLLARS = Decimal(1_000_000_000)
"""What a job cost is told in these."""
DOWNLOAD_PIECE = 1024 * 1024


class TogetherProvider:
    """Trains with LoRA unless the connection says otherwise. Thread-safe."""

    name: ClassVar[str] = "together"
    label: ClassVar[str] = asking.LABEL
    adapter_ending: ClassVar[str] = "tar.zst"
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(name="api_key", label="API key", secret=True, help="Of a project, from Together's settings."),
        Setting(
            name="training",
            label="What is trained",
            choices=("lora", "full"),
            default="lora",
            required=False,
            help="lora: an adapter, cheaper, and enough for most. full: every weight, where the model allows it.",
        ),
        Setting(
            name="project",
            label="Project id",
            required=False,
            help="Only for keys that belong to no project. It is read from the key otherwise.",
        ),
        Setting(
            name="base_url",
            label="Address",
            required=False,
            default=ADDRESS,
            is_url=True,
            help="Only where requests go through a proxy of yours.",
        ),
    )

    def __init__(self, settings: Mapping[str, str], *, allow_private: bool = False) -> None:
        try:
            from together import Together
        except ImportError:
            raise ProviderRejectedError(
                "The client of Together AI is not installed. Install ftportal[providers].",
                code="library_missing",
            ) from None
        key = settings.get("api_key", "")
        self._lora = settings.get("training") != "full"
        self._errors = ErrorsOf(self.label, (key,))
        self._client = Together(
            api_key=key,
            project_id=settings.get("project") or None,
            base_url=(settings.get("base_url") or ADDRESS).rstrip("/").removesuffix("/v1"),
            timeout=ASKING,
            max_retries=0,
            http_client=httpx_client(allow_private=allow_private, timeout=SENDING, follow_redirects=True),
        )
        self._serving = Serving(self._client, self._errors)
        self._limits: dict[str, tuple[FinetuneModelLimits, float]] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        self._client.close()

    # --- Before anything is sent ------------------------------------------------------------------------------

    def check(self) -> ConnectionCheck:
        """A live look: reachable, authenticated, what can be trained and asked. Never raises ProviderError."""
        try:
            with self._errors.told():
                # The list of models is public: only this tells whether the key is good.
                self._client.whoami()
                models = list(self._client.models.list_supported(limit=200))
        except ProviderRejectedError as error:
            known = {"unauthenticated": False, "forbidden": True}.get(error.code)
            return ConnectionCheck(reachable=True, authenticated=known, message=error.message)
        except ProviderError as error:
            return ConnectionCheck(
                reachable=error.code not in ("unreachable", "timeout"),
                authenticated=None,
                message=error.message,
            )
        trainable = tuple(
            _listed(model) for model in models if "PRODUCT_FINE_TUNING" in (model.products or ())
        )
        served = tuple(_listed(model) for model in models if "PRODUCT_SERVERLESS" in (model.products or ()))
        return ConnectionCheck(
            reachable=True,
            authenticated=True,
            message=f"Together AI answers and accepts the key. It trains {len(trainable)} models and answers with "
            f"{len(served)} without an endpoint of your own.",
            trainable=trainable,
            served=served,
        )

    def support(self, base_model: str, objective: Objective) -> Support | None:
        """How the model is trained; None if the provider can't. Asks nothing of the provider."""
        return asking.support_of(objective, lora=self._lora)

    def validate(self, request: RemoteRequest, data: DataFacts) -> list[Problem]:
        """Everything wrong that can be seen without spending; asks for the limits of the model."""
        support = asking.support_of(request.objective, lora=self._lora)
        problems = limit_problems(support, request, data)
        problems += asking.early_stopping_problems(request)
        try:
            limits = self.limits(request.base_model)
        except ProviderUnavailableError as error:
            text = f"The limits of {request.base_model} were not checked. {error.message}"
            return [*problems, Problem(code="not_checked", message=text, severity="warning")]
        except ProviderRejectedError as error:
            return [*problems, Problem(code=_limits_code(error), message=error.message, field="base_model")]
        said = {(problem.code, problem.field) for problem in problems}
        more = asking.problems_with(limits, request, data, lora=self._lora)
        return problems + [problem for problem in more if (problem.code, problem.field) not in said]

    def limits(self, base_model: str) -> "FinetuneModelLimits":
        """The model's own limits, asked for every ten minutes."""
        with self._lock:
            limits, until = self._limits.get(base_model, (None, 0.0))
        if limits is not None and until > time.monotonic():
            return limits
        with self._errors.told():
            limits = self._client.fine_tuning.model_limits(model_name=base_model)
            assert limits.lora_training.default_rank is not None
        with self._lock:
            self._limits[base_model] = (limits, time.monotonic() + LIMITS_KEPT)
        return limits

    def quote(self, request: RemoteRequest) -> Quote | None:
        """What the provider says it costs, for files that are uploaded; None if it can't say yet.

        ProviderRejectedError with code "not_allowed_to_proceed" where the account may not spend that much.
        """
        asked = asking.pricing_of(request, lora=self._lora, limits=self.limits(request.base_model))
        with self._errors.told():
            told = self._client.fine_tuning.estimate_price(**asked)
            price = getattr(told, "estimated_total_price", None)
            if not told.estimation_available or price is None:
                reason = getattr(told, "unavailable_reason", "")
                if reason in _FILES_REFUSED:
                    raise ProviderRejectedError(_FILES_REFUSED[reason], code="file_refused")
                return None
            tokens = (
                (told.estimated_train_token_count or 0) + (told.estimated_eval_token_count or 0)
                if told.estimation_available
                else 0
            )
        cost = Decimal(str(price))
        if told.estimation_available and told.allowed_to_proceed is False:
            limit = (
                ""
                if told.user_limit is None
                else f", more than the account's limit of {told.user_limit:.2f} USD"
            )
            raise ProviderRejectedError(
                f"Together AI asks {cost:.2f} USD for this job{limit}. Add credit there, or train on fewer "
                "rows or epochs.",
                code="not_allowed_to_proceed",
                raw=told.to_dict(mode="json"),
            )
        return Quote(cost=cost, currency="USD", tokens=int(tokens) or None)

    # --- Files ------------------------------------------------------------------------------------------------

    def upload(self, path: Path, *, role: FileRole, objective: Objective, filename: str) -> str:
        """Send a file; the provider's name for it. A file that it has already is not sent again."""
        with self._errors.told():
            return files.upload(self._client, path, filename)

    def file_state(self, file: str) -> FileState:
        """Whether an uploaded file can be trained on, by the provider's own check."""
        return files.state(self._client, self._errors, file)

    # --- Jobs -------------------------------------------------------------------------------------------------

    def submit(self, request: RemoteRequest) -> str:
        """Create the job; the handle to store. The price is asked for first: a job that may not be paid is not made."""
        limits = self.limits(request.base_model)
        self.quote(request)
        with self._errors.told(creates=CREATE_PATH):
            created = self._client.fine_tuning.create(
                **asking.creation_of(request, lora=self._lora), model_limits=limits
            )
            return created.id

    def find(self, job_key: str) -> str | None:
        """The handle of the job that was submitted under this key, if there is one."""
        tag = asking.tag_of(job_key)
        with self._errors.told():
            for job in self._client.fine_tuning.list().data or ():
                if any((name or "").endswith(tag) for name in (job.suffix, job.x_model_output_name)):
                    return job.id
        return None

    def poll(self, handle: str, *, cursor: str = "") -> RemoteProgress:
        """State and new events: two or three requests, one more where a checkpoint was saved."""
        with self._errors.told(job=handle):
            job = self._client.fine_tuning.retrieve(handle)
            events = in_order(
                job.events if job.events is not None else self._client.fine_tuning.list_events(handle).data
            )
            state = state_of(job.status)
            story = Story(Cursor.read(cursor))
            story.hear(events, checkpoints=lambda: self._checkpoints(handle))
            if state is not TrainingState.QUEUED:
                told = self._client.fine_tuning.list_metrics(handle, global_step_from=story.cursor.train)
                story.measure(told.metrics or (), now=time.time())
            left = (
                job.progress.seconds_remaining if job.progress and job.progress.estimate_available else None
            )
            return RemoteProgress(
                state=state,
                events=tuple(story.events),
                cursor=story.cursor.written(),
                failure=failure_of(events) if state is TrainingState.FAILED else None,
                status=job.status,
                seconds_left=None if state.is_final else left,
                trained_tokens=job.token_count or None,
                cost=None if not job.total_price else Decimal(job.total_price) / NANODOLLARS,
                currency="USD" if job.total_price else "",
                reply=self._errors.hide(_reply(job)),
            )

    def cancel(self, handle: str) -> None:
        """Ask the job to stop. A job that has ended already is left as it is."""
        with self._errors.told(job=handle):
            try:
                self._client.fine_tuning.cancel(handle)
            except Exception as error:
                told = self._errors.of(error, job=handle)
                if not isinstance(told, ProviderRejectedError) or told.code not in ("rejected", "conflict"):
                    raise
                job = self._client.fine_tuning.retrieve(handle)
                if not state_of(job.status).is_final and job.status != "cancel_requested":
                    raise

    def result(self, handle: str) -> TrainingResult:
        """The tuned model of a job that succeeded; ProviderError with code "no_result" otherwise."""
        with self._errors.told(job=handle):
            job = self._client.fine_tuning.retrieve(handle)
            # LoRA jobs of some models leave an adapter alone, without a merged model.
            model = job.api_model_object_name or job.adapter_object_name or job.x_model_output_name
            if state_of(job.status) is not TrainingState.SUCCEEDED or not model:
                raise ProviderError(
                    f"The job {handle} has no tuned model: it is {job.status}.", code="no_result"
                )
            kept = self._checkpoints(handle)
            best = job.early_stopping_best_metric
            return TrainingResult(
                kind="remote",
                provider_model=model,
                checkpoints=tuple(
                    RemoteCheckpoint(step=step, provider_model=name)
                    for step, name in sorted(kept.items())
                    if name != model
                ),
                best_step=job.early_stopping_best_step if best is not None else None,
                validation_loss=best,
                steps=max(kept, default=None),
            )

    def read_adapter(self, handle: str) -> Iterator[bytes]:
        """The archive of the LoRA adapter that a job has trained, in pieces, from where Together keeps it."""
        with (
            self._errors.told(job=handle),
            self._client.fine_tuning.with_streaming_response.content(
                ft_id=handle, checkpoint="adapter", timeout=SENDING
            ) as answer,
        ):
            yield from answer.iter_bytes(DOWNLOAD_PIECE)

    def _checkpoints(self, handle: str) -> dict[int, str]:
        """Models by step, of the checkpoints that can be deployed."""
        listed = self._client.fine_tuning.list_checkpoints(handle).data or ()
        return {each.step: each.object_name for each in listed if each.object_name}

    # --- Answers ----------------------------------------------------------------------------------------------

    def ensure_model(
        self, model: ModelReference, open_artifact: Callable[[], BinaryIO] | None = None
    ) -> None:
        """ProviderRejectedError with code "not_deployed" where a tuned model answers nowhere."""
        self._serving.ensure(model)

    def chat(self, request: ChatRequest) -> ChatReply:
        """Answer one conversation; raises ProviderError."""
        return self._serving.chat(request)


_FILES_REFUSED = {
    "train_file_invalid": "Together AI can't train on the training file. Look at what it says about the file.",
    "eval_file_invalid": "Together AI can't use the validation file. Look at what it says about the file.",
}


def _limits_code(error: ProviderRejectedError) -> str:
    return "unknown_model" if error.code in ("not_found", "rejected") else error.code


def _listed(model: "SupportedModel") -> RemoteModel:
    length = model.context_length
    return RemoteModel(
        id=model.name,
        label=model.display_name or model.name,
        owner=model.publisher or "",
        objectives=("supervised", "dpo") if "PRODUCT_FINE_TUNING" in (model.products or ()) else (),
        context_length=int(length) if length and length.isdigit() else None,
    )


def _reply(job: "FinetuneResponse") -> dict[str, Any]:
    """The job as it came, without its events: they are told one by one."""
    reply: dict[str, Any] = json.loads(job.to_json(exclude_unset=True))
    reply.pop("events", None)
    return reply
