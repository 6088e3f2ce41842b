"""Generating the answers of one batch.

Rows are padded on the left and never look at padding, and each row has its own random stream, so an answer
does not depend on the other rows beyond the rounding of floating-point sums.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jinja2 import TemplateError

from apps.core.chat_tokens import Chat, template_messages
from apps.providers.adapters.local.inference.cache import (
    LayerStates,
    PrefixStore,
    common_prefix,
    is_plain,
    new_cache,
)
from apps.providers.adapters.local.inference.choosing import Sampling, TokenChance, chances, choose
from apps.providers.adapters.local.inference.errors import InferenceError
from apps.providers.adapters.local.inference.spelling import Spelling, before_stop

# Shorter shared beginnings are not worth a forward pass of their own.
MIN_SHARED = 16


@dataclass(frozen=True)
class Piece:
    """What a streamed answer has grown by."""

    text: str
    chances: tuple[TokenChance, ...] = ()


@dataclass(frozen=True)
class Prompt:
    """`tell` hears the text as it grows; once `gone` is true nobody wants the rest."""

    ids: tuple[int, ...]
    max_tokens: int
    seed: int | None = None
    stop: tuple[str, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    top_chances: int | None = None
    """How many other candidates of every token are told with their chances; None: no chances at all."""
    tell: Callable[[Piece], None] | None = None
    gone: Callable[[], bool] | None = None


@dataclass(frozen=True)
class Answer:
    text: str
    finish_reason: Literal["stop", "length"]
    completion_tokens: int
    chances: tuple[TokenChance, ...] = ()


@dataclass
class _Row:
    """One answer in the making. `index` is its place in the batch that was asked for."""

    index: int
    prompt: Prompt
    random: torch.Generator | None
    spelling: Spelling
    ids: list[int] = field(default_factory=list)
    chances: list[TokenChance] = field(default_factory=list)
    told: int = 0
    chances_told: int = 0
    last: int = 0
    finish_reason: Literal["stop", "length"] | None = None
    text: str | None = None


class Generator:
    """Generates with one model. `prefixes` belongs to exactly these weights."""

    def __init__(
        self, model: Any, tokenizer: Any, *, stop_ids: frozenset[int], prefixes: PrefixStore
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._stop_ids = stop_ids
        self._prefixes = prefixes
        self._device = model.device
        self._config = model.config
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._takes_positions = "position_ids" in inspect.signature(base.forward).parameters

    def encode(self, chat: Chat, max_tokens: int) -> tuple[int, ...]:
        """The prompt's token ids; InferenceError if the template refuses it or no room is left for an answer."""
        try:
            ids = self._tokenizer.apply_chat_template(
                template_messages(chat.messages), tools=list(chat.tools) or None, add_generation_prompt=True
            )["input_ids"]
        except (TemplateError, TypeError, ValueError, KeyError) as error:
            raise InferenceError(
                422, "template_refused", f"The model's chat template refuses this conversation: {error}."
            ) from error
        limit = getattr(self._config.get_text_config(), "max_position_embeddings", None)
        if limit is not None and len(ids) + max_tokens > limit:
            raise InferenceError(
                422,
                "too_long",
                f"The prompt has {len(ids)} tokens and the answer may have {max_tokens}, but the model's context "
                f"holds {limit}.",
            )
        return tuple(ids)

    def free_prefixes(self) -> None:
        self._prefixes.clear()

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def generate(self, prompts: Sequence[Prompt]) -> list[Answer]:
        rows = [
            _Row(index, prompt, self._random(prompt), Spelling(self._decode))
            for index, prompt in enumerate(prompts)
        ]
        cache, shared = self._start(prompts)
        width = max(len(prompt.ids) for prompt in prompts) - shared
        inputs = torch.zeros((len(rows), width), dtype=torch.long)
        mask = torch.ones((len(rows), shared + width), dtype=torch.long)
        for position, row in enumerate(rows):
            suffix = row.prompt.ids[shared:]
            padding = width - len(suffix)
            inputs[position, padding:] = torch.tensor(suffix, dtype=torch.long)
            mask[position, shared : shared + padding] = 0
        inputs, mask = inputs.to(self._device), mask.to(self._device)
        finished: list[_Row] = []
        while True:
            logits = self._forward(inputs, mask, cache)
            self._extend(rows, logits, self._choose(logits, rows).tolist())
            active = [position for position, row in enumerate(rows) if row.finish_reason is None]
            if not active:
                finished += rows
                break
            if 2 * len(active) <= len(rows) and hasattr(cache, "batch_select_indices") and is_plain(cache):
                # Ended rows are carried along until they are half of the batch: leaving costs a copy of the
                # cache.
                finished += [row for row in rows if row.finish_reason is not None]
                rows = [rows[position] for position in active]
                kept = torch.tensor(active, device=self._device)
                cache.batch_select_indices(kept)
                mask = mask[kept]
            inputs = torch.tensor([[row.last] for row in rows], device=self._device)
            mask = torch.cat([mask, mask.new_ones((len(rows), 1))], dim=1)
        return [self._answer(row) for row in sorted(finished, key=lambda row: row.index)]

    def _forward(self, inputs: torch.Tensor, mask: torch.Tensor, cache: Any) -> torch.Tensor:
        """Logits of the next token of every row."""
        options: dict[str, Any] = {}
        if self._takes_positions:
            positions = mask.cumsum(-1) - 1
            options["position_ids"] = positions[:, -inputs.shape[1] :].clamp(min=0)
        output = self._model(
            input_ids=inputs,
            attention_mask=mask,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            **options,
        )
        logits: torch.Tensor = output.logits[:, -1, :]
        return logits

    def _start(self, prompts: Sequence[Prompt]) -> tuple[Any, int]:
        """A cache that holds the beginning all prompts share, and that beginning's length."""
        cache = new_cache(self._config)
        if not is_plain(cache):
            return cache, 0
        # At least one token of every prompt must be left to predict from.
        shared = min(
            common_prefix([prompt.ids for prompt in prompts]), min(len(prompt.ids) for prompt in prompts) - 1
        )
        known, states = self._prefixes.find(prompts[0].ids[:shared])
        if len(prompts) > 1 and shared - known >= MIN_SHARED:
            known, states = shared, self._compute_prefix(prompts[0].ids[:shared], known, states)
        if known < MIN_SHARED:
            return cache, 0
        for layer, pair in zip(cache.layers, states, strict=True):
            layer.start_from(pair, len(prompts))
        return cache, known

    def _compute_prefix(
        self, ids: tuple[int, ...], known: int, states: list[LayerStates]
    ) -> list[LayerStates]:
        cache = new_cache(self._config)
        if known:
            for layer, pair in zip(cache.layers, states, strict=True):
                layer.start_from(pair, 1)
        inputs = torch.tensor([ids[known:]], device=self._device)
        self._forward(inputs, torch.ones((1, len(ids)), dtype=torch.long, device=self._device), cache)
        computed = [(layer.keys.clone(), layer.values.clone()) for layer in cache.layers]
        self._prefixes.put(ids, computed)
        return computed

    def _choose(self, logits: torch.Tensor, rows: list[_Row]) -> torch.Tensor:
        if all(row.prompt.sampling.is_greedy for row in rows):
            return logits.argmax(-1)
        chosen = [
            choose(logits[position], row.prompt.sampling, row.ids, row.random)
            for position, row in enumerate(rows)
        ]
        return torch.cat(chosen)

    def _extend(self, rows: list[_Row], logits: torch.Tensor, chosen: list[int]) -> None:
        for position, (row, token) in enumerate(zip(rows, chosen, strict=True)):
            row.last = token
            if row.finish_reason is not None:
                continue
            if row.prompt.gone is not None and row.prompt.gone():
                row.finish_reason, row.text = "stop", ""
                continue
            row.ids.append(token)
            if row.prompt.top_chances is not None and token not in self._stop_ids:
                row.chances.append(chances(logits[position], token, row.prompt.top_chances, self._decode))
            if token in self._stop_ids:
                row.finish_reason, row.text = "stop", self._decode(row.ids[:-1])
            elif row.prompt.stop and (cut := self._stopped_at(row)) is not None:
                row.finish_reason, row.text = "stop", cut
            elif len(row.ids) >= row.prompt.max_tokens:
                row.finish_reason, row.text = "length", self._decode(row.ids)
            if row.prompt.tell is not None:
                self._tell(row, row.prompt.tell)

    def _tell(self, row: _Row, tell: Callable[[Piece], None]) -> None:
        """Hand on what is certain by now: no half character, and nothing that may turn out to be a stop string."""
        if row.text is None:
            text = row.spelling.add(row.last)
            end = before_stop(text, row.prompt.stop)
        else:
            text, end = row.text, len(row.text)
        news = text[row.told : end]
        chances_since = tuple(row.chances[row.chances_told :])
        if news:
            row.told, row.chances_told = end, len(row.chances)
            tell(Piece(news, chances_since))

    def _stopped_at(self, row: _Row) -> str | None:
        """The text before the first stop string, None while there is none."""
        text = self._decode(row.ids)
        places = [place for stop in row.prompt.stop if (place := text.find(stop)) >= 0]
        return text[: min(places)] if places else None

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        return text

    def _answer(self, row: _Row) -> Answer:
        assert row.text is not None
        assert row.finish_reason is not None
        return Answer(row.text, row.finish_reason, len(row.ids), tuple(row.chances))

    @staticmethod
    def _random(prompt: Prompt) -> torch.Generator | None:
        if prompt.sampling.temperature == 0:
            return None
        random = torch.Generator()
        if prompt.seed is None:
            random.seed()
        else:
            random.manual_seed(prompt.seed)
        return random
