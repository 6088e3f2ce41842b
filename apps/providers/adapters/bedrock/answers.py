"""Chats through Converse, and the deployment that a tuned model needs before it answers."""

import hashlib
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from apps.providers.adapters.bedrock.clients import Clients
from apps.providers.adapters.bedrock.families import askable_id
from apps.providers.contracts import (
    ChatReply,
    ChatRequest,
    ModelReference,
    ProviderRejectedError,
    ProviderUnavailableError,
    Usage,
)

if TYPE_CHECKING:
    from mypy_boto3_bedrock_runtime.type_defs import InferenceConfigurationTypeDef, MessageTypeDef

DEPLOYING_SECONDS = 60.0
"""How long to wait before asking again; AWS names minutes."""
_CUT_SHORT = ("max_tokens", "model_context_window_exceeded")
_SYSTEM = ("system", "developer")


class Answers:
    """Remembers which deployment answers for a tuned model, until it is gone."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._deployed: dict[str, str] = {}
        self._lock = threading.Lock()

    def ensure(self, model: ModelReference) -> str:
        """The id that answers for the model: its own, or that of its deployment.

        ProviderRejectedError with code "not_deployed" where a tuned model has none and none may be made;
        ProviderUnavailableError with code "deploying" while one is being made.
        """
        name = model.provider_model or model.base
        if not name:
            raise ProviderRejectedError("This model is not one of Amazon Bedrock's.", code="unknown_model")
        if ":custom-model/" not in name:
            return askable_id(name)
        with self._lock:
            known = self._deployed.get(name)
        found = known or self._look(name)
        with self._lock:
            self._deployed[name] = found
        return found

    def chat(self, request: ChatRequest) -> ChatReply:
        if request.top_chances is not None or request.frequency_penalty or request.presence_penalty:
            raise ProviderRejectedError(
                "Amazon Bedrock takes no penalties and tells no chances of tokens. Ask without them.",
                code="unsupported_option",
            )
        request.refuse_tools("Amazon Bedrock")
        target = self.ensure(request.model)
        asked: dict[str, Any] = {
            "modelId": target,
            "messages": turns(request.messages),
            "inferenceConfig": _configuration(request),
        }
        system = [message["content"] for message in request.messages if message["role"] in _SYSTEM]
        if any(system):
            asked["system"] = [{"text": text} for text in system if text]
        started = time.perf_counter()
        try:
            with self._clients.errors():
                told = self._clients.runtime().converse(**asked)
        except ProviderRejectedError as error:
            if error.code == "not_found" and request.model.provider_model:
                with self._lock:
                    self._deployed.pop(request.model.provider_model, None)
                raise _not_deployed(error.message) from error
            raise
        return _reply(told, time.perf_counter() - started)

    def _look(self, model: str) -> str:
        """One request for deployments, one for provisioned throughput."""
        bedrock = self._clients.bedrock()
        with self._clients.errors():
            listed = bedrock.list_custom_model_deployments(modelArnEquals=model)
        found = {entry["status"]: entry for entry in listed["modelDeploymentSummaries"]}
        if "Active" in found:
            return found["Active"]["customModelDeploymentArn"]
        with self._clients.errors():
            bought = bedrock.list_provisioned_model_throughputs(
                modelArnEquals=model, statusEquals="InService"
            )
        for entry in bought["provisionedModelSummaries"]:
            return entry["provisionedModelArn"]
        if "Creating" in found:
            raise _deploying()
        if "Failed" in found:
            # Not tried again by itself: every try could cost.
            reason = found["Failed"].get("failureMessage") or "AWS gives no reason."
            raise _not_deployed(f"The tuned model could not be deployed: {reason}")
        if self._clients.setting("deploy") != "yes":
            raise _not_deployed("The tuned model is not deployed.")
        self._create(model)
        raise _deploying()

    def _create(self, model: str) -> None:
        token = hashlib.sha256(model.encode()).hexdigest()
        # A minute's token: asked twice at once it is one deployment, deleted and asked again it is a new one.
        minute = int(time.time() // DEPLOYING_SECONDS)
        with self._clients.errors(creating=True):
            self._clients.bedrock().create_custom_model_deployment(
                modelDeploymentName=f"ftportal-{token[:16]}-{minute}",
                modelArn=model,
                description="Made by ftportal so that the tuned model can be asked.",
                clientRequestToken=f"{token[:32]}-{minute}",
            )


def turns(messages: Sequence[Mapping[str, str]]) -> "list[MessageTypeDef]":
    """User and assistant by turns, as Converse wants it: what one of them says in a row is one message."""
    found: list[Any] = []
    for message in messages:
        if message["role"] in _SYSTEM or not message["content"]:
            continue
        role = "assistant" if message["role"] == "assistant" else "user"
        if not found or found[-1]["role"] != role:
            found.append({"role": role, "content": []})
        found[-1]["content"].append({"text": message["content"]})
    return found


def _configuration(request: ChatRequest) -> "InferenceConfigurationTypeDef":
    """Some models refuse temperature and top_p together, so one that changes nothing is left out."""
    told: InferenceConfigurationTypeDef = {
        "maxTokens": request.max_tokens,
        "temperature": request.temperature,
    }
    if request.top_p < 1:
        told["topP"] = request.top_p
    if request.stop:
        told["stopSequences"] = list(request.stop)
    return told


def _reply(told: Mapping[str, Any], seconds: float) -> ChatReply:
    parts = told.get("output", {}).get("message", {}).get("content", [])
    usage = told.get("usage")
    return ChatReply(
        text="".join(part.get("text", "") for part in parts),
        finish_reason="length" if told.get("stopReason") in _CUT_SHORT else "stop",
        usage=Usage(prompt_tokens=usage["inputTokens"], completion_tokens=usage["outputTokens"])
        if usage
        else None,
        latency=seconds,
        raw={name: told[name] for name in ("stopReason", "usage", "metrics") if name in told},
    )


def _not_deployed(happened: str) -> ProviderRejectedError:
    return ProviderRejectedError(
        f"{happened} Deploy it in the Bedrock console under custom models, or let this connection deploy tuned models,"
        " which AWS bills.",
        code="not_deployed",
    )


def _deploying() -> ProviderUnavailableError:
    return ProviderUnavailableError(
        "Amazon Bedrock is deploying the tuned model, which takes some minutes.",
        code="deploying",
        retry_after=DEPLOYING_SECONDS,
    )
