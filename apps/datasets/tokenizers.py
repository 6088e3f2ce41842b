"""The tokenizer that counts a project's data: that of its base model."""

import json
from functools import lru_cache
from pathlib import Path

from apps.core.bundled_model import model_location
from apps.core.canonical import sha256_hex
from apps.core.chat_tokens import ChatTokenizer, ChatTokensError

_COUNTED = 2
"""Raised when the same tokenizer counts otherwise than before: with the tools that a row lists."""
_CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")


def tokenizer_of(base_model: str) -> tuple[ChatTokenizer | None, str]:
    """The tokenizer of a model directory, or None and the reason why tokens stay unknown."""
    directory = Path(model_location(base_model))
    tokenizer_file = directory / "tokenizer.json"
    if not tokenizer_file.is_file():
        return None, (
            f"The base model {base_model} is no directory with a tokenizer.json on this machine, so its tokens can't"
            " be counted."
        )
    try:
        return _load(directory, tokenizer_file.stat().st_mtime_ns), ""
    except ChatTokensError as error:
        return None, error.message
    except Exception as error:  # noqa: BLE001 - the tokenizers library raises bare Exceptions
        return None, f"The tokenizer of {base_model} can't be read: {error}."


@lru_cache(maxsize=4)
def _load(directory: Path, modified_at: int) -> ChatTokenizer:
    return ChatTokenizer.from_directory(directory)


def tokenizer_key(base_model: str) -> str:
    """Changes with the model and with its tokenizer's file; empty without one."""
    try:
        modified_at = (Path(model_location(base_model)) / "tokenizer.json").stat().st_mtime_ns
    except OSError:
        return ""
    return sha256_hex(f"{base_model}@{modified_at}#{_COUNTED}".encode())[:32]


def context_length_of(base_model: str) -> int | None:
    """How many tokens the model reads, as its directory says; None where it says nothing."""
    try:
        configuration = json.loads((Path(model_location(base_model)) / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    values = [configuration.get(key) for key in _CONTEXT_KEYS] if isinstance(configuration, dict) else []
    return next((value for value in values if isinstance(value, int) and 0 < value < 10**9), None)
