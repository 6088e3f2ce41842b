"""Which token comes next, and how likely the alternatives were."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Sampling:
    """Temperature 0 is greedy. Penalties as OpenAI defines them: subtracted from the logits, `frequency` times the
    number of times that a token was said before in the answer, `presence` once."""

    temperature: float = 0.0
    top_p: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0

    @property
    def is_greedy(self) -> bool:
        return self.temperature == 0 and not (self.frequency_penalty or self.presence_penalty)


@dataclass(frozen=True)
class Chance:
    """A candidate for a place in the answer. `text` is all that the token alone spells."""

    text: str
    logarithm: float


@dataclass(frozen=True)
class TokenChance:
    chosen: Chance
    top: tuple[Chance, ...]


def choose(
    logits: torch.Tensor, sampling: Sampling, said: Sequence[int], random: torch.Generator | None
) -> torch.Tensor:
    """The next token, as a tensor of one."""
    logits = _penalised(logits, sampling, said)
    if sampling.temperature == 0:
        return logits.argmax(-1, keepdim=True).cpu()
    probabilities = torch.softmax(logits.float() / sampling.temperature, -1).cpu()
    if sampling.top_p < 1:
        probabilities = _keep_top(probabilities, sampling.top_p)
    return torch.multinomial(probabilities, 1, generator=random)


def chances(logits: torch.Tensor, token: int, count: int, decode: Callable[[list[int]], str]) -> TokenChance:
    """The logarithms of the model's own probabilities, before temperature and penalties."""
    logarithms = torch.log_softmax(logits.float(), -1)
    chosen = Chance(decode([token]), float(logarithms[token]))
    if not count:
        return TokenChance(chosen, ())
    values, places = logarithms.topk(count)
    top = tuple(
        Chance(decode([place]), value) for place, value in zip(places.tolist(), values.tolist(), strict=True)
    )
    return TokenChance(chosen, top)


def _penalised(logits: torch.Tensor, sampling: Sampling, said: Sequence[int]) -> torch.Tensor:
    if not said or not (sampling.frequency_penalty or sampling.presence_penalty):
        return logits
    counts = Counter(said)
    places = torch.tensor(list(counts), device=logits.device)
    times = torch.tensor(list(counts.values()), device=logits.device, dtype=logits.dtype)
    lowered = logits.clone()
    lowered[places] -= sampling.frequency_penalty * times + sampling.presence_penalty
    return lowered


def _keep_top(probabilities: torch.Tensor, top_p: float) -> torch.Tensor:
    """Zero all but the most likely tokens that together reach `top_p` (nucleus sampling, Holtzman et al.
    2020)."""
    ordered, order = probabilities.sort(descending=True)
    beyond = ordered.cumsum(-1) - ordered >= top_p
    return torch.zeros_like(probabilities).scatter(-1, order, ordered.masked_fill(beyond, 0.0))
