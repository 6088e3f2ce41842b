"""From chat rows to token ids and labels, with an account of every row that is not used as it is."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from apps.core.chat_tokens import ChatTokenizer, EncodedChat
from apps.providers.adapters.local.trainer.job import Job
from apps.providers.jobdirs.errors import TrainingFailed

# The label that the loss leaves out, by PyTorch's convention.
IGNORED = -100


class ChatRow(msgspec.Struct):
    messages: list[dict[str, Any]]


@dataclass
class TokenRows:
    """Tokenised rows. `tokens` and `trained_tokens` count what one pass over them sees, without padding."""

    input_ids: list[list[int]] = field(default_factory=list)
    labels: list[list[int]] = field(default_factory=list)
    dropped: int = 0
    truncated: int = 0
    tokens: int = 0
    trained_tokens: int = 0

    def __len__(self) -> int:
        return len(self.input_ids)


def read_chats(path: Path) -> Iterator[list[dict[str, Any]]]:
    """The conversations of a JSON lines file; TrainingFailed names the first line that is none."""
    decoder = msgspec.json.Decoder(ChatRow)
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                messages = decoder.decode(line).messages
                if not messages or any(not isinstance(row.get("role"), str) for row in messages):
                    raise msgspec.ValidationError(
                        "every message needs a role, and there must be at least one"
                    )
            except msgspec.DecodeError as error:
                raise TrainingFailed(
                    "bad_row", f"Line {number} of {path.name} is not a chat: {error}."
                ) from error
            yield messages


def tokenise(path: Path, tokenizer: ChatTokenizer, job: Job) -> TokenRows:
    """Tokenise a file under the job's rule for rows that are too long."""
    rows = TokenRows()
    too_long: list[tuple[int, int]] = []
    for number, chat in enumerate(tokenizer.encode(read_chats(path)), start=1):
        if len(chat.ids) > job.max_length:
            if job.too_long == "refuse":
                too_long.append((len(chat.ids), number))
                continue
            if job.too_long == "drop":
                rows.dropped += 1
                continue
            _add(rows, chat, job.max_length)
        else:
            _add(rows, chat, len(chat.ids))
    if too_long:
        longest, number = max(too_long)
        raise TrainingFailed(
            "too_long",
            f"{len(too_long)} rows of {path.name} are longer than the maximum of {job.max_length} tokens; the longest "
            f"is row {number} with {longest} tokens. Raise the maximum length, or choose to drop or truncate them.",
        )
    return rows


def _add(rows: TokenRows, chat: EncodedChat, length: int) -> None:
    """Add a row cut to its first `length` tokens, unless nothing in it would be trained."""
    ids = chat.ids[:length]
    labels = [IGNORED] * length
    for start, end in chat.answers:
        labels[start:end] = ids[start:end]
    # The first token is never predicted, so it alone is nothing to train on.
    trained = sum(label != IGNORED for label in labels[1:])
    if not trained:
        rows.dropped += 1
        return
    rows.input_ids.append(ids)
    rows.labels.append(labels)
    rows.truncated += length < len(chat.ids)
    rows.tokens += length
    rows.trained_tokens += trained


def batches_by_length(rows: TokenRows, size: int) -> list[list[int]]:
    """Row numbers in batches of similar length, so that little is padding. For validation, where order is
    free."""
    order = sorted(range(len(rows)), key=lambda index: len(rows.input_ids[index]))
    edges = [*range(0, len(order), size), len(order)]
    return [order[start:end] for start, end in pairwise(edges)]
