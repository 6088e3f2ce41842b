"""What a chat request may say: read, checked, and made into what a provider is asked.

What changes nothing about the answer is taken and left alone, as the protocol has it for parameters of services that
are not here (caching, tiers, safety identifiers). What would change it and can't be done is refused.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from apps.gateway.chat.structured import Format, read_format
from apps.gateway.errors import ApiError
from apps.gateway.handlers.fine_tuning import read_metadata
from apps.providers.contracts import ChatRequest, ModelReference

DEFAULT_TOKENS = 512
MOST_TOKENS = 32_768
MOST_CHOICES = 16
MOST_STOPS = 4
SEEDS = 2**63
ROLES = ("system", "developer", "user", "assistant", "tool", "function")


class StreamOptions(msgspec.Struct):
    include_usage: bool = False


class ChatBody(msgspec.Struct):
    model: str
    messages: list[dict[str, Any]]
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    n: int | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    response_format: dict[str, Any] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    store: bool | None = None
    metadata: dict[str, Any] | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    functions: list[Any] | None = None
    function_call: Any = None
    modalities: list[str] | None = None
    reasoning_effort: str | None = None
    web_search_options: dict[str, Any] | None = None
    moderation: dict[str, Any] | None = None


@dataclass(frozen=True)
class Wanted:
    """A chat request that can be answered."""

    model: str
    messages: Sequence[Mapping[str, str]]
    max_tokens: int
    temperature: float
    top_p: float
    stop: tuple[str, ...]
    choices: int
    seed: int
    frequency_penalty: float
    presence_penalty: float
    top_chances: int | None
    format: Format
    stream: bool
    include_usage: bool
    store: bool
    metadata: Mapping[str, str] | None

    def request(self, reference: ModelReference, *, choice: int, attempt: int = 0) -> ChatRequest:
        """The question for one of the choices. A later attempt draws anew, with more freedom."""
        temperature = self.temperature if not attempt else max(self.temperature, 0.3 * attempt)
        return ChatRequest(
            model=reference,
            messages=self.messages,
            max_tokens=max(1, self.max_tokens),
            temperature=temperature,
            top_p=self.top_p,
            seed=(self.seed + choice + attempt * MOST_CHOICES) % SEEDS,
            stop=self.stop,
            frequency_penalty=self.frequency_penalty,
            presence_penalty=self.presence_penalty,
            top_chances=self.top_chances,
        )


def read_chat(body: ChatBody) -> Wanted:
    """Raises ApiError for what is wrong, or can't be done."""
    _refuse_what_is_not_here(body)
    stream = bool(body.stream)
    if body.stream_options is not None and body.stream_options.include_usage and not stream:
        # The published client tests send it without stream; it has no effect then.
        body.stream_options = None
    return Wanted(
        model=body.model,
        messages=read_messages(body.messages),
        max_tokens=_max_tokens(body),
        temperature=_between(body.temperature, 0, 2, 1.0, "temperature"),
        top_p=_top_p(body.top_p),
        stop=_stops(body.stop),
        choices=int(_between(body.n, 1, MOST_CHOICES, 1, "n")),
        seed=secrets.randbelow(2**32) if body.seed is None else body.seed % SEEDS,
        frequency_penalty=_between(body.frequency_penalty, -2, 2, 0.0, "frequency_penalty"),
        presence_penalty=_between(body.presence_penalty, -2, 2, 0.0, "presence_penalty"),
        top_chances=_chances(body),
        format=read_format(body.response_format),
        stream=stream,
        include_usage=bool(body.stream_options and body.stream_options.include_usage),
        store=bool(body.store),
        metadata=read_metadata(body.metadata),
    )


