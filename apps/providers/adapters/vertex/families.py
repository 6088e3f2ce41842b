"""How Gemini models are tuned on Vertex AI, and how long they live.

Limits: "About supervised fine-tuning for Gemini models" and "About preference tuning for Gemini models"; models: the
reference of the tuning API; ends: "Model versions and lifecycle". All of Google Cloud's documentation, seen
2026-11-22. Google publishes no bounds for epochs, learning rate multiplier and beta: those here only catch slips.
"""

import re
from datetime import date

from apps.providers.contracts import Objective, Problem
from apps.providers.remote import RemoteNumber, RemoteRequest, Support

TUNABLE = (
    "gemini-3.5-flash", "gemini-3.5-flash-lite", "gemini-3.1-flash-lite",
    "gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite",
)  # fmt: skip
"""Models that Google names as tunable; others that are named alike are tried."""
ENDS = {name: date(2026, 10, 16) for name in TUNABLE if name.startswith("gemini-2.5")}
"""The day as it was listed. Google may put such a day off, and never brings it forward."""
PREFERENCE = tuple(name for name in TUNABLE if not name.endswith("-pro"))
ADAPTER_SIZES = {
    1: "ADAPTER_SIZE_ONE",
    2: "ADAPTER_SIZE_TWO",
    4: "ADAPTER_SIZE_FOUR",
    8: "ADAPTER_SIZE_EIGHT",
    16: "ADAPTER_SIZE_SIXTEEN",
}
USEFUL_ROWS = 100
_GEMINI = re.compile(r"gemini-\d+(\.\d+)?-(pro|flash|flash-lite)(-\d{3})?")
_TUNED_BEFORE = re.compile(r"projects/[^/]+/locations/[^/]+/models/[^/]+")
_NUMBERS = (
    RemoteNumber(name="epochs", low=1, high=100, whole=True),
    RemoteNumber(name="learning_rate_multiplier", low=0.001, high=10, usual=1),
    RemoteNumber(name="lora_rank", low=1, high=16, whole=True),
)
_SUPERVISED = Support(
    data_format="gemini",
    numbers=_NUMBERS,
    most_rows=1_000_000,
    most_validation_rows=5_000,
    most_bytes=1_000_000_000,
    most_tokens_a_row=131_072,
)
_PAIRS = Support(
    data_format="gemini-preference",
    numbers=(*_NUMBERS, RemoteNumber(name="beta", low=0.001, high=10)),
    most_rows=10_000_000,
    most_validation_rows=5_000,
    most_bytes=1_000_000_000,
    most_tokens_a_row=131_072,
    note="Google advises to tune on the preferred answers first, and on pairs after that.",
)


def model_name(base_model: str) -> str:
    """The bare name of a model that may be written as Google lists it."""
    return base_model.removeprefix("publishers/google/models/").removeprefix("models/")


def support_of(base_model: str, objective: Objective) -> Support | None:
    """A model that was tuned before, by its resource name, can be tuned on."""
    name = model_name(base_model)
    if not _GEMINI.fullmatch(name) and not _TUNED_BEFORE.fullmatch(name):
        return None
    if objective == "supervised":
        return _SUPERVISED
    return None if re.fullmatch(r"gemini-[\d.]+-pro(-\d{3})?", name) else _PAIRS


def own_problems(request: RemoteRequest, rows: int) -> list[Problem]:
    """What the shared limits can't say."""
    found = []
    end = ENDS.get(model_name(request.base_model))
    if end is not None:
        found.append(
            Problem(
                code="base_model_ends",
                field="base_model",
                severity="warning",
                message=f"Google listed {end:%-d %B %Y} as the last day of this model, and may refuse it. Models that"
                " are tuned from it end with it.",
            )
        )
    rank = request.hyperparameters.get("lora_rank")
    if rank is not None and rank not in ADAPTER_SIZES and 1 <= rank <= 16:
        found.append(
            Problem(
                code="hyperparameter_out_of_range",
                field="lora_rank",
                message="“lora_rank” must be 1, 2, 4, 8 or 16 on Vertex AI.",
            )
        )
    if rows < USEFUL_ROWS:
        found.append(
            Problem(
                code="few_rows",
                severity="warning",
                message=f"Google advises to start with {USEFUL_ROWS} rows; there are {rows}.",
            )
        )
    return found
