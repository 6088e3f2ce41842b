"""What Together is asked for: a request of ours in the words of its client, and what its limits say about it."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from apps.providers.contracts import Objective, Problem
from apps.providers.remote import DataFacts, RemoteNumber, RemoteRequest, Support

if TYPE_CHECKING:
    from together.types.finetune_model_limits import FinetuneModelLimits

LABEL = "Together AI"
MOST_BYTES = int(50.1 * 2**30)
"""Larger files are refused by its client."""
LONGEST_SUFFIX = 40
USUAL_EPOCHS = 1
USUAL_EVALUATIONS = 10
WARM_UP_EVALUATIONS = 1
"""Evaluations that early stopping does not look at, as the provider sets it where nothing is said."""

_NUMBERS = (
    RemoteNumber(name="epochs", low=1, high=20, usual=USUAL_EPOCHS, whole=True),
    RemoteNumber(name="batch_size", low=1, high=1024, whole=True),
    RemoteNumber(name="learning_rate", low=1e-8, high=0.01, usual=1e-5),
    RemoteNumber(name="warmup_ratio", low=0, high=1, usual=0),
    RemoteNumber(name="weight_decay", low=0, high=1, usual=0),
    RemoteNumber(name="checkpoints", low=1, high=50, usual=1, whole=True),
    RemoteNumber(name="early_stopping_patience", low=1, high=50, whole=True),
)
_LORA = (
    RemoteNumber(name="lora_rank", low=1, high=256, whole=True),
    RemoteNumber(name="lora_alpha", low=1, high=1024, whole=True),
    RemoteNumber(name="lora_dropout", low=0, high=0.99, usual=0),
)
_BETA = RemoteNumber(name="beta", low=0.0001, high=10)


def support_of(objective: Objective, *, lora: bool) -> Support:
    """The widest limits of any model; those of one model are asked for when a request is checked."""
    return Support(
        data_format="together-preference" if objective == "dpo" else "together",
        numbers=_NUMBERS + (_LORA if lora else ()) + ((_BETA,) if objective == "dpo" else ()),
        takes_seed=True,
        most_bytes=MOST_BYTES,
        note="The tuned model answers only on a dedicated endpoint, which Together bills by the minute.",
    )


def tag_of(job_key: str) -> str:
    """What stands at the end of a job's suffix, so that it is found again: Together keeps nothing else of ours."""
    return "ftp" + hashlib.sha256(job_key.encode()).hexdigest()[:13]


def suffix_of(request: RemoteRequest) -> str:
    tag = tag_of(request.job_key)
    asked = re.sub(r"[^a-zA-Z0-9-]+", "-", request.suffix).strip("-")[: LONGEST_SUFFIX - len(tag) - 1]
    return f"{asked.rstrip('-')}-{tag}" if asked else tag


def evaluations_of(request: RemoteRequest) -> int:
    """How often the validation file is looked at; early stopping needs one more than it waits for, and a warm-up."""
    if not request.validation_file:
        return 0
    patience = int(request.hyperparameters.get("early_stopping_patience", 0))
    return max(USUAL_EVALUATIONS, patience + WARM_UP_EVALUATIONS + 1 if patience else 0)


def creation_of(request: RemoteRequest, *, lora: bool) -> dict[str, Any]:
    """The arguments of `fine_tuning.create`."""
    numbers = request.hyperparameters
    asked: dict[str, Any] = {
        "model": request.base_model,
        "training_file": request.training_file,
        "validation_file": request.validation_file or "",
        "n_epochs": int(numbers.get("epochs", USUAL_EPOCHS)),
        "n_evals": evaluations_of(request),
        "n_checkpoints": int(numbers.get("checkpoints", 1)),
        "suffix": suffix_of(request),
        "lora": lora,
        "training_method": "dpo" if request.objective == "dpo" else "sft",
        "random_seed": request.seed,
    }
    if request.objective == "supervised":
        asked["train_on_inputs"] = "auto"
    if "early_stopping_patience" in numbers:
        asked["early_stopping_enabled"] = True
    for ours, (theirs, whole) in _NAMES.items():
        if ours in numbers:
            asked[theirs] = int(numbers[ours]) if whole else numbers[ours]
    return asked


