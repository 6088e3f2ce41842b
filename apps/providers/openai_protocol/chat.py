"""Chats as the protocol has them."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx2
from openai import OpenAI

from apps.providers.contracts import ChatReply, ChatRequest, FinishReason, ProviderRejectedError, Usage
from apps.providers.openai_protocol.access import ANSWER_SECONDS, CONNECT_SECONDS, Access
from apps.providers.openai_protocol.errors import asking, bad_reply
from apps.providers.openai_protocol.replies import body_of

NEW_LENGTH, OLD_LENGTH = "max_completion_tokens", "max_tokens"
_TIMEOUT = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)


class Spelling:
    """Which name of the answer's greatest length a server's models take: OpenAI's newer ones refuse the old, and other
    servers ignore the new. Shared by threads; a lost update costs one request."""

    def __init__(self, access: Access) -> None:
        azure = access.host.endswith((".openai.azure.com", ".services.ai.azure.com"))
        self._usual = NEW_LENGTH if access.is_openai or azure else OLD_LENGTH
        self._others: set[str] = set()

    def of(self, model: str) -> str:
        other = OLD_LENGTH if self._usual == NEW_LENGTH else NEW_LENGTH
        return other if model in self._others else self._usual

    def refused(self, model: str, error: ProviderRejectedError) -> bool:
        """Whether that name was refused, so that asking with the other one is worth a try. Once for a model."""
        if model in self._others:
            return False
        told = error.raw.get("error")
        if not isinstance(told, Mapping) or told.get("param") != self._usual:
            return False
        self._others.add(model)
        return True


class Chats:
    """Asks one server. Safe to use from several threads at once."""

    def __init__(self, client: OpenAI, access: Access) -> None:
        self._client = client
        self._access = access
        self._spelling = Spelling(access)

    def ask(self, request: ChatRequest) -> ChatReply:
        model = model_name(request)
        try:
            return self._ask(request, self._spelling.of(model))
        except ProviderRejectedError as error:
            if not self._spelling.refused(model, error):
                raise
        return self._ask(request, self._spelling.of(model))

    def _ask(self, request: ChatRequest, length: str) -> ChatReply:
        started = time.perf_counter()
        with asking(self._access):
            raw = self._client.chat.completions.with_raw_response.create(
                **parameters(request, length), timeout=_TIMEOUT
            )
        body = body_of(self._access, raw)
        return reply_of(body, self._access, latency=time.perf_counter() - started)


def model_name(request: ChatRequest) -> str:
    name = request.model.provider_model or request.model.base
    if not name:
        raise ProviderRejectedError("The request names no model of the provider.", code="no_model")
    return name


def parameters(request: ChatRequest, length: str) -> dict[str, Any]:
    """What differs from the protocol's defaults: some servers refuse a parameter even at its default."""
    asked: dict[str, Any] = {
        "model": model_name(request),
        "messages": [dict(message) for message in request.messages],
        length: request.max_tokens,
        "temperature": request.temperature,
    }
    if request.tools:
        asked["tools"] = [dict(tool) for tool in request.tools]
    if request.top_p != 1.0:
        asked["top_p"] = request.top_p
    if request.seed is not None:
        asked["seed"] = request.seed
    if request.stop:
        asked["stop"] = list(request.stop)
    if request.frequency_penalty:
        asked["frequency_penalty"] = request.frequency_penalty
    if request.presence_penalty:
        asked["presence_penalty"] = request.presence_penalty
    if request.top_chances is not None:
        asked |= {"logprobs": True, "top_logprobs": request.top_chances}
    return asked


def reply_of(body: Mapping[str, Any], access: Access, *, latency: float) -> ChatReply:
    choice = first_choice(body)
    message = choice.get("message") if choice else None
    if choice is None or not isinstance(message, Mapping):
        raise bad_reply(access, body)
    return ChatReply(
        text=text_of(message.get("content")) or text_of(message.get("refusal")),
        finish_reason=finish_of(choice.get("finish_reason"), access),
        usage=usage_of(body.get("usage")),
        latency=latency,
        raw={**access.hide(body), "chances": chances_of(choice)},
    )


def first_choice(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    choices = body.get("choices")
    found = choices[0] if isinstance(choices, list) and choices else None
    return found if isinstance(found, Mapping) else None


def text_of(content: Any) -> str:
    """A text, or the texts of a list of parts."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, Mapping))
        return "".join(part for part in parts if isinstance(part, str))
    return ""


def finish_of(reason: Any, access: Access) -> FinishReason:
    if reason == "content_filter":
        raise ProviderRejectedError(
            f"The content filter of {access.host} withheld the answer.", code="content_filter"
        )
    return "length" if reason == "length" else "stop"


def usage_of(usage: Any) -> Usage | None:
    if not isinstance(usage, Mapping):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not isinstance(prompt, int) or not isinstance(completion, int):
        return None
    return Usage(prompt_tokens=prompt, completion_tokens=completion)


def chances_of(choice: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    told = choice.get("logprobs")
    content = told.get("content") if isinstance(told, Mapping) else None
    if not isinstance(content, list):
        return []
    return [
        {"chosen": _chance(token), "top": [_chance(other) for other in token.get("top_logprobs") or ()]}
        for token in content
        if isinstance(token, Mapping)
    ]


def _chance(token: Mapping[str, Any]) -> dict[str, Any]:
    return {"text": token.get("token"), "logarithm": token.get("logprob")}
