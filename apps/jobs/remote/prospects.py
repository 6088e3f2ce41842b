"""What is known of a job at a provider before it is sent: what of the data reaches it, its limits, its cost."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from apps.datasets.models import Split, Version
from apps.datasets.version_exports import feature_counts
from apps.jobs.places.finding import data_size
from apps.jobs.places.limits import DPO, Limit, as_sent, limits_of, losses_in, losses_in_words
from apps.jobs.remote.recipes import CostEstimate
from apps.providers.prices import TRAINING, FoundPrice
from apps.providers.remote import Support
from apps.providers.selectors import price_for
from apps.registry.models import BaseModel


@dataclass(frozen=True, kw_only=True)
class Prospect:
    """None is unknown."""

    rows: int
    validation_rows: int
    tokens: int | None
    """Of the training rows, once, by the project's own tokenizer: another model counts its own."""
    epochs: float | None
    """None: the provider decides."""
    cost: CostEstimate | None
    cost_an_epoch: CostEstimate | None
    price: FoundPrice | None
    limits: tuple[Limit, ...]
    losses: tuple[str, ...]
    """What the provider's data format can't carry, a line each."""

    @property
    def problems(self) -> list[str]:
        """Why the provider would refuse it."""
        return [f"The provider {limit.text}." for limit in self.limits if limit.stops]

    @property
    def cautions(self) -> list[str]:
        return [f"The provider {limit.text}." for limit in self.limits if not limit.stops]


def prospect(
    version: Version,
    *,
    base_model: BaseModel,
    objective: str,
    support: Support,
    numbers: Mapping[str, float | int],
) -> Prospect:
    """Nothing is asked of the provider."""
    training, validation = (feature_counts(version, split) for split in (Split.TRAIN, Split.VALIDATION))
    size = as_sent(data_size(version, objective), support.data_format, training, validation)
    price = price_for(
        workspace=base_model.workspace,
        provider=base_model.provider,
        model=base_model.reference,
        kind=TRAINING,
        objective=objective,
        connection=base_model.connection,
    )
    usual = next((number.usual for number in support.numbers if number.name == "epochs"), None)
    epochs = numbers.get("epochs", usual)
    losses = losses_in(support.data_format, Counter(training) + Counter(validation))
    limits = limits_of(support, size)
    if objective == DPO and not size.rows:
        limits = [
            Limit(text="learns from preference pairs, and none of the training rows is one", stops=True)
        ]
    elif not size.rows:
        why = f": all are {' or '.join(losses.reasons)}" if losses is not None and losses.reasons else ""
        limits = [Limit(text=f"can't be sent a single training row of this version{why}", stops=True)]
    return Prospect(
        rows=size.rows,
        validation_rows=size.validation_rows if support.takes_validation else 0,
        tokens=size.tokens,
        epochs=epochs,
        cost=_cost(price, size.tokens, epochs),
        cost_an_epoch=_cost(price, size.tokens, 1),
        price=price,
        limits=tuple(limits),
        losses=tuple(losses_in_words(losses)) if losses is not None else (),
    )


def _cost(price: FoundPrice | None, tokens: int | None, epochs: float | None) -> CostEstimate | None:
    """Providers charge for the tokens of the training rows, as often as they are trained on."""
    if price is None or tokens is None or epochs is None:
        return None
    return CostEstimate(
        amount=price.cost(round(tokens * epochs)), currency=price.currency, price_date=price.as_of
    )
