"""Where a model of Fireworks answers, and asking it.

Base models that Fireworks serves answer under their own name. Everything else needs a deployment, which is billed while
it runs: this finds one, and starts one only where the connection says so.
"""

import hashlib
import threading
import time
from typing import TYPE_CHECKING, Any

from apps.providers.adapters.fireworks.asking import LABEL, Name, base_named, named
from apps.providers.client_errors import ErrorsOf
from apps.providers.contracts import (
    ChatReply,
    ChatRequest,
    ModelReference,
    ProviderRejectedError,
    ProviderUnavailableError,
    Usage,
)

if TYPE_CHECKING:
    from fireworks import Fireworks
    from fireworks.types import Model

LOOKED_UP_FOR = 60.0
"""Seconds for which the place of a model is remembered."""
CHAT_SECONDS = 300.0
DEPLOYING_SECONDS = 60.0


class Serving:
    """Safe to use from several threads."""

    def __init__(
        self, client: "Fireworks", chats: "Fireworks", errors: ErrorsOf, *, account: str, deploys: bool
    ) -> None:
        self._client = client
        self._chats = chats
        self._errors = errors
        self._account = account
        self._deploys = deploys
        self._lock = threading.Lock()
        self._places: dict[Name, tuple[str, float]] = {}

    def ensure(self, model: ModelReference) -> str:
        """The name under which the model answers now; raises ProviderRejectedError with code "not_deployed"."""
        name = self._meant(model)
        with self._lock:
            place, until = self._places.get(name, ("", 0.0))
        if until > time.monotonic():
            return place
        place = self._place(name)
        with self._lock:
            self._places[name] = (place, time.monotonic() + LOOKED_UP_FOR)
        return place

    def chat(self, request: ChatRequest) -> ChatReply:
        """Answer one conversation; raises ProviderError."""
        place = self.ensure(request.model)
        started = time.perf_counter()
        try:
            with self._errors.told():
                answer = self._chats.chat.completions.create(
                    model=place,
                    messages=[dict(message) for message in request.messages],  # type: ignore[misc]
                    timeout=CHAT_SECONDS,
                    **_sampling(request),
                )
                choice = answer.choices[0]
                text = _text(choice.message.content)
        except ProviderRejectedError as error:
            if error.raw.get("status") == 404:
                with self._lock:
                    self._places.pop(self._meant(request.model), None)
                raise _not_deployed(self._meant(request.model)) from error
            raise
        usage = answer.usage
        return ChatReply(
            text=text,
            finish_reason="length" if choice.finish_reason == "length" else "stop",
            usage=Usage(prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens or 0)
            if usage
            else None,
            latency=time.perf_counter() - started,
            raw=answer.to_dict(mode="json"),
        )

    def model(self, name: Name) -> "Model":
        with self._errors.told():
            return self._client.models.get(name.id, account_id=name.account)

    def _meant(self, model: ModelReference) -> Name:
        if model.provider_model:
            return named(model.provider_model, account=self._account, kind="models")
        if model.base:
            return base_named(model.base)
        raise ProviderRejectedError(f"{LABEL} answers with models of its own only.", code="no_model")

    def _place(self, name: Name) -> str:
        try:
            model = self.model(name)
        except ProviderRejectedError as error:
            if error.code != "not_found":
                raise
            raise ProviderRejectedError(
                f"{LABEL} has no model {name}. It may have been deleted there.", code="model_gone"
            ) from error
        if model.supports_serverless:
            return str(name)
        running = [ref for ref in model.deployed_model_refs or () if ref.state == "DEPLOYED"]
        if running:
            chosen = next((ref for ref in running if ref.default), None)
            return str(name) if chosen else f"{name}#{running[0].deployment}"
        if not self._deploys:
            raise _not_deployed(name)
        return self._deploy(name)

    def _deploy(self, name: Name) -> str:
        """Start a deployment of this model alone, one however often it is asked for, and say that it takes a while."""
        deployment = "ftp-" + hashlib.sha256(str(name).encode()).hexdigest()[:24]
        try:
            with self._errors.told():
                self._client.deployments.create(
                    base_model=str(name),
                    deployment_id=deployment,
                    # The provider's own choice of hardware for the model; without a shape, creations mostly fail.
                    deployment_shape="default",
                    display_name=name.id[:60],
                    min_replica_count=0,
                    max_replica_count=1,
                )
        except ProviderRejectedError as error:
            if error.code != "conflict":
                raise
        raise ProviderUnavailableError(
            f"{LABEL} is starting {name.id}. That takes some minutes.",
            code="deploying",
            retry_after=DEPLOYING_SECONDS,
        )


def _sampling(request: ChatRequest) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
        "top_p": request.top_p,
    }
    optional = {
        "tools": [dict(tool) for tool in request.tools] or None,
        "seed": request.seed,
        "stop": list(request.stop) or None,
        "frequency_penalty": request.frequency_penalty or None,
        "presence_penalty": request.presence_penalty or None,
    }
    return asked | {name: value for name, value in optional.items() if value is not None}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.text or "" for part in content or ())


def _not_deployed(name: Name) -> ProviderRejectedError:
    return ProviderRejectedError(
        f"{name.id} answers nowhere at the moment. Create an on-demand deployment for it at {LABEL} (billed while it "
        "runs), or let the connection do that.",
        code="not_deployed",
    )
