"""From chat rows to token ids and labels, with an account of every row that is not used as it is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from apps.core.chat_tokens import CALLS, TOOLS, Chat, ChatTokenizer, EncodedChat
from apps.providers.adapters.local.trainer.job import Job
from apps.providers.jobdirs.errors import TrainingFailed

# The label that the loss leaves out, by PyTorch's convention.
IGNORED = -100


class ChatRow(msgspec.Struct):
    messages: list[dict[str, Any]]
    rejected: Any = None
    tools: list[dict[str, Any]] | None = None

    @property
    def chat(self) -> Chat:
        return Chat(self.messages, self.tools or ())


@dataclass
class Rows:
    """What was made of a file. `tokens` and `trained_tokens` count what one pass over it sees, without padding;
    `without_tools` and `without_calls` are rows of whose tools, or calls of tools, the chat template writes nothing."""

    dropped: int = 0
    truncated: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    without_tools: int = 0
    without_calls: int = 0

    def note_unseen(self, unseen: frozenset[str]) -> None:
        self.without_tools += TOOLS in unseen
        self.without_calls += CALLS in unseen


@dataclass
class TokenRows(Rows):
    """Tokenised rows."""

    input_ids: list[list[int]] = field(default_factory=list)
    labels: list[list[int]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def lengths(self) -> list[int]:
        return [len(ids) for ids in self.input_ids]


def read_rows(path: Path) -> Iterator[ChatRow]:
    """The rows of a JSON lines file; TrainingFailed names the first line that is no chat."""
    decoder = msgspec.json.Decoder(ChatRow)
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.strip():
                continue
            try:
                row = decoder.decode(line)
                if not row.messages or any(not isinstance(one.get("role"), str) for one in row.messages):
                    raise msgspec.ValidationError(
                        "every message needs a role, and there must be at least one"
                    )
            except msgspec.DecodeError as error:
                raise TrainingFailed(
                    "bad_row", f"Line {number} of {path.name} is not a chat: {error}."
                ) from error
            yield row


def tokenise(path: Path, tokenizer: ChatTokenizer, job: Job) -> TokenRows:
    """Tokenise a file under the job's rule for rows that are too long."""
    rows = TokenRows()
    too_long: list[tuple[int, int]] = []
    for number, chat in enumerate(tokenizer.encode(_chats(path, tokenizer, rows)), start=1):
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
    refuse_long(path.name, too_long, job.max_length)
    return rows


def _chats(path: Path, tokenizer: ChatTokenizer, rows: Rows) -> Iterator[Chat]:
    for row in read_rows(path):
        rows.note_unseen(tokenizer.unseen(row.chat))
        yield row.chat


def refuse_long(name: str, too_long: Sequence[tuple[int, int]], limit: int) -> None:
    """TrainingFailed when there are rows (length, number) over the limit."""
    if not too_long:
        return
    longest, number = max(too_long)
    raise TrainingFailed(
        "too_long",
        f"{len(too_long)} rows of {name} are longer than the maximum of {limit} tokens; the longest is row {number} "
        f"with {longest} tokens. Raise the maximum length, or choose to drop or truncate them.",
    )


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


def batches_by_length(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Row numbers in batches of similar length, so that little is padding. For validation, where order is
    free."""
    order = sorted(range(len(lengths)), key=lambda index: lengths[index])
    edges = [*range(0, len(order), size), len(order)]
    return [order[start:end] for start, end in pairwise(edges)]
