"""What the pages of connections and prices show, line by line."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from apps.providers.catalogue import provider_label
from apps.providers.lifetimes import LifeLeft
from apps.providers.models import Connection
from apps.providers.offered import OfferedModel, offered_models
from apps.providers.prices import KINDS, FoundPrice, shipped_prices
from apps.providers.selectors import life_of_offered

SHOWN = 100
ALL, TRAINABLE, SERVED, ADDED = "", "trainable", "served", "added"


@dataclass(frozen=True)
class ModelLine:
    model: OfferedModel
    life: LifeLeft | None
    added: bool
    """It is a base model of the workspace already."""


@dataclass(frozen=True)
class ModelLines:
    lines: Sequence[ModelLine]
    total: int
    """That fit the search."""
    only: str
    search: str
    filters: Sequence[tuple[str, str, int]]


def model_lines(connection: Connection, *, today: date, search: str, only: str) -> ModelLines:
    """The models of the last listing that fit; those that can be trained first."""
    # Whose rows are above this app: only which names the workspace uses is asked.
    added = set(connection.base_models.values_list("reference", flat=True))
    every = offered_models(connection.offered)
    tests: dict[str, Callable[[OfferedModel], bool]] = {
        ALL: lambda model: True,
        TRAINABLE: lambda model: model.trainable,
        SERVED: lambda model: model.served,
        ADDED: lambda model: model.id in added,
    }
    labels = {ALL: "All", TRAINABLE: "Can be trained", SERVED: "Can be asked", ADDED: "In the workspace"}
    only = only if only in tests else ALL
    words = search.casefold().split()
    found = [
        model
        for model in every
        if tests[only](model)
        and all(word in f"{model.id} {model.label} {model.owner}".casefold() for word in words)
    ]
    return ModelLines(
        lines=[
            ModelLine(model, life_of_offered(connection, model, today=today), model.id in added)
            for model in found[:SHOWN]
        ],
        total=len(found),
        only=only,
        search=search,
        filters=[(key, labels[key], sum(map(test, every))) for key, test in tests.items()],
    )


@dataclass(frozen=True)
class ShippedLine:
    """The shipped prices of one model, in the order of `KINDS`."""

    provider: str
    host: str
    pattern: str
    as_of: date
    source: str
    prices: Sequence[FoundPrice | None]


def shipped_lines() -> list[ShippedLine]:
    """A line for every model of the list that ships, as it stands there."""
    lines = []
    for (provider, host, pattern), group in groupby(
        shipped_prices(), key=lambda each: (each.provider, each.host, each.price.pattern)
    ):
        prices = {each.price.kind: each.price for each in group}
        first = next(iter(prices.values()))
        lines.append(
            ShippedLine(
                provider=provider_label(provider),
                host=host,
                pattern=pattern,
                as_of=first.as_of,
                source=first.source,
                prices=[prices.get(kind) for kind in KINDS],
            )
        )
    return lines
