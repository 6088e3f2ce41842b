"""What is known about the models of OpenAI itself. Other servers train what they list."""

from datetime import date

from apps.providers.contracts import Objective, Problem
from apps.providers.lifetimes import life_of, named_ends
from apps.providers.remote import RemoteNumber, Support

_ANY_DAY = date(2000, 1, 1)
PROVIDER, HOST = "openai", "api.openai.com"
"""Under which the shipped list of ends of life names OpenAI's own models."""

SUPERVISED = ("gpt-4.1", "gpt-4o", "gpt-3.5-turbo")
PREFERENCE = ("gpt-4.1", "gpt-4o")
"""Beginnings of the names of models that OpenAI trains towards each objective."""
MOST_TOKENS_A_ROW = 65_536
FEWEST_ROWS = 10
MOST_BYTES = 512 * 1024 * 1024


def end_of_life(model: str) -> date | None:
    """The known last day of OpenAI's model, of its alias, or of a model tuned from it."""
    base = base_of(model)
    names = [base, *(name for name in named_ends(provider=PROVIDER) if _alias(name) == base)]
    ends = (life_of(provider=PROVIDER, model=name, today=_ANY_DAY, hosts=(HOST,)) for name in names)
    return next((life.end_of_life for life in ends if life is not None and life.end_of_life), None)


def base_of(model: str) -> str:
    """ft:<base>:<organisation>:<suffix>:<id> -> <base>"""
    parts = model.split(":")
    return parts[1] if parts[0] == "ft" and len(parts) > 2 else model


def _alias(name: str) -> str:
    """gpt-4o-mini-2024-07-18 -> gpt-4o-mini"""
    parts = name.split("-")
    while parts and parts[-1].isdigit():
        parts.pop()
    return "-".join(parts)


def closing_problems(today: date) -> list[Problem]:
    """That OpenAI takes no new jobs, or soon won't."""
    life = life_of(provider=PROVIDER, model="", today=today, hosts=(HOST,))
    if life is None or life.training_ends is None:
        return []
    closing = f"{life.training_ends:%d %B %Y}"
    if life.is_trainable_no_more:
        message = (
            f"OpenAI takes no new fine-tuning jobs since {closing}. Train this version at another provider or on your"
            " own machines."
        )
        return [Problem(code="training_closed", field="base_model", message=message)]
    message = (
        f"OpenAI takes no new fine-tuning jobs after {closing}: this model can't be trained again there."
    )
    return [Problem(code="training_closes", field="base_model", message=message, severity="warning")]


def is_trained_by_openai(model: str, objective: Objective) -> bool:
    if model.startswith("ft:"):
        model = base_of(model)
    return model.startswith(SUPERVISED if objective == "supervised" else PREFERENCE)


def support_of(objective: Objective, *, of_openai: bool) -> Support:
    """The protocol's own bounds. It names none above for the multiplier of the learning rate."""
    numbers = [
        RemoteNumber(name="epochs", low=1, high=50, whole=True),
        RemoteNumber(name="batch_size", low=1, high=256, whole=True),
        RemoteNumber(name="learning_rate_multiplier", low=0.0001, high=1000),
    ]
    if objective == "dpo":
        numbers.append(RemoteNumber(name="beta", low=0.0001, high=2))
    return Support(
        data_format="chat" if objective == "supervised" else "preference",
        numbers=tuple(numbers),
        takes_seed=True,
        fewest_rows=FEWEST_ROWS,
        most_bytes=MOST_BYTES,
        most_tokens_a_row=MOST_TOKENS_A_ROW if of_openai else None,
        note="OpenAI has announced the end of fine-tuning: tuned models answer only until their base is shut down."
        if of_openai
        else "",
    )
