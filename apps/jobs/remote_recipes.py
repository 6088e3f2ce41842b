"""What a provider is told about a job, and what is known beforehand of how it will go: its data, losses and cost."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from apps.datasets.exports import FORMATS
from apps.datasets.models import Version
from apps.datasets.provider_formats import FEATURES, PAIR, PROVIDER_FORMATS
from apps.datasets.version_exports import feature_counts
from apps.jobs.hyperparameters import HyperparameterError, label
from apps.providers.contracts import Objective
from apps.providers.remote import RemoteNumber, Support

CENT = Decimal("0.0001")
MILLION = Decimal(1_000_000)


@dataclass(frozen=True, kw_only=True)
class Loss:
    """Rows that lose something on the way to a provider, in words."""

    rows: int
    what: str


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What of a version's rows reaches the provider."""

    left_out: int
    dropped: tuple[Loss, ...]


def carried_rows(version: Version, data_format: str) -> Carried:
    """What the data format of a provider leaves out of the version, over all its splits."""
    counts = feature_counts(version)
    if data_format in FORMATS:
        pairs = sum(rows for joined, rows in counts.items() if PAIR in joined.split(","))
        left_out = version.row_count - pairs if data_format == "preference" else 0
        return Carried(left_out=left_out, dropped=())
    losses = PROVIDER_FORMATS[data_format].losses(counts)
    return Carried(
        left_out=losses.left_out,
        dropped=tuple(Loss(rows=rows, what=FEATURES[name]) for name, rows in losses.dropped.items()),
    )


def remote_numbers(given: Mapping[str, Any], support: Support) -> dict[str, float | int]:
    """What the person chose, checked against what the provider takes; what is left out is the provider's choice.

    Raises HyperparameterError.
    """
    known = {number.name: number for number in support.numbers}
    values: dict[str, float | int] = {}
    for name, value in given.items():
        if value is None:
            continue
        number = known.get(name)
        if number is None:
            raise HyperparameterError(name, f"The provider takes no “{label(name)}” for this model.")
        values[name] = _read(number, value)
    return values


def _read(number: RemoteNumber, value: Any) -> float | int:
    name = label(number.name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise HyperparameterError(number.name, f"{name} must be a number, not {value!r}.")
    if number.whole and value != int(value):
        raise HyperparameterError(number.name, f"{name} must be a whole number, not {value}.")
    if not number.low <= value <= number.high:
        raise HyperparameterError(
            number.name, f"{name} must be between {number.low:g} and {number.high:g}, not {value:g}."
        )
    return int(value) if number.whole else float(value)


def remote_configuration(
    *,
    version: Version,
    provider: str,
    reference: str,
    objective: Objective,
    numbers: Mapping[str, float | int],
    data_format: str,
    seed: int | None,
    suffix: str,
) -> dict[str, Any]:
    """Everything that decides what comes out of the training, as far as it is ours to decide."""
    return {
        "base_model": {"provider": provider, "reference": reference},
        "data": {"manifest_hash": version.manifest_hash, "format": data_format},
        "replay": None,
        "method": "managed",
        "objective": objective,
        "hyperparameters": dict(numbers),
        "seed": seed,
        "suffix": suffix,
    }


def plain_suffix(name: str) -> str:
    """A name as providers take it into the name of a model: lower case letters, digits and hyphens, at most 18."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:18].strip("-")


@dataclass(frozen=True, kw_only=True)
class CostEstimate:
    """Money for a training, with the date of the price it stands on."""

    amount: Decimal
    currency: str
    tokens: int
    price_date: date | None = None


def estimated_cost(*, tokens: int, epochs: float, price: Decimal, currency: str, as_of: date) -> CostEstimate:
    """Tokens of the training rows times epochs times the price of a million: how providers charge for training."""
    trained = round(tokens * epochs)
    amount = (price * trained / MILLION).quantize(CENT, rounding=ROUND_HALF_UP)
    return CostEstimate(amount=amount, currency=currency, tokens=trained, price_date=as_of)
