"""What a training run can be told: names, limits, and the values recommended for a model and an amount of data.

Sources of the recommendations: about 1e-5 for full fine-tuning and ten times more for LoRA on models of
billions of parameters, 1 to 3 epochs (fewer with more rows); small models take, and need, larger steps.

DPO: beta 0.1 and 1e-6 for full fine-tuning are the values of its paper (Rafailov et al. 2023, appendix B) and the
defaults of TRL, whose own examples also take ten times more for LoRA. 1e-6 is a tenth of the supervised rate of such
a model, and the same tenth is taken for the other sizes.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from apps.core.errors import PortalError

SMALL_PARAMETERS = 50_000_000
LARGE_PARAMETERS = 1_000_000_000
STEPS_WANTED_AN_EPOCH = 20
LENGTH_WITHOUT_CONTEXT = 1024
LONGEST_RECOMMENDED = 4096
METHODS = ("lora", "full")
OBJECTIVES = ("supervised", "dpo")
DPO = "dpo"


class HyperparameterError(PortalError):
    """A value that training can't work with. `field` names it."""

    code = "invalid_hyperparameter"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, kw_only=True)
class Recommended:
    value: Any
    reason: str


@dataclass(frozen=True, kw_only=True)
class Number:
    """A number with its limits, both included; `above`: the lower one is not."""

    kind: type[int] | type[float]
    low: float
    high: float
    optional: bool = False
    above: bool = False

    def read(self, name: str, value: Any) -> int | float | None:
        if value is None and self.optional:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise HyperparameterError(name, f"{label(name)} must be a number, not {value!r}.")
        if self.kind is int and value != int(value):
            raise HyperparameterError(name, f"{label(name)} must be a whole number, not {value}.")
        if not self.low <= value <= self.high or (self.above and value == self.low):
            low, high = _plain(self.low), _plain(self.high)
            limits = f"above {low}, up to {high}" if self.above else f"between {low} and {high}"
            raise HyperparameterError(name, f"{label(name)} must be {limits}, not {_plain(value)}.")
        return self.kind(value)


