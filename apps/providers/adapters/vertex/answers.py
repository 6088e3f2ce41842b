"""Chats with Gemini models and with the endpoints of tuned ones."""

import time
from typing import TYPE_CHECKING, Any

from apps.providers.adapters.vertex.clients import ANSWER_SECONDS, Clients
from apps.providers.adapters.vertex.families import model_name
from apps.providers.contracts import (
    ChatReply,
    ChatRequest,
    ModelReference,
    ProviderRejectedError,
    Usage,
)

if TYPE_CHECKING:
    from google.genai.types import Content, GenerateContentResponse

_SYSTEM = ("system", "developer")


def target_of(model: ModelReference) -> str:
    """What the model is asked by."""
    name = model.provider_model or model.base
    if not name:
        raise ProviderRejectedError("This model is not one of Vertex AI's.", code="unknown_model")
    return model_name(name)


def chat(clients: Clients, request: ChatRequest) -> ChatReply:
    if request.top_chances is not None:
        raise ProviderRejectedError(
            "The chances of tokens can't be told for models of Vertex AI. Ask without them.",
            code="unsupported_option",
        )
    request.refuse_tools("Vertex AI")
    from google.genai.types import (
        AutomaticFunctionCallingConfig,
        GenerateContentConfig,
        HttpOptions,
        ThinkingConfig,
    )

    system = "\n\n".join(each["content"] for each in request.messages if each["role"] in _SYSTEM)
    target = target_of(request.model)
    started = time.perf_counter()
    try:
        with clients.errors():
            told = clients.genai().models.generate_content(
                model=target,
                contents=list(_contents(request)),
                config=GenerateContentConfig(
                    system_instruction=system or None,
                    max_output_tokens=request.max_tokens,
                    temperature=request.temperature,
                    top_p=request.top_p if request.top_p < 1 else None,
                    seed=request.seed,
                    stop_sequences=list(request.stop) or None,
                    frequency_penalty=request.frequency_penalty or None,
                    presence_penalty=request.presence_penalty or None,
                    automatic_function_calling=AutomaticFunctionCallingConfig(disable=True),
                    thinking_config=None if clients.thinks else ThinkingConfig(thinking_budget=0),
                    http_options=HttpOptions(timeout=ANSWER_SECONDS * 1000),
                ),
            )
    except ProviderRejectedError as error:
        if error.code != "rejected" or "thinking" not in error.message.lower():
            raise
        raise ProviderRejectedError(
            f"{error.message} Turn thinking on in this connection's settings: the model can't do without.",
            code="thinks_always",
            raw=error.raw,
        ) from None
    return _reply(told, time.perf_counter() - started)


def _contents(request: ChatRequest) -> "list[Content]":
    from google.genai.types import Content, Part

    return [
        Content(
            role="model" if message["role"] == "assistant" else "user", parts=[Part(text=message["content"])]
        )
        for message in request.messages
        if message["role"] not in _SYSTEM
    ]


def _reply(told: "GenerateContentResponse", seconds: float) -> ChatReply:
    """Thoughts are paid for and count as written, but are no part of the answer."""
    candidate = told.candidates[0] if told.candidates else None
    parts = (candidate.content.parts if candidate and candidate.content else None) or []
    reason = candidate.finish_reason.value if candidate and candidate.finish_reason else ""
    if candidate is None:
        blocked = told.prompt_feedback.block_reason if told.prompt_feedback else None
        raise ProviderRejectedError(
            f"Vertex AI gave no answer: {blocked.value if blocked else 'it says nothing about why'}.",
            code="no_answer",
            raw=_plain(told),
        )
    counts = told.usage_metadata
    return ChatReply(
        text="".join(part.text or "" for part in parts if not part.thought),
        finish_reason="length" if reason == "MAX_TOKENS" else "stop",
        usage=Usage(
            prompt_tokens=counts.prompt_token_count or 0,
            completion_tokens=(counts.candidates_token_count or 0) + (counts.thoughts_token_count or 0),
        )
        if counts
        else None,
        latency=seconds,
        raw={"finish_reason": reason, "model_version": told.model_version or ""},
    )


def _plain(told: "GenerateContentResponse") -> dict[str, Any]:
    found: dict[str, Any] = told.model_dump(mode="json", exclude_none=True, exclude={"sdk_http_response"})
    return found
