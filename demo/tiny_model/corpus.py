"""The pre-training corpus: an endless stream of dialogues from a seed, and their packing into rows of tokens."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count

import numpy as np
from tokenizers import Tokenizer

from demo.tiny_model import small_talk, sorting, text_skills
from demo.tiny_model.dialogue import Dialogue, Source

SKILLS: dict[str, Callable[[Source], Dialogue]] = {
    "classify": sorting.classify,
    "name_topic": sorting.name_topic,
    "fields": sorting.fill_fields,
    "few_shot_classify": sorting.learn_from_examples,
    "extract": text_skills.extract,
    "reformat": text_skills.reformat,
    "look_up": text_skills.look_up,
    "answer_from_text": text_skills.answer_from_text,
    "copy": text_skills.copy,
    "pattern": text_skills.continue_pattern,
    "chat": small_talk.chat,
}
# Shares of dialogues, not of tokens. First what needs tokens of the prompt to be copied: without it, that skill comes
# only after 10 million tokens, and everything else waits for it. Then mostly what the demo asks for.
FIRST_DIALOGUES = 12_000
FIRST_MIX = {
    "classify": 0.10,
    "name_topic": 0.02,
    "fields": 0.12,
    "few_shot_classify": 0.14,
    "extract": 0.12,
    "reformat": 0.10,
    "look_up": 0.10,
    "answer_from_text": 0.08,
    "copy": 0.12,
    "pattern": 0.10,
}
MIX = {
    "classify": 0.17,
    "name_topic": 0.18,
    "fields": 0.32,
    "few_shot_classify": 0.07,
    "extract": 0.05,
    "reformat": 0.05,
    "look_up": 0.04,
    "answer_from_text": 0.05,
    "copy": 0.03,
    "pattern": 0.03,
    "chat": 0.01,
}
PROMPT_WEIGHT = 0.1
PROMPT_SHARE = 0.3
SPECIALS = ("<|pad|>", "<|im_start|>", "<|im_end|>")


def dialogues(
    seed: int | str, *, held_out: bool = False, mix: dict[str, float] | None = None
) -> Iterator[Dialogue]:
    """Dialogues without end; the same seed gives the same stream. Without a `mix`, that of pre-training."""
    source = Source(random.Random(f"dialogues-{seed}"), held_out)
    for number in count():
        shares = mix or (FIRST_MIX if number < FIRST_DIALOGUES else MIX)
        name = source.rng.choices(list(shares), list(shares.values()))[0]
        yield SKILLS[name](source)


@dataclass
class Encoded:
    """Tokens of one dialogue; weight[i] is how much predicting token i counts."""

    tokens: list[int]
    weights: list[float]
    skill: str


class Encoder:
    """Turns dialogues into tokens with the same bytes as the chat template of the shipped tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.start, self.end = (tokenizer.token_to_id(name) for name in SPECIALS[1:])
        self.newline = self._plain("\n")

    def _plain(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def encode(self, dialogue: Dialogue, rng: random.Random) -> Encoded:
        tokens: list[int] = []
        weights: list[float] = []
        for turn in dialogue.turns:
            head = [self.start, *self._plain(turn.role + "\n")]
            body = self._plain(turn.content)
            if turn.role == "assistant":
                body_weights = [turn.weight] * (len(body) + 1)
            else:
                body_weights = [PROMPT_WEIGHT if rng.random() < PROMPT_SHARE else 0.0 for _ in body] + [0.0]
            tokens += [*head, *body, self.end, *self.newline]
            weights += [*[0.0] * len(head), *body_weights, *[0.0] * len(self.newline)]
        return Encoded(tokens, weights, dialogue.skill)


@dataclass
class Batch:
    """Rows of several dialogues each. `chosen` are the positions whose next token is scored."""

    tokens: np.ndarray
    document: np.ndarray
    position: np.ndarray
    chosen: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    skill: np.ndarray


class Packer:
    """Fills rows of `length` with whole dialogues, leaving few gaps: what does not fit waits for the next batch."""

    def __init__(self, *, rows: int, length: int, scored: int, patience: int) -> None:
        self.rows, self.length, self.scored, self.patience = rows, length, scored, patience
        self.open: list[list[Encoded]] = [[] for _ in range(rows)]
        self.waiting: list[Encoded] = []

    def room(self, row: list[Encoded]) -> int:
        return self.length - sum(len(e.tokens) for e in row)

    def place(self, encoded: Encoded, *, started_rows_only: bool = False) -> bool:
        """Put the dialogue into the fullest row with room for it; false where there is none."""
        rows = [row for row in self.open if row] if started_rows_only else self.open
        fitting = [row for row in rows if self.room(row) >= len(encoded.tokens)]
        if fitting:
            min(fitting, key=self.room).append(encoded)
        return bool(fitting)

    def add(self, encoded: Encoded) -> Batch | None:
        """Place the dialogue; a batch comes back when too many wait for room."""
        if self.place(encoded):
            return None
        self.waiting.append(encoded)
        if len(self.waiting) < self.patience:
            return None
        batch = self._close()
        self.waiting = [one for one in self.waiting if not self.place(one)]
        return batch

    def _close(self) -> Batch:
        shape = (self.rows, self.length)
        tokens, document = np.zeros(shape, np.int64), np.full(shape, -1, np.int64)
        position, weights = np.zeros(shape, np.int64), np.zeros(shape, np.float32)
        skills = np.zeros(shape, np.int64)
        names = list(SKILLS)
        for r, row in enumerate(self.open):
            at = 0
            for d, one in enumerate(row):
                span = slice(at, at + len(one.tokens))
                tokens[r, span], weights[r, span] = one.tokens, one.weights
                document[r, span], position[r, span] = d, np.arange(len(one.tokens))
                skills[r, span] = names.index(one.skill)
                at += len(one.tokens)
        self.open = [[] for _ in range(self.rows)]
        # weights[i] belongs to token i, which is predicted at i - 1; the first token of a dialogue has weight 0.
        ahead = np.zeros_like(weights)
        ahead[:, :-1] = weights[:, 1:]
        chosen = np.sort(np.argsort(-ahead, axis=1, kind="stable")[:, : self.scored], axis=1)
        take = np.take_along_axis
        following = np.zeros_like(tokens)
        following[:, :-1] = tokens[:, 1:]
        return Batch(
            tokens,
            document,
            position,
            chosen,
            take(following, chosen, 1),
            take(ahead, chosen, 1),
            take(skills, chosen, 1),
        )