def _plain(value: float) -> str:
    """With all digits of a whole number that a person may have typed."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else f"{value:g}"


@dataclass(frozen=True, kw_only=True)
class Choice:
    values: tuple[str, ...]

    def read(self, name: str, value: Any) -> str:
        if value not in self.values:
            known = ", ".join(self.values)
            raise HyperparameterError(name, f"{label(name)} must be one of {known}, not {value!r}.")
        return str(value)


FIELDS: dict[str, Number | Choice] = {
    "epochs": Number(kind=float, low=0.01, high=100),
    "max_steps": Number(kind=int, low=1, high=10_000_000, optional=True),
    "batch_size": Number(kind=int, low=1, high=1024),
    "gradient_accumulation": Number(kind=int, low=1, high=1024),
    "learning_rate": Number(kind=float, low=1e-8, high=1.0),
    "scheduler": Choice(values=("cosine", "linear", "constant")),
    "warmup_ratio": Number(kind=float, low=0, high=0.5),
    "weight_decay": Number(kind=float, low=0, high=1),
    "max_grad_norm": Number(kind=float, low=0, high=100),
    "max_length": Number(kind=int, low=8, high=1_000_000),
    "too_long": Choice(values=("drop", "truncate", "refuse")),
    "evaluation_steps": Number(kind=int, low=1, high=1_000_000, optional=True),
    "logging_steps": Number(kind=int, low=1, high=10_000),
    "save_total_limit": Number(kind=int, low=1, high=100),
    "early_stopping_patience": Number(kind=int, low=1, high=100, optional=True),
    "seed": Number(kind=int, low=0, high=2**32 - 1),
    "replay_rows": Number(kind=int, low=0, high=1_000_000),
    "lora_rank": Number(kind=int, low=1, high=1024),
    "lora_alpha": Number(kind=int, low=1, high=4096),
    "lora_dropout": Number(kind=float, low=0, high=0.9),
    "beta": Number(kind=float, low=0, high=2, above=True),
}
LORA_FIELDS = ("lora_rank", "lora_alpha", "lora_dropout")
DPO_FIELDS = ("beta",)

LABELS = {
    "epochs": "Epochs",
    "max_steps": "Maximum steps",
    "batch_size": "Batch size",
    "gradient_accumulation": "Gradient accumulation",
    "learning_rate": "Learning rate",
    "learning_rate_multiplier": "Learning rate multiplier",
    "scheduler": "Scheduler",
    "warmup_ratio": "Warm-up share",
    "weight_decay": "Weight decay",
    "max_grad_norm": "Maximum gradient norm",
    "max_length": "Maximum length",
    "too_long": "Rows that are too long",
    "evaluation_steps": "Evaluation every",
    "logging_steps": "Report every",
    "save_total_limit": "Checkpoints kept",
    "early_stopping_patience": "Early stopping patience",
    "seed": "Seed",
    "replay_rows": "General data mixed in",
    "lora_rank": "LoRA rank",
    "lora_alpha": "LoRA alpha",
    "lora_dropout": "LoRA dropout",
    "method": "Method",
    "objective": "Learn from",
    "beta": "Beta",
}


def label(name: str) -> str:
    return LABELS.get(name, name)


_LEFT_OUT = ("drop", "a cut answer teaches the model to stop in the middle")


def recommend(
    *,
    method: str,
    parameters: int | None,
    context_length: int | None,
    rows: int | None,
    too_long: str = "",
    objective: str = "supervised",
) -> dict[str, Recommended]:
    """A value and its reason for every field. An unknown model size is treated like a large one: too small a
    learning rate costs time, too large a one costs the model."""
    small = parameters is not None and parameters < SMALL_PARAMETERS
    size = (
        "medium" if parameters is not None and SMALL_PARAMETERS <= parameters < LARGE_PARAMETERS else "large"
    )
    rates = {"small": (2e-3, 5e-4), "medium": (5e-4, 5e-5), "large": (1e-4, 1e-5)}
    lora_rate, full_rate = rates["small" if small else size]
    sizes = {
        "small": "a model under 50 million parameters",
        "medium": "a model of 50 million to 1 billion parameters",
        "large": "a model of 1 billion parameters or more" if parameters else "a model of unknown size",
    }
    of_size = sizes["small" if small else size]
    method_words = "LoRA" if method == "lora" else "full fine-tuning"
    rate = lora_rate if method == "lora" else full_rate
    if objective == DPO:
        rate, method_words = rate / 10, f"DPO with {method_words}, a tenth of the supervised rate,"
    epochs, epochs_reason = _epochs(small=small, rows=rows)
    batch, batch_reason = _batch_size(small=small, rows=rows)
    length = min(context_length or LENGTH_WITHOUT_CONTEXT, LONGEST_RECOMMENDED)
    plain: dict[str, tuple[Any, str]] = {
        "epochs": (epochs, epochs_reason),
        "learning_rate": (rate, f"for {method_words} on {of_size}"),
        "batch_size": (batch, batch_reason),
        "lora_rank": (16, "enough for a focused task; 8 saves memory, 32 and more suits broad ones"),
        "lora_alpha": (32, "twice the rank"),
        "lora_dropout": (0.0, "raise it when training overfits"),
        "gradient_accumulation": (1, "raise it where a batch does not fit into memory"),
        "scheduler": ("cosine", "the learning rate falls smoothly to zero"),
        "warmup_ratio": (0.03, "share of the steps in which the learning rate rises"),
        "weight_decay": (0.0, "for LoRA") if method == "lora" else (0.01, "for full fine-tuning"),
        "max_grad_norm": (1.0, "larger gradients are scaled down to this norm"),
        "max_length": (length, "the context length of the model" if context_length else "no context length is known"),
        "too_long": (too_long, "decided when the data was checked") if too_long else _LEFT_OUT,
        "max_steps": (None, "the epochs decide"),
        "evaluation_steps": (None, "ten times over the run"),
        "logging_steps": (1, "every step is a point of the curve"),
        "save_total_limit": (3, "the best one is kept besides"),
        "early_stopping_patience": (None, "off: the best checkpoint is kept in any case"),
        "seed": (42, "the same seed gives the same order of rows"),
        "replay_rows": (0, "mix in some when the model must not forget its general skills"),
        "beta": (0.1, "as in the paper on DPO; larger holds the model closer to the one it starts from"),
    }  # fmt: skip
    return {name: Recommended(value=value, reason=reason) for name, (value, reason) in plain.items()}


def _epochs(*, small: bool, rows: int | None) -> tuple[float, str]:
    if small:
        return 3.0, "a small model needs to see its data a few times"
    if rows is None or rows < 500:
        return 3.0, "for fewer than 500 rows"
    if rows <= 2000:
        return 2.0, "for 500 to 2 000 rows"
    return 1.0, "for more than 2 000 rows"


def _batch_size(*, small: bool, rows: int | None) -> tuple[int, str]:
    usual = 16 if small else 8
    if rows is None or rows >= usual * STEPS_WANTED_AN_EPOCH:
        return usual, "small models fit many rows at once" if small else "fits most machines"
    size = 1
    while size * 2 * STEPS_WANTED_AN_EPOCH <= rows and size < usual:
        size *= 2
    return size, f"so that an epoch of {rows} rows has about {STEPS_WANTED_AN_EPOCH} steps or more"


def resolve(
    given: Mapping[str, Any],
    *,
    method: str,
    recommended: Mapping[str, Recommended],
    objective: str = "supervised",
) -> dict[str, Any]:
    """All fields of one run: what was given, checked, and the recommended value for the rest.

    Raises HyperparameterError. LoRA's own fields are None for full fine-tuning; those of DPO are there for DPO only.
    """
    if method not in METHODS:
        raise HyperparameterError("method", f"The method must be lora or full, not {method!r}.")
    if objective not in OBJECTIVES:
        raise HyperparameterError("objective", f"The objective must be supervised or dpo, not {objective!r}.")
    unknown = sorted(set(given) - set(FIELDS))
    if unknown:
        raise HyperparameterError(unknown[0], f"There is no hyperparameter “{unknown[0]}”.")
    values: dict[str, Any] = {}
    for name, field in FIELDS.items():
        if method == "full" and name in LORA_FIELDS:
            values[name] = None
            continue
        if objective != DPO and name in DPO_FIELDS:
            if given.get(name) is not None:
                raise HyperparameterError(name, f"{label(name)} is a setting of DPO; leave it out.")
            continue
        read: Callable[[str, Any], Any] = field.read
        values[name] = read(name, given.get(name, _default(name, given, recommended)))
    if objective == DPO and values["replay_rows"]:
        raise HyperparameterError(
            "replay_rows", "General rows are no preference pairs, so DPO can't mix them in. Set it to 0."
        )
    return values


def _default(name: str, given: Mapping[str, Any], recommended: Mapping[str, Recommended]) -> Any:
    if name == "lora_alpha" and given.get("lora_rank") is not None:
        return 2 * given["lora_rank"]
    return recommended[name].value
