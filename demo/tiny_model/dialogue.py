"""What every skill makes: a dialogue, and the source of chance it is made from."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

Item = TypeVar("Item")
# Every sixth phrasing of an instruction is kept out of pre-training, for the general suite.
PHRASING_EVERY, PHRASING_AT = 6, 5


@dataclass(frozen=True)
class Turn:
    role: str
    content: str
    weight: float = 1.0
    """How much the loss of this answer counts in pre-training; 0.15 where the answer cannot be known yet."""


@dataclass(frozen=True)
class Dialogue:
    skill: str
    turns: tuple[Turn, ...]

    def messages(self) -> list[dict[str, str]]:
        return [{"role": turn.role, "content": turn.content} for turn in self.turns]


@dataclass(frozen=True)
class Source:
    """Chance from a seed. With `held_out`, sentences come from the patterns that pre-training never shows."""

    rng: random.Random
    held_out: bool = False

    def phrase(self, options: Sequence[Item]) -> Item:
        """One way to say an instruction; those kept out of pre-training appear only with `held_out`."""
        if self.held_out:
            return self.rng.choice(options)
        seen = [option for i, option in enumerate(options) if i % PHRASING_EVERY != PHRASING_AT]
        return self.rng.choice(seen)


def asked(
    source: Source, instruction: str, questions: list[tuple[str, str]], *, answer_weight: float = 1.0
) -> tuple[Turn, ...]:
    """The instruction as a system turn or joined to the first question, then each question with its answer."""
    turns: list[Turn] = []
    as_system = source.rng.random() < 0.65
    if as_system:
        turns.append(Turn("system", instruction))
    for i, (question, answer) in enumerate(questions):
        lead = ""
        if i == 0 and not as_system:
            lead = instruction + source.rng.choice(("\n", "\n\n", "\nMessage: ", "\n\nText: "))
        turns += [Turn("user", lead + question), Turn("assistant", answer, answer_weight)]
    return tuple(turns)
