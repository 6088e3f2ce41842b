"""Answers as the protocol shows them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from apps.gateway.chat.asking import Choice
from apps.gateway.chat.parameters import Wanted
from apps.gateway.ids import new_id


@dataclass(frozen=True)
class Frame:
    """What all parts of one answer share."""

    model: str
    id: str = field(default_factory=lambda: new_id("chatcmpl-"))
    created: int = field(default_factory=lambda: int(time.time()))

    def completion(self, choices: Sequence[Choice], wanted: Wanted) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [_choice(choice, wanted) for choice in choices],
            "usage": usage(
                prompt=_prompt_tokens(choices[0]),
                completion=0 if not wanted.max_tokens else sum(c.spent for c in choices),
            ),
            "service_tier": "default",
            "system_fingerprint": None,
        }

    def chunk(
        self,
        index: int,
        delta: Mapping[str, Any],
        *,
        finish_reason: str | None = None,
        chances: Sequence[Mapping[str, Any]] | None = None,
        with_usage: bool = False,
    ) -> dict[str, Any]:
        choice = {
            "index": index,
            "delta": dict(delta),
            "logprobs": None if chances is None else logprobs(chances),
            "finish_reason": finish_reason,
        }
        return self._part([choice]) | ({"usage": None} if with_usage else {})

    def usage_chunk(self, *, prompt: int, completion: int) -> dict[str, Any]:
        return self._part([]) | {"usage": usage(prompt=prompt, completion=completion)}

    def _part(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "choices": choices,
            "service_tier": "default",
            "system_fingerprint": None,
        }


def _prompt_tokens(choice: Choice) -> int:
    return choice.reply.usage.prompt_tokens if choice.reply.usage else 0


def _choice(choice: Choice, wanted: Wanted) -> dict[str, Any]:
    reply = choice.reply
    text = reply.text if wanted.max_tokens else ""
    return {
        "index": choice.index,
        "message": {
            "role": "assistant",
            "content": text if choice.refusal is None else None,
            "refusal": choice.refusal,
            "annotations": [],
        },
        "logprobs": None if wanted.top_chances is None else logprobs(reply.raw["chances"]),
        "finish_reason": reply.finish_reason if wanted.max_tokens else "length",
    }


def usage(*, prompt: int, completion: int) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def logprobs(chances: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "content": [
            {**_candidate(chance["chosen"]), "top_logprobs": [_candidate(each) for each in chance["top"]]}
            for chance in chances
        ],
        "refusal": None,
    }


def _candidate(candidate: Mapping[str, Any]) -> dict[str, Any]:
    text = candidate["text"]
    return {"token": text, "logprob": candidate["logarithm"], "bytes": list(text.encode())}
