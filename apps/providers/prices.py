"""What models cost: the dated list that ships, and what a workspace says itself. No database; unknown stays unknown."""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from pathlib import Path

from apps.core.formatting import SPACE, format_number
from apps.providers.matching import closeness

TRAINING, INPUT, OUTPUT = "training", "input", "output"
KINDS = (TRAINING, INPUT, OUTPUT)
SUPERVISED = "supervised"
PER_TOKENS = 1_000_000
OLD_AFTER_DAYS = 180
_FILE = Path(__file__).with_name("price_list.toml")
_SMALLEST = Decimal("0.0001")


@dataclass(frozen=True, kw_only=True)
class FoundPrice:
    """What one million tokens cost. `pattern` is the entry that it was found under; `own`: the workspace said it."""

    pattern: str
    kind: str
    objective: str
    amount: Decimal
    currency: str
    as_of: date
    source: str
    own: bool = False

    def cost(self, tokens: int) -> Decimal:
        """For so many tokens, to a hundredth of a cent."""
        return (self.amount * tokens / PER_TOKENS).quantize(_SMALLEST, rounding=ROUND_HALF_UP)

    @property
    def text(self) -> str:
        return price_text(self.amount, self.currency)

    def is_old(self, today: date) -> bool:
        return (today - self.as_of).days > OLD_AFTER_DAYS


@dataclass(frozen=True, kw_only=True)
class ListedPrice:
    """An entry of a price list: a price, for whom it counts."""

    provider: str
    host: str
    price: FoundPrice


def price_text(amount: Decimal, currency: str) -> str:
    """All digits of a price, at least two: 3.2 -> "3.20 USD"."""
    digits = max(2, -int(amount.normalize().as_tuple().exponent))
    return f"{format_number(amount, digits)}{SPACE}{currency}"


def cost_text(cost: Decimal, currency: str) -> str:
    """To the cent; what is less is said to be less, not nothing."""
    if 0 < cost < Decimal("0.01"):
        return f"under 0.01{SPACE}{currency}"
    return f"{format_number(cost, 2)}{SPACE}{currency}"


def objective_of(kind: str, objective: str) -> str:
    """Answers cost the same however a model was tuned, so only training prices know an objective."""
    return objective if kind == TRAINING else SUPERVISED


@dataclass(frozen=True)
class PriceBook:
    """Both lists, read once and looked up often."""

    own: Sequence[ListedPrice]
    shipped: Sequence[ListedPrice]

    def find(
        self,
        *,
        provider: str,
        model: str,
        kind: str,
        objective: str = SUPERVISED,
        hosts: Iterable[str] = (),
    ) -> FoundPrice | None:
        """The workspace's own price, else the shipped one, the closest entry of each; None: nobody said.

        `model` is the base model's name, also for answers of what was tuned on it.
        """
        objective = objective_of(kind, objective)
        for prices in (self.own, self.shipped):
            fitting = [
                (closeness(each.price.pattern, model), each.price)
                for each in prices
                if each.provider == provider
                and (not each.host or each.host in hosts)
                and (each.price.kind, each.price.objective) == (kind, objective)
            ]
            best = max(fitting, key=lambda found: found[0], default=None)
            if best is not None and best[0]:
                return best[1]
        return None


@lru_cache(maxsize=1)
def shipped_prices() -> tuple[ListedPrice, ...]:
    read = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return tuple(
        ListedPrice(
            provider=each["provider"],
            host=each.get("host", ""),
            price=FoundPrice(
                pattern=model["model"],
                kind=kind,
                objective=SUPERVISED,
                amount=Decimal(model[kind]),
                currency=each["currency"],
                as_of=each["as_of"],
                source=each["source"],
            ),
        )
        for each in read["list"]
        for model in each["models"]
        for kind in KINDS
        if kind in model
    )
