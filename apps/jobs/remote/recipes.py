"""What a provider is told about a job: its own hyperparameters, checked, and a configuration that says it all."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from apps.datasets.models import Version
from apps.jobs.hyperparameters import HyperparameterError, label
from apps.providers.contracts import Objective
from apps.providers.remote import RemoteNumber, Support


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
    price_date: date | None = None
