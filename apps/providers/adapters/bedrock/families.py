"""How each family of models on Bedrock is trained.

Names, bounds and usual values: "Custom model hyperparameters" in the Amazon Bedrock user guide, seen 2026-11-21 for
Nova, Llama and Claude 3; shapes and numbers of rows, which count training and validation together: "Prepare data for
fine-tuning your models". For Nova that page names no numbers, so none are held here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from apps.providers.contracts import Objective
from apps.providers.remote import RemoteNumber, Support

AWS_NAMES = {
    "epochs": "epochCount",
    "batch_size": "batchSize",
    "learning_rate": "learningRate",
    "learning_rate_multiplier": "learningRateMultiplier",
    "early_stopping_patience": "earlyStoppingPatience",
}
"""Ours -> Bedrock's."""
GIGABYTE = 1_000_000_000
_PICTURES = ("amazon.nova-canvas", "amazon.nova-reel", "amazon.nova-sonic", "amazon.titan")
_OTHER_SHAPES = ("cohere.", "ai21.", "stability.", "meta.llama3-1")
"""Their rows are prompt and completion, or no text."""
_LENGTH = re.compile(r":\d+k$")


@dataclass(frozen=True)
class _Family:
    prefix: str
    support: Support


_FAMILIES = (
    _Family(
        "anthropic.",
        Support(
            data_format="bedrock-claude",
            numbers=(
                RemoteNumber(name="epochs", low=1, high=10, usual=2, whole=True),
                RemoteNumber(name="batch_size", low=4, high=256, usual=32, whole=True),
                RemoteNumber(name="learning_rate_multiplier", low=0.1, high=2, usual=1),
                RemoteNumber(name="early_stopping_patience", low=1, high=10, usual=2, whole=True),
            ),
            fewest_rows=32,
            most_rows=10_000,
            counts_both=True,
            most_validation_rows=1_000,
            most_bytes=10 * GIGABYTE,
            most_tokens_a_row=32_000,
            refuses_long_rows=True,
            note="Claude 3 Haiku is near its end of life: its tuned models go with it.",
        ),
    ),
    _Family(
        "amazon.nova",
        Support(
            data_format="bedrock",
            numbers=(
                RemoteNumber(name="epochs", low=1, high=5, usual=2, whole=True),
                RemoteNumber(name="learning_rate", low=1e-6, high=1e-4, usual=1e-5),
            ),
            note="Rows must not begin with, or hold, the words User:, Bot:, Assistant:, System: or [EOS].",
        ),
    ),
    _Family(
        "meta.llama",
        Support(
            data_format="bedrock",
            numbers=(
                RemoteNumber(name="epochs", low=1, high=10, usual=5, whole=True),
                RemoteNumber(name="batch_size", low=1, high=1, usual=1, whole=True),
                RemoteNumber(name="learning_rate", low=5e-6, high=0.1, usual=1e-4),
            ),
            fewest_rows=100,
            most_rows=10_000,
            counts_both=True,
            most_tokens_a_row=16_000,
            refuses_long_rows=True,
        ),
    ),
)
_UNKNOWN = Support(
    data_format="bedrock",
    note="Bedrock publishes no bounds for this model's settings: it is trained with Bedrock's own.",
)


def model_id(name: str) -> str:
    """The model's id in an id, an ARN of a foundation model or of a custom model."""
    if not name.startswith("arn:"):
        return name
    _, _, rest = name.partition("foundation-model/")
    if not rest:
        _, _, rest = name.partition("custom-model/")
    return rest.split("/")[0]


def askable_id(name: str) -> str:
    """The id that chats are asked with: a model that is trained may carry a context length that chats don't know."""
    return name if name.startswith("arn:") else _LENGTH.sub("", name)


def support_of(base_model: str, objective: Objective) -> Support | None:
    name = model_id(base_model)
    if objective != "supervised" or "." not in name or name.startswith(_PICTURES + _OTHER_SHAPES):
        return None
    return next((family.support for family in _FAMILIES if name.startswith(family.prefix)), _UNKNOWN)


def aws_hyperparameters(chosen: Mapping[str, float]) -> dict[str, str]:
    """Bedrock takes them as texts; no exponents, which not every model's parser reads."""
    return {AWS_NAMES[name]: _text(value) for name, value in chosen.items() if name in AWS_NAMES}


def _text(value: float) -> str:
    return format(Decimal(repr(value)).normalize(), "f")
