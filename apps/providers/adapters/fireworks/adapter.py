"""Fireworks AI as a provider of training and of answers."""

import json
import time
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

import httpx

from apps.providers.adapters.fireworks import asking, storage
from apps.providers.adapters.fireworks.asking import PREFERENCE, SUPERVISED, Name, base_named, named
from apps.providers.adapters.fireworks.datasets import JUDGED, Datasets
from apps.providers.adapters.fireworks.following import Cursor, Story, failure_of, short
from apps.providers.adapters.fireworks.serving import Serving
from apps.providers.client_errors import ErrorsOf
from apps.providers.contracts import (
    ChatReply,
    ChatRequest,
    JobUnknownError,
    ModelReference,
    Objective,
    Problem,
    ProviderError,
    ProviderRejectedError,
    ProviderUnavailableError,
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
    from fireworks.types import DpoJob, Model, SupervisedFineTuningJob

    Job = SupervisedFineTuningJob | DpoJob

ADDRESS = "https://api.fireworks.ai"
ASKING = httpx.Timeout(30.0, connect=10.0)
SENDING = httpx.Timeout(600.0, connect=10.0)
PAGE = 200
NANOS = Decimal(1_000_000_000)


class FireworksProvider:
    """Trains LoRA adapters. Thread-safe."""

    name: ClassVar[str] = "fireworks"
    label: ClassVar[str] = asking.LABEL
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(name="api_key", label="API key", secret=True),
        Setting(
            name="account_id", label="Account id", help="As it stands in the address of your account's page."
        ),
        Setting(
            name="early_stop",
            label="Stop early",
            choices=("no", "yes"),
            default="no",
            required=False,
            help="Stop a training when the validation loss falls no more. Only with validation data.",
        ),
        Setting(
            name="deploy",
            label="Start deployments",
            choices=("no", "yes"),
            default="no",
            required=False,
            help="Start a deployment when a tuned model is asked and has none. It costs money while it runs.",
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
            from fireworks import Fireworks
        except ImportError:
            raise ProviderRejectedError(
                "The client of Fireworks AI is not installed. Install ftportal[providers].",
                code="library_missing",
            ) from None
        key = settings.get("api_key", "")
        self._account = settings.get("account_id", "").removeprefix("accounts/").strip("/") or "account"
        self._early_stop = settings.get("early_stop") == "yes"
        self._errors = ErrorsOf(self.label, (key,))
        self._http = httpx_client(allow_private=allow_private, timeout=SENDING, follow_redirects=True)
        address = (settings.get("base_url") or ADDRESS).rstrip("/")
        self._client = Fireworks(
            api_key=key,
            account_id=self._account,
            base_url=address,
            timeout=ASKING,
            max_retries=0,
            http_client=self._http,
        )
        self._datasets = Datasets(self._client, self._http, self._errors, account=self._account)
        self._serving = Serving(
            self._client,
            # Told an address, its client forgets that chats are answered below another path.
            self._client.with_options(base_url=f"{address}/inference"),
            self._errors,
            account=self._account,
            deploys=settings.get("deploy") == "yes",
        )

    def close(self) -> None:
        self._client.close()

    # --- Before anything is sent ------------------------------------------------------------------------------

    def check(self) -> ConnectionCheck:
        """A live look: reachable, authenticated, what can be trained and asked. Never raises ProviderError."""
        try:
            with self._errors.told():
                account = self._client.accounts.get()
                models = list(self._client.models.list(account_id="fireworks", page_size=PAGE))
                tuned = [
                    model
                    for model in self._client.models.list(page_size=PAGE)
                    if model.kind == "HF_PEFT_ADDON" and model.state == "READY"
                ]
        except ProviderRejectedError as error:
            known = {"unauthenticated": False, "forbidden": True, "not_found": True}.get(error.code)
            message = (
                f"{self.label} knows no account “{self._account}”. Enter the account's id in the connection."
                if error.code == "not_found"
                else error.message
            )
            return ConnectionCheck(reachable=True, authenticated=known, message=message)
        except ProviderError as error:
            return ConnectionCheck(
                reachable=error.code not in ("unreachable", "timeout"),
                authenticated=None,
                message=error.message,
            )
        trainable = tuple(_listed(model) for model in models if _tunable(model))
        suspended = account.suspend_state not in (None, "", "UNSUSPENDED")
        said = (
            f"The account is suspended ({account.suspend_state}). Look at its billing at Fireworks."
            if suspended
            else f"{self.label} answers and accepts the key. It trains {len(trainable)} models."
        )
        return ConnectionCheck(
            reachable=True,
            authenticated=True,
            message=said,
            trainable=trainable,
            served=tuple(_listed(model, served=True) for model in models if model.supports_serverless)
            + tuple(_listed(model, tuned=True) for model in tuned),
        )

    def support(self, base_model: str, objective: Objective) -> Support | None:
        """How the model is trained; None if the provider can't. Asks nothing of the provider."""
        return asking.support_of(objective)

    def validate(self, request: RemoteRequest, data: DataFacts) -> list[Problem]:
        """Everything wrong that can be seen without spending; asks what the base model allows."""
        problems = limit_problems(asking.support_of(request.objective), request, data)
        try:
            model = self._serving.model(base_named(request.base_model))
        except ProviderUnavailableError as error:
            text = f"It was not checked whether {request.base_model} can be trained. {error.message}"
            return [*problems, Problem(code="not_checked", message=text, severity="warning")]
        except ProviderRejectedError as error:
            code = "unknown_model" if error.code in ("not_found", "rejected") else error.code
            return [*problems, Problem(code=code, message=error.message, field="base_model")]
        return problems + list(asking.problems_with(model, data))

    def quote(self, request: RemoteRequest) -> Quote | None:
        """None: Fireworks tells an estimate only once the job is there; `poll` hands it on."""
        return None

    # --- Files ------------------------------------------------------------------------------------------------

    def upload(self, path: Path, *, role: FileRole, objective: Objective, filename: str) -> str:
        """Send a file as a dataset; its name. A ready dataset of the same content is not sent again."""
        return self._datasets.upload(path, role=role, objective=objective, filename=filename)

    def file_state(self, file: str) -> FileState:
        """Whether a dataset can be trained on."""
        return self._datasets.state(file)

    # --- Jobs -------------------------------------------------------------------------------------------------

    def submit(self, request: RemoteRequest) -> str:
        """Create the job; the handle to store. Its id comes from the job's key, so there is never a second one."""
        kind = PREFERENCE if request.objective == "dpo" else SUPERVISED
        asked = asking.creation_of(request, early_stop=self._early_stop)
        try:
            with self._errors.told(creates=f"/{kind}"):
                made = (
                    self._client.dpo_jobs if kind == PREFERENCE else self._client.supervised_fine_tuning_jobs
                )
                made.create(**asked)
        except ProviderRejectedError as error:
            if error.code != "conflict" or self.find(request.job_key) is None:
                raise
        return str(Name(self._account, kind, asking.job_id_of(request.job_key)))

    def find(self, job_key: str) -> str | None:
        """The handle of the job that was submitted under this key, if there is one."""
        for kind in (SUPERVISED, PREFERENCE):
            name = Name(self._account, kind, asking.job_id_of(job_key))
            try:
                self._job(name)
            except JobUnknownError:
                continue
            return str(name)
        return None

    def poll(self, handle: str, *, cursor: str = "") -> RemoteProgress:
        """State and new events: two requests, three for preference jobs."""
        name = self._handled(handle)
        job = self._job(name)
        with self._errors.told():
            story = Story(Cursor.read(cursor), time.time())
            status = short(job.state)
            state = story.arrive(status)
            if story.cursor.ran or state.is_final:
                self._measure(name, job, story, ended=state.is_final)
            cost, currency = _cost(job)
            words = self._errors.hide((job.status.message if job.status else None) or "")
            return RemoteProgress(
                state=state,
                events=tuple(story.events),
                cursor=story.cursor.written(),
                failure=failure_of(status, words) if state is TrainingState.FAILED else None,
                status=status,
                cost=cost,
                currency=currency,
                reply=self._errors.hide(_reply(job)),
            )

    def _measure(self, name: Name, job: "Job", story: Story, *, ended: bool) -> None:
        url = getattr(job, "metrics_file_signed_url", None)
        if name.kind == PREFERENCE:
            try:
                with self._errors.told():
                    url = self._client.dpo_jobs.get_metrics_file_endpoint(
                        name.id, account_id=name.account
                    ).signed_url
            except ProviderRejectedError as error:
                if error.code not in ("not_found", *JUDGED):
                    raise
        if not url:
            return
        lines, story.cursor.offset = storage.new_lines(self._http, url, story.cursor.offset, whole=ended)
        story.measure(lines)

    def cancel(self, handle: str) -> None:
        """Ask the job to stop. A job that has ended already is left as it is."""
        name = self._handled(handle)
        try:
            with self._errors.told(job=handle):
                jobs = (
                    self._client.dpo_jobs
                    if name.kind == PREFERENCE
                    else self._client.supervised_fine_tuning_jobs
                )
                jobs.cancel(name.id, account_id=name.account, body={})
        except ProviderRejectedError as error:
            if error.code not in JUDGED or short(self._job(name).state) not in _STOPPING:
                raise

    def result(self, handle: str) -> TrainingResult:
        """The tuned model of a job that succeeded; ProviderError with code "no_result" otherwise."""
        name = self._handled(handle)
        job = self._job(name)
        state = short(job.state)
        if state not in ("COMPLETED", "EARLY_STOPPED"):
            raise ProviderError(f"The job {name.id} has no tuned model: it is {state}.", code="no_result")
        config = getattr(job, "training_config", None)
        model = getattr(job, "output_model", None) or (config.output_model if config else None) or name.id
        return TrainingResult(
            kind="remote", provider_model=str(named(model, account=name.account, kind="models"))
        )

    def _handled(self, handle: str) -> Name:
        return named(handle, account=self._account, kind=SUPERVISED)

    def _job(self, name: Name) -> "Job":
        with self._errors.told(job=str(name)):
            if name.kind == PREFERENCE:
                return self._client.dpo_jobs.get(name.id, account_id=name.account)
            return self._client.supervised_fine_tuning_jobs.get(name.id, account_id=name.account)

    # --- Answers ----------------------------------------------------------------------------------------------

    def ensure_model(
        self, model: ModelReference, open_artifact: Callable[[], BinaryIO] | None = None
    ) -> None:
        """ProviderRejectedError with code "not_deployed" where a tuned model answers nowhere."""
        self._serving.ensure(model)

    def chat(self, request: ChatRequest) -> ChatReply:
        """Answer one conversation; raises ProviderError."""
        return self._serving.chat(request)


_STOPPING = ("CANCELLING", "COMPLETED", "EARLY_STOPPED", "CANCELLED", "FAILED", "EXPIRED")


def _cost(job: "Job") -> tuple[Decimal | None, str]:
    told = getattr(job, "estimated_cost", None)
    if told is None or (not told.units and not told.nanos):
        return None, ""
    return Decimal(told.units or 0) + Decimal(told.nanos or 0) / NANOS, told.currency_code or "USD"


def _tunable(model: "Model") -> bool:
    return bool(model.tunable or (model.base_model_details and model.base_model_details.tunable))


def _listed(model: "Model", *, tuned: bool = False, served: bool = False) -> RemoteModel:
    """The day that Fireworks tells is that on which it serves the model no more; it may train it longer."""
    gone = model.deprecation_date if served else None
    return RemoteModel(
        id=model.name or "",
        label=model.display_name or (model.name or "").rsplit("/", 1)[-1],
        owner=(model.name or "").split("/")[1] if "/" in (model.name or "") else "",
        objectives=("supervised", "dpo") if _tunable(model) else (),
        context_length=model.context_length or None,
        end_of_life=date(gone.year, gone.month, gone.day)
        if gone and gone.year and gone.month and gone.day
        else None,
        tuned=tuned,
    )


def _reply(job: "Job") -> dict[str, Any]:
    """The job as it came, without addresses that let anyone in who has them, and without keys of other services."""
    reply: dict[str, Any] = json.loads(job.to_json(exclude_unset=True))
    return {
        key: value
        for key, value in reply.items()
        if not key.endswith("SignedUrl") and key not in _KEYS_OF_OTHERS
    }


_KEYS_OF_OTHERS = ("wandbConfig", "awsS3Config", "azureBlobStorageConfig")