def _refuse_what_is_not_here(body: ChatBody) -> None:
    for name, calls in (("tools", body.tool_choice), ("functions", body.function_call)):
        if getattr(body, name) and calls != "none":
            raise ApiError(
                f"Models here answer with text and call no {name}. Send '{name}' only with the choice 'none'.",
                code="unsupported_parameter",
                param=name,
            )
    if body.modalities and body.modalities != ["text"]:
        raise ApiError("Models here answer with text only.", code="unsupported_parameter", param="modalities")
    for name in ("web_search_options", "moderation"):
        if getattr(body, name):
            raise ApiError(
                f"'{name}' is not available with the models here.", code="unsupported_parameter", param=name
            )
    if body.reasoning_effort not in (None, "none", "minimal", "low", "medium", "high"):
        raise ApiError("Unknown effort.", code="invalid_value", param="reasoning_effort")
    if body.logit_bias and any(body.logit_bias.values()):
        raise ApiError(
            "'logit_bias' is not available with the models here.",
            code="unsupported_parameter",
            param="logit_bias",
        )


def read_messages(messages: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Role and text of each message. Raises ApiError."""
    if not messages:
        raise ApiError("'messages' must hold at least one message.", code="invalid_value", param="messages")
    return [_message(message, f"messages[{index}]") for index, message in enumerate(messages)]


def _message(message: dict[str, Any], place: str) -> dict[str, str]:
    role = message.get("role")
    if role not in ROLES:
        raise ApiError(
            f"Invalid value: {role!r}. Supported values are: {', '.join(ROLES)}.",
            code="invalid_value",
            param=f"{place}.role",
        )
    if role in ("tool", "function") or message.get("tool_calls"):
        raise ApiError(
            "Models here know no tools, so a conversation can't hold calls of tools.",
            code="unsupported_value",
            param=place,
        )
    # Chat templates know one role for instructions, whatever it is called.
    content = message.get("content")
    if content is None and role == "assistant" and isinstance(message.get("refusal"), str):
        content = message["refusal"]  # an answer of before, sent back as it came
    return {
        "role": "system" if role == "developer" else role,
        "content": _text(content, f"{place}.content"),
    }


def _text(content: Any, place: str) -> str:
    if isinstance(content, str):
        return content
    if isinstance(content, list) and content:
        texts = []
        for part in content:
            kind = part.get("type") if isinstance(part, dict) else None
            text = part.get(kind) if kind in ("text", "refusal") else None
            if not isinstance(text, str):
                raise ApiError(
                    f"Models here read text only; '{kind}' can't be sent.",
                    code="unsupported_value",
                    param=place,
                )
            texts.append(text)
        return "\n".join(texts)
    raise ApiError("Content must be a text.", code="invalid_type", param=place)


def _max_tokens(body: ChatBody) -> int:
    for name in ("max_completion_tokens", "max_tokens"):
        value = getattr(body, name)
        if value is not None:
            return int(_between(value, 0, MOST_TOKENS, DEFAULT_TOKENS, name))
    return DEFAULT_TOKENS


def _between(value: float | None, low: float, high: float, default: float, name: str) -> float:
    if value is None:
        return default
    if not low <= value <= high:
        raise ApiError(
            f"Invalid '{name}': it must be from {low:g} to {high:g}, not {value}.",
            code="invalid_value",
            param=name,
        )
    return value


def _top_p(value: float | None) -> float:
    """0 means the most likely token alone, for which the smallest share stands."""
    return max(1e-6, _between(value, 0, 1, 1.0, "top_p"))


def _stops(stop: str | list[str] | None) -> tuple[str, ...]:
    stops = [stop] if isinstance(stop, str) else list(stop or ())
    if len(stops) > MOST_STOPS:
        raise ApiError(f"At most {MOST_STOPS} stop sequences.", code="invalid_value", param="stop")
    return tuple(text for text in stops if text)


def _chances(body: ChatBody) -> int | None:
    if not body.logprobs:
        if body.top_logprobs:
            raise ApiError(
                "'top_logprobs' needs 'logprobs' to be true.", code="invalid_value", param="top_logprobs"
            )
        return None
    return int(_between(body.top_logprobs, 0, 20, 0, "top_logprobs"))
