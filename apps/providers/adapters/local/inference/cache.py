"""Key-value caches: one that grows without copying itself for every token, and prefixes kept between batches."""

from collections import OrderedDict
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import Cache, DynamicLayer

GROWTH = 32
PREFIX_BUDGET_BYTES = 256 * 1024 * 1024
LayerStates = tuple[torch.Tensor, torch.Tensor]


class GrowingLayer(DynamicLayer):  # type: ignore[misc]
    """Like its base, but with room to spare: the base copies the whole cache for every token.

    `keys` and `values` are views of the filled part of larger buffers.
    """

    keys: torch.Tensor
    values: torch.Tensor

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> LayerStates:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._buffers = self._room(key_states, value_states, 0)
        filled = self.get_seq_length()
        end = filled + key_states.shape[-2]
        if end > self._buffers[0].shape[-2] or self.keys.shape[0] != self._buffers[0].shape[0]:
            old = (self.keys, self.values)
            self._buffers = self._room(key_states, value_states, filled)
            if filled:
                for buffer, states in zip(self._buffers, old, strict=True):
                    buffer[..., :filled, :] = states
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[..., filled:end, :] = states
        self.keys, self.values = (buffer[..., :end, :] for buffer in self._buffers)
        return self.keys, self.values

    def start_from(self, states: LayerStates, batch: int) -> None:
        """Begin with the states of a prefix, the same for every row."""
        keys, values = (tensor.expand(batch, -1, -1, -1) for tensor in states)
        self.lazy_initialization(keys, values)
        self._buffers = (keys[..., :0, :], values[..., :0, :])
        self.keys, self.values = keys, values

    @staticmethod
    def _room(key_states: torch.Tensor, value_states: torch.Tensor, filled: int) -> LayerStates:
        size = filled + key_states.shape[-2] + GROWTH
        keys, values = (
            states.new_empty((*states.shape[:-2], size, states.shape[-1]))
            for states in (key_states, value_states)
        )
        return keys, values


def new_cache(config: Any) -> Cache:
    """An empty cache for a model; growing layers where all its layers attend to everything before them."""
    cache = DynamicCache(config=config)
    if is_plain(cache):
        cache.layers = [GrowingLayer() for _ in cache.layers]
    return cache


def is_plain(cache: Cache) -> bool:
    return bool(cache.layers) and all(type(layer) in (DynamicLayer, GrowingLayer) for layer in cache.layers)


class PrefixStore:
    """Key-value states of prompt beginnings that many prompts share: system prompt, few-shot examples.

    States of a token depend only on the tokens before it, so any shorter beginning of a stored one is usable
    too.
    """

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[int, ...], list[LayerStates]] = OrderedDict()

    def find(self, ids: tuple[int, ...]) -> tuple[int, list[LayerStates]]:
        """The longest known beginning of these tokens: its length and states."""
        best, length = None, 0
        for stored in self._entries:
            common = common_prefix([stored, ids])
            if common > length:
                best, length = stored, common
        if best is None:
            return 0, []
        self._entries.move_to_end(best)
        return length, [
            (keys[..., :length, :], values[..., :length, :]) for keys, values in self._entries[best]
        ]

    def put(self, ids: tuple[int, ...], states: list[LayerStates]) -> None:
        for stored in [entry for entry in self._entries if entry == ids[: len(entry)]]:
            del self._entries[stored]
        self._entries[ids] = states
        while len(self._entries) > 1 and self._bytes() > PREFIX_BUDGET_BYTES:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        self._entries.clear()

    def _bytes(self) -> int:
        return sum(
            tensor.nbytes for layers in self._entries.values() for states in layers for tensor in states
        )


def common_prefix(sequences: list[tuple[int, ...]]) -> int:
    """Length of the beginning that all sequences share."""
    # The smallest and the largest in dictionary order differ first where any two do.
    first, last = min(sequences), max(sequences)
    for index, (left, right) in enumerate(zip(first, last, strict=False)):
        if left != right:
            return index
    return min(len(first), len(last))