_NAMES = {
    "batch_size": ("batch_size", True),
    "learning_rate": ("learning_rate", False),
    "warmup_ratio": ("warmup_ratio", False),
    "weight_decay": ("weight_decay", False),
    "early_stopping_patience": ("early_stopping_patience", True),
    "lora_rank": ("lora_r", True),
    "lora_alpha": ("lora_alpha", True),
    "lora_dropout": ("lora_dropout", False),
    "beta": ("dpo_beta", False),
}


def pricing_of(request: RemoteRequest, *, lora: bool, limits: "FinetuneModelLimits") -> Mapping[str, Any]:
    """The arguments of `fine_tuning.estimate_price`, for what `creation_of` would create."""
    numbers = request.hyperparameters
    rank = int(numbers.get("lora_rank", limits.lora_training.default_rank))
    low_rank = {
        "type": "Lora",
        "lora_r": rank,
        "lora_alpha": int(numbers.get("lora_alpha", 2 * rank)),
        "lora_dropout": numbers.get("lora_dropout", 0.0),
    }
    asked: dict[str, Any] = {
        "model": request.base_model,
        "training_file": request.training_file,
        "n_epochs": int(numbers.get("epochs", USUAL_EPOCHS)),
        "n_evals": evaluations_of(request),
        "training_type": low_rank if lora else {"type": "Full"},
        "training_method": {"method": "dpo"}
        if request.objective == "dpo"
        else {"method": "sft", "train_on_inputs": "auto"},
    }
    if request.validation_file:
        asked["validation_file"] = request.validation_file
    return asked


def problems_with(
    limits: "FinetuneModelLimits", request: RemoteRequest, data: DataFacts, *, lora: bool
) -> Iterator[Problem]:
    """What the limits of the model itself forbid."""
    if not lora and not limits.supports_full_training:
        yield Problem(
            code="full_training_not_offered",
            message=f"{LABEL} trains only LoRA adapters of {request.base_model}. Choose LoRA in the connection.",
            field="base_model",
        )
    for number in _limited(limits, request.objective, lora):
        value = request.hyperparameters.get(number.name)
        if value is not None and not number.low <= value <= number.high:
            yield Problem(
                code="hyperparameter_out_of_range",
                message=f"“{number.name}” of {request.base_model} may be {number.low:g} to {number.high:g}, and not "
                f"{value:g}.",
                field=number.name,
            )
    if evaluations_of(request) > limits.max_num_evals:
        yield Problem(
            code="too_many_evaluations",
            message=f"{LABEL} evaluates this model at most {limits.max_num_evals} times in a job. Wait for fewer "
            "evaluations before stopping early.",
            field="early_stopping_patience",
        )
    longest = limits.max_seq_length_dpo if request.objective == "dpo" else limits.max_seq_length_sft
    if data.longest_row_tokens is not None and data.longest_row_tokens > longest:
        yield Problem(
            code="row_too_long",
            message=f"{LABEL} trains this model on at most {longest} tokens of a row; the longest has "
            f"{data.longest_row_tokens}.",
            field="training_file",
            severity="warning",
        )


def early_stopping_problems(request: RemoteRequest) -> Iterator[Problem]:
    if "early_stopping_patience" in request.hyperparameters and not request.validation_file:
        yield Problem(
            code="needs_validation",
            message=f"{LABEL} can stop early only if it has a validation file to look at.",
            field="early_stopping_patience",
        )


def _limited(limits: "FinetuneModelLimits", objective: Objective, lora: bool) -> Iterator[RemoteNumber]:
    batches = limits.lora_training if lora else limits.full_training
    if batches is not None:
        most = batches.max_batch_size_dpo if objective == "dpo" else batches.max_batch_size
        yield RemoteNumber(name="batch_size", low=batches.min_batch_size, high=most, whole=True)
    yield RemoteNumber(name="epochs", low=1, high=limits.max_num_epochs, whole=True)
    yield RemoteNumber(name="checkpoints", low=1, high=limits.max_num_checkpoints, whole=True)
    yield RemoteNumber(name="learning_rate", low=limits.min_learning_rate, high=limits.max_learning_rate)
    if lora:
        yield RemoteNumber(name="lora_rank", low=1, high=limits.lora_training.max_rank, whole=True)
