"""Where a model of Together answers, and asking it.

Base models answer under their own name where they are offered without a server of one's own. A tuned model answers on a
dedicated endpoint only; this looks for one that runs, and never starts one: it is billed by the minute.
"""

import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from apps.providers.client_errors import ErrorsOf
from apps.providers.contracts import (
    ChatReply,
    ChatRequest,
    ModelReference,
    ProviderRejectedError,
    Usage,
)

if TYPE_CHECKING:
    from together import Together
    from together.types import Endpoint
    from together.types.endpoint_deployment_summary import EndpointDeploymentSummary

LOOKED_UP_FOR = 60.0
"""Seconds for which the place of a model is remembered."""
CHAT_SECONDS = 300.0
_ANSWERING = ("DEPLOYMENT_STATE_READY", "DEPLOYMENT_STATE_SCALING", "DEPLOYMENT_STATE_DEGRADED")
_CUT_SHORT = ("length",)


class Serving:
    """Safe to use from several threads."""

    def __init__(self, client: "Together", errors: ErrorsOf) -> None:
        self._client = client
        self._errors = errors
        self._lock = threading.Lock()
        self._places: dict[str, tuple[str, float]] = {}
        self._project = client.project_id

    def ensure(self, model: ModelReference) -> str:
        """The name under which the model answers now; raises ProviderRejectedError with code "not_deployed"."""
        if model.provider_model is None:
            if not model.base:
                raise ProviderRejectedError(
                    "Together AI answers with models of its own only.", code="no_model"
                )
            return model.base
        with self._lock:
            place, until = self._places.get(model.provider_model, ("", 0.0))
        if until > time.monotonic():
            return place
        place = self._place(model.provider_model)
        with self._lock:
            self._places[model.provider_model] = (place, time.monotonic() + LOOKED_UP_FOR)
        return place

    def chat(self, request: ChatRequest) -> ChatReply:
        """Answer one conversation; raises ProviderError."""
        place = self.ensure(request.model)
        started = time.perf_counter()
        try:
            with self._errors.told():
                answer = self._client.chat.completions.create(
                    model=place,
                    messages=[dict(message) for message in request.messages],  # type: ignore[misc]
                    timeout=CHAT_SECONDS,
                    **_sampling(request),
                )
                choice = answer.choices[0]
                text = (choice.message.content if choice.message else None) or ""
        except ProviderRejectedError as error:
            if error.raw.get("status") == 404:
                self._forget(request.model)
                raise _not_deployed(place) from error
            raise
        usage = answer.usage
        return ChatReply(
            text=text,
            finish_reason="length" if choice.finish_reason in _CUT_SHORT else "stop",
            usage=Usage(prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens)
            if usage
            else None,
            latency=time.perf_counter() - started,
            raw=answer.to_dict(mode="json"),
        )

    def project(self) -> str:
        """The project that the key belongs to, or the one that was told."""
        if self._project is None:
            with self._errors.told():
                found = getattr(self._client.whoami(), "project", None)
            if found is None:
                raise ProviderRejectedError(
                    "The key belongs to no project of Together AI. Enter the project's id in the connection.",
                    code="no_project",
                )
            self._project = str(found.id)
        return self._project

    def endpoints(self) -> list["Endpoint"]:
        project = self.project()
        with self._errors.told():
            return list(self._client.endpoints.list(project_id=project, limit=100))

    def _place(self, name: str) -> str:
        project = self.project()
        with self._errors.told():
            models = self._client.models.list(project_id=project, limit=100)
            found = next((model for model in models if name in (model.name, model.id)), None)
        if found is None:
            raise ProviderRejectedError(
                f"Together AI has no model {name} in this project. It may have been deleted there.",
                code="model_gone",
            )
        place = _place_of(self.endpoints(), found.id)
        if place is None:
            raise _not_deployed(name)
        return place

    def _forget(self, model: ModelReference) -> None:
        with self._lock:
            self._places.pop(model.provider_model or "", None)


def _place_of(endpoints: Iterable["Endpoint"], model_id: str) -> str | None:
    """The endpoint if all that it sends requests to is this model, else the one deployment of it."""
    for endpoint in endpoints:
        here = [each for each in endpoint.deployments or () if _answers_as(each, model_id)]
        if not here:
            continue
        asked = {entry.deployment_id for entry in endpoint.traffic_split or () if entry.weight > 0}
        if asked and asked <= {each.id for each in here}:
            return endpoint.name
        return here[0].name
    return None


def _answers_as(deployment: "EndpointDeploymentSummary", model_id: str) -> bool:
    if deployment.state not in _ANSWERING or deployment.ready_replicas == 0:
        return False
    return model_id in (deployment.model or "").split("/") or deployment.api_model_id == model_id


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


def _not_deployed(name: str) -> ProviderRejectedError:
    return ProviderRejectedError(
        f"{name} answers nowhere at the moment. Deploy it to a dedicated endpoint at Together AI (billed by the "
        "minute), then ask again.",
        code="not_deployed",
    )
