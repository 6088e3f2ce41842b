"""What is known about the models of OpenAI itself. Other servers train what they list."""

from datetime import date

from apps.providers.contracts import Objective, Problem
from apps.providers.remote import RemoteNumber, Support

SEEN = date(2026, 11, 21)
"""When what stands here was read."""
NO_NEW_JOBS_AFTER = date(2027, 1, 6)
"""OpenAI's deprecations page, notice of 7 May 2026: no new fine-tuning jobs for anyone after this day."""

_TUNED_WITH_BASE = "OpenAI's deprecations page: shut down with the models tuned from it"
_GONE = "seen in the press, October 2026"
END_OF_LIFE: dict[str, tuple[date, str]] = {
    "gpt-4o-2024-08-06": (date(2027, 1, 14), _TUNED_WITH_BASE),
    "gpt-4o-mini-2024-07-18": (date(2027, 1, 14), _TUNED_WITH_BASE),
    "gpt-4.1-2025-04-14": (date(2027, 1, 14), _TUNED_WITH_BASE),
    "gpt-4.1-mini-2025-04-14": (date(2027, 1, 14), _TUNED_WITH_BASE),
    "gpt-4.1-nano-2025-04-14": (date(2026, 10, 23), _GONE),
    "o4-mini-2025-04-16": (date(2026, 10, 23), _GONE),
    "gpt-3.5-turbo-0125": (date(2026, 10, 23), _GONE),
    "gpt-3.5-turbo-1106": (date(2026, 10, 23), _GONE),
    "gpt-3.5-turbo-0613": (date(2026, 10, 23), _GONE),
}
"""Model -> its last day, and where that was read. What a server says itself stands before it."""

SUPERVISED = ("gpt-4.1", "gpt-4o", "gpt-3.5-turbo")
PREFERENCE = ("gpt-4.1", "gpt-4o")
"""Beginnings of the names of models that OpenAI trains towards each objective."""
MOST_TOKENS_A_ROW = 65_536
FEWEST_ROWS = 10
MOST_BYTES = 512 * 1024 * 1024


def end_of_life(model: str) -> date | None:
    """The known last day of OpenAI's model, of its alias, or of a model tuned from it."""
    base = base_of(model)
    for name, (day, _) in END_OF_LIFE.items():
        if base in (name, _alias(name)):
            return day
    return None


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
    closing = f"{NO_NEW_JOBS_AFTER:%d %B %Y}"
    if today > NO_NEW_JOBS_AFTER:
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
        note=(
            f"OpenAI starts no new jobs after {NO_NEW_JOBS_AFTER:%d %B %Y}, and its tuned models answer only until"
            " their base is shut down."
            if of_openai
            else ""
        ),
    )
