"""From preference pairs to token ids and labels: two conversations that begin alike and end in different answers."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from apps.core.chat_tokens import Chat, ChatTokenizer, EncodedChat
from apps.providers.adapters.local.trainer.data import IGNORED, ChatRow, Rows, read_rows, refuse_long
from apps.providers.adapters.local.trainer.job import Job

Side = tuple[list[int], list[int]]
"""Token ids of a conversation and their labels."""
PAIRS_AT_ONCE = 500


@dataclass
class PairRows(Rows):
    """Tokenised pairs; tokens of both conversations are counted. `unpaired` are rows without a rejected answer."""

    chosen: list[Side] = field(default_factory=list)
    rejected: list[Side] = field(default_factory=list)
    unpaired: int = 0

    def __len__(self) -> int:
        return len(self.chosen)

    @property
    def lengths(self) -> list[int]:
        """Of the longer conversation of each pair, which decides how much is padding."""
        return [max(len(a), len(b)) for (a, _), (b, _) in zip(self.chosen, self.rejected, strict=True)]


def tokenise_pairs(path: Path, tokenizer: ChatTokenizer, job: Job) -> PairRows:
    """Tokenise the pairs of a file under the job's rule for rows that are too long; other rows are left out."""
    rows = PairRows()
    too_long: list[tuple[int, int]] = []
    source = enumerate(read_rows(path), start=1)
    while batch := list(islice(_paired(source, rows), PAIRS_AT_ONCE)):
        encoded = tokenizer.encode([chat for _, *both in batch for chat in both])
        for number, *both in batch:
            rows.note_unseen(frozenset().union(*map(tokenizer.unseen, both)))
            chosen, rejected = next(encoded), next(encoded)
            longest = max(len(chosen.ids), len(rejected.ids))
            if longest <= job.max_length or job.too_long == "truncate":
                _add(rows, chosen, rejected, job.max_length)
            elif job.too_long == "drop":
                rows.dropped += 1
            else:
                too_long.append((longest, number))
    refuse_long(path.name, too_long, job.max_length)
    return rows


def _paired(source: Iterator[tuple[int, ChatRow]], rows: PairRows) -> Iterator[tuple[int, Chat, Chat]]:
    """Row number, and the conversation with either answer."""
    for number, row in source:
        if _is_answer(row.rejected):
            rejected = Chat([*row.messages[:-1], *row.rejected], row.chat.tools)
            yield number, row.chat, rejected
        else:
            rows.unpaired += 1


def _is_answer(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(message, dict) and isinstance(message.get("role"), str) for message in value)
    )


def _add(rows: PairRows, chosen: EncodedChat, rejected: EncodedChat, limit: int) -> None:
    """Add a pair cut to its first `limit` tokens, unless no difference of its answers is left to learn from."""
    shared = _shared_tokens(chosen.ids, rejected.ids)
    sides = [_side(chat, shared, limit) for chat in (chosen, rejected)]
    trained = [sum(label != IGNORED for label in labels) for _, labels in sides]
    if not all(trained) or sides[0] == sides[1]:
        rows.dropped += 1
        return
    rows.chosen.append(sides[0])
    rows.rejected.append(sides[1])
    rows.truncated += max(len(chosen.ids), len(rejected.ids)) > limit
    rows.tokens += sum(len(ids) for ids, _ in sides)
    rows.trained_tokens += sum(trained)


def _side(chat: EncodedChat, shared: int, limit: int) -> Side:
    """The answers that reach beyond what both conversations begin with are the pair's; earlier ones are context."""
    ids = chat.ids[:limit]
    labels = [IGNORED] * len(ids)
    for start, end in chat.answers:
        if end > shared:
            labels[start:end] = ids[start:end]
    # The first token is never predicted.
    labels[:1] = [IGNORED] * len(labels[:1])
    return ids, labels


def _shared_tokens(first: list[int], second: list[int]) -> int:
    """How many tokens two conversations begin with alike."""
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return index
    return min(len(first), len(second))
