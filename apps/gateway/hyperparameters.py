"""From the protocol's hyperparameters to the trainer's, and back."""

from collections.abc import Mapping
from typing import Any

from apps.gateway.errors import ApiError
from apps.jobs.hyperparameters import Recommended

AUTO = "auto"
LIMITS: dict[str, tuple[float, float, bool]] = {
    "batch_size": (1, 256, True),
    "n_epochs": (1, 50, True),
    "learning_rate_multiplier": (0, 1000, False),
}
"""Lowest, highest, whole numbers only. What is no whole number must be above the lowest."""
DPO = "dpo"
DPO_LIMITS = {**LIMITS, "beta": (0, 2, False)}


def read_hyperparameters(
    given: Mapping[str, Any], *, place: str, method: str = "supervised"
) -> dict[str, Any]:
    """Each value as asked for, `auto` for the rest. Raises ApiError."""
    values: dict[str, Any] = {}
    for name, (low, high, whole) in (DPO_LIMITS if method == DPO else LIMITS).items():
        value = given.get(name)
        if value is None or value == AUTO:
            values[name] = AUTO
            continue
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or (whole and value != int(value)) or not low <= value <= high or value <= 0:
            kind = "a whole number" if whole else "a number above 0"
            bounds = f" from {low:g} to {high:g}" if whole else f" and up to {high:g}"
            raise ApiError(
                f"Invalid value for {name}: it must be 'auto' or {kind}{bounds}, not {value!r}.",
                code="invalid_value",
                param=f"{place}.{name}",
            )
        values[name] = int(value) if whole else float(value)
    return values


def trainer_values(
    asked: Mapping[str, Any], *, seed: int, recommended: Mapping[str, Recommended]
) -> dict[str, Any]:
    """What the trainer is told; what is left out takes its recommended value."""
    values: dict[str, Any] = {"seed": seed}
    if asked["n_epochs"] != AUTO:
        values["epochs"] = float(asked["n_epochs"])
    if asked["batch_size"] != AUTO:
        values["batch_size"] = asked["batch_size"]
    if asked["learning_rate_multiplier"] != AUTO:
        rate = recommended["learning_rate"].value * asked["learning_rate_multiplier"]
        values["learning_rate"] = min(1.0, rate)
    if asked.get("beta", AUTO) != AUTO:
        values["beta"] = asked["beta"]
    return values


def shown_values(asked: Mapping[str, Any], used: Mapping[str, Any] | None) -> dict[str, Any]:
    """As a job shows them: once it was started, the numbers that `auto` came to."""
    if used is None:
        return dict(asked)
    multiplier = asked["learning_rate_multiplier"]
    beta = {"beta": used["beta"]} if "beta" in asked else {}
    return beta | {
        "batch_size": used["batch_size"] * used["gradient_accumulation"],
        "n_epochs": max(1, round(used["epochs"])),
        "learning_rate_multiplier": 1.0 if multiplier == AUTO else multiplier,
    }
