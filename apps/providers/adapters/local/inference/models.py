"""Models in memory: a base once, adapters swapped on it, the least recently used ones freed."""

import gc
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from apps.core.chat_tokens import Chat, ChatTokenizer
from apps.core.errors import PortalError
from apps.providers.adapters.local.inference.adapters import AdapterSwitch
from apps.providers.adapters.local.inference.cache import PrefixStore
from apps.providers.adapters.local.inference.errors import InferenceError
from apps.providers.adapters.local.inference.generation import Generator
from apps.providers.adapters.local.inference.store import ModelStore, model_kind

transformers_logging.disable_progress_bar()  # the log of a server is no terminal

PROBE = [{"role": "user", "content": "question"}, {"role": "assistant", "content": "answer"}]


@dataclass(frozen=True)
class ModelKey:
    """Which weights: a base (directory or hub id), an uploaded adapter on a base, or an uploaded full model."""

    kind: str
    base: str | None
    sha256: str | None
    revision: str | None = None


@dataclass(frozen=True)
class Source:
    """Where whole weights are loaded from: a directory, or a hub id with the commit it is pinned to."""

    name: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"{self.name}@{self.revision}" if self.revision else self.name


@dataclass
class Variant:
    """A way to answer with loaded weights: its tokenizer and the prompt beginnings computed with it."""

    tokenizer: Any
    stop_ids: frozenset[int]
    prefixes: PrefixStore = field(default_factory=PrefixStore)
    adapter: str | None = None
    used: float = field(default_factory=time.monotonic)


@dataclass
class Loaded:
    """One set of base weights with the variants that stand on it."""

    model: Any
    switch: AdapterSwitch | None = None
    variants: dict[str | None, Variant] = field(default_factory=dict)

    @property
    def used(self) -> float:
        return max((variant.used for variant in self.variants.values()), default=0.0)

    @property
    def bytes(self) -> int:
        copies = self.switch.bytes if self.switch is not None else 0
        weights: int = sum(parameter.nbytes for parameter in self.model.parameters())
        return weights + copies


class LoadedModels:
    """Only ever used by the one thread that computes."""

    def __init__(self, store: ModelStore, *, budget_bytes: int, idle_seconds: float) -> None:
        self._store = store
        self._budget = budget_bytes
        self._idle_seconds = idle_seconds
        self._loaded: dict[Source, Loaded] = {}
        self._device = (
            "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        )
        self._dtype = torch.bfloat16 if self._device == "cuda" else torch.float32

    def labels(self) -> list[str]:
        return [
            " + ".join(filter(None, [str(source), adapter]))
            for source, loaded in list(self._loaded.items())
            for adapter in list(loaded.variants)
        ]

    def bytes(self) -> int:
        return sum(loaded.bytes for loaded in list(self._loaded.values()))

    def generator(self, key: ModelKey) -> Generator:
        """Ready to generate with these weights, loading what is missing. InferenceError when they can't be
        had."""
        source, path = self._weights(key)
        loaded = self._loaded.get(source) or self._load(source)
        variant = loaded.variants.get(key.sha256 if key.kind == "adapter" else None)
        if variant is None:
            variant = self._add_variant(loaded, key, source, path)
        variant.used = time.monotonic()
        self._free_over_budget(source)
        if loaded.switch is not None:
            loaded.switch.use(variant.adapter)
        return Generator(
            loaded.model, variant.tokenizer, stop_ids=variant.stop_ids, prefixes=variant.prefixes
        )

    def free_idle(self) -> None:
        limit = time.monotonic() - self._idle_seconds
        for source in [source for source, loaded in self._loaded.items() if loaded.used < limit]:
            self._drop(source)

    def _weights(self, key: ModelKey) -> tuple[Source, Path | None]:
        """Where the whole weights come from and, for an adapter, its directory."""
        path: Path | None = None
        if key.kind != "base":
            path = self._store.path(key.sha256 or "")
            if path is None:
                raise InferenceError(
                    404, "model_missing", "This model has not been uploaded to the inference program."
                )
            if model_kind(path) != key.kind:
                raise InferenceError(400, "wrong_kind", f"This model is not of the kind “{key.kind}”.")
        if key.kind == "full":
            return Source(str(path)), None
        if not key.base:
            raise InferenceError(400, "no_base", "Which base model is meant is missing from the request.")
        return Source(key.base, key.revision), path

    def _load(self, source: Source) -> Loaded:
        name = source.name
        if os.path.isabs(name) and not os.path.isfile(os.path.join(name, "config.json")):
            raise InferenceError(404, "model_missing", f"There is no model in the directory {name}.")
        self._free_over_budget(None)
        try:
            model = AutoModelForCausalLM.from_pretrained(
                name,
                revision=source.revision,
                dtype=self._dtype,
                use_safetensors=True,
                trust_remote_code=False,
            )
        except (OSError, ValueError) as error:
            raise InferenceError(
                422, "model_broken", f"The model {source} can't be loaded: {error}"
            ) from error
        loaded = Loaded(model.to(self._device).eval())
        self._loaded[source] = loaded
        return loaded

    def _add_variant(self, loaded: Loaded, key: ModelKey, source: Source, path: Path | None) -> Variant:
        if path is None:
            variant = _variant(source, loaded.model)
            loaded.variants[None] = variant
            return variant
        assert key.sha256 is not None
        own_tokenizer = (path / "tokenizer.json").is_file()
        variant = _variant(Source(str(path)) if own_tokenizer else source, loaded.model)
        try:
            if isinstance(loaded.model, PeftModel):
                loaded.model.load_adapter(str(path), adapter_name=key.sha256)
            else:
                may_copy = 2 * loaded.bytes <= self._budget
                loaded.model = PeftModel.from_pretrained(loaded.model, str(path), adapter_name=key.sha256)
                loaded.model.eval()
                loaded.switch = AdapterSwitch(loaded.model, may_copy=may_copy)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise InferenceError(
                422, "adapter_mismatch", f"The adapter can't be put on the base model {source}: {error}"
            ) from error
        variant.adapter = key.sha256
        loaded.variants[key.sha256] = variant
        return variant

    def _free_over_budget(self, keep: Source | None) -> None:
        """Free whole models, then adapters, oldest use first, until the budget holds."""
        while self.bytes() > self._budget:
            others = [source for source in self._loaded if source != keep]
            if others:
                self._drop(min(others, key=lambda source: self._loaded[source].used))
            elif not (keep and self._drop_adapter(self._loaded[keep])):
                return

    def _drop_adapter(self, loaded: Loaded) -> bool:
        """Free the adapter that was used longest ago, but never the one in use."""
        adapters = sorted((variant.used, name) for name, variant in loaded.variants.items() if name)
        newest = max(loaded.variants.values(), key=lambda variant: variant.used)
        for _, name in adapters:
            if loaded.variants[name] is not newest:
                assert loaded.switch is not None
                loaded.switch.forget(name)
                del loaded.variants[name]
                return True
        return False

    def _drop(self, source: Source) -> None:
        del self._loaded[source]
        gc.collect()
        if self._device == "cuda":
            torch.cuda.empty_cache()


def _variant(source: Source, model: Any) -> Variant:
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            source.name, revision=source.revision, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise InferenceError(
            422, "model_broken", f"The tokenizer {source} can't be loaded: {error}"
        ) from error
    if not tokenizer.chat_template:
        raise InferenceError(422, "no_chat_template", f"The tokenizer {source} has no chat template.")
    return Variant(tokenizer=tokenizer, stop_ids=_stop_ids(model, tokenizer))


def _stop_ids(model: Any, tokenizer: Any) -> frozenset[int]:
    """Tokens that end an answer: those of the generation config, the tokenizer's, and the template's own."""
    configured = model.generation_config.eos_token_id
    found = set(configured if isinstance(configured, list) else [configured])
    found.add(tokenizer.eos_token_id)
    found.add(_turn_end(tokenizer))
    return frozenset(token for token in found if token is not None)


def _turn_end(tokenizer: Any) -> int | None:
    """The token with which the chat template ends an answer, None where it can't be told."""
    template = tokenizer.chat_template
    if not isinstance(template, str) or not tokenizer.is_fast:
        return None
    special = {name: token for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)}
    try:
        chat = next(ChatTokenizer(tokenizer.backend_tokenizer, template, special).encode([Chat(PROBE)]))
    except PortalError:
        return None
    last = chat.ids[chat.answers[-1][1] - 1] if chat.answers else None
    return last if last in tokenizer.added_tokens_decoder else None
