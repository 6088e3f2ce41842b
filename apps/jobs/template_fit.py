"""What a base model's chat template makes of tools in a version's rows, found out by rendering some of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import BooleanField, Func, Q, Value

from apps.core.chat_tokens import CALLS, TOOLS, Chat, ChatTokenizer, ChatTokensError
from apps.core.formatting import format_number
from apps.datasets.models import Split, Version, VersionRow
from apps.datasets.provider_formats import PAIR
from apps.datasets.tokenizers import tokenizer_of
from apps.datasets.version_exports import feature_counts
from apps.providers.contracts import Problem
from apps.registry.models import BaseModel

SAMPLE = 20
"""Rows rendered. The trainer renders all, and says of how many it wrote less than they hold."""
_HELD = {TOOLS: ("lists tools", "list tools"), CALLS: ("calls tools", "call tools")}
_LOST = {
    TOOLS: "the model is trained as if they were not listed",
    CALLS: "the model is not taught to call them",
}


@dataclass(frozen=True, kw_only=True)
class TemplateFit:
    """`unseen` and `unknown` are what of tools and calls the template doesn't write, or nobody could try."""

    unseen: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    refusal: str = ""
    """Why the template refuses rows that hold them."""


def template_fit(version: Version, base_model: BaseModel) -> TemplateFit:
    held = _held_in(feature_counts(version))
    if not held:
        return TemplateFit()
    tokenizer, _ = tokenizer_of(base_model.reference)
    if tokenizer is None:
        return TemplateFit(unknown=frozenset(held))
    try:
        shown = {what for what in held if _writes(tokenizer, version, what)}
    except ChatTokensError as error:
        return TemplateFit(refusal=error.message)
    return TemplateFit(unseen=frozenset(held - shown))


def template_problems(version: Version, base_model: BaseModel, *, objective: str) -> list[Problem]:
    """What is to be said before a training starts, with the rows that it is about."""
    fit = template_fit(version, base_model)
    if fit.refusal:
        message = (
            f"{fit.refusal} The training would fail on such rows. Choose a base model whose chat template knows"
            " tools, or freeze a version without them."
        )
        return [Problem(code="template_refused", message=message)]
    counts = _rows_holding(feature_counts(version), pairs_only=objective == "dpo")
    problems = []
    for what in (TOOLS, CALLS):
        rows = counts[what]
        if not rows or what not in fit.unseen | fit.unknown:
            continue
        held = f"{format_number(rows)} {'row' if rows == 1 else 'rows'} {_HELD[what][rows != 1]}"
        if what in fit.unseen:
            message = f"{held}, and the chat template of {base_model} does not write them: {_LOST[what]}."
        else:
            message = (
                f"{held}. Whether the chat template of {base_model} writes them can't be looked up here; the page of"
                " the job says it once it runs."
            )
        problems.append(Problem(code=f"template_{what}", severity="warning", message=message))
    return problems


def _held_in(counts: Mapping[str, int]) -> set[str]:
    return {what for joined in counts for what in joined.split(",")} & {TOOLS, CALLS}


def _rows_holding(counts: Mapping[str, int], *, pairs_only: bool) -> dict[str, int]:
    rows = {TOOLS: 0, CALLS: 0}
    for joined, count in counts.items():
        held = joined.split(",")
        if pairs_only and PAIR not in held:
            continue
        for what in rows:
            rows[what] += count if what in held else 0
    return rows


def _writes(tokenizer: ChatTokenizer, version: Version, what: str) -> bool:
    """Whether the template writes it in any of the rows looked at, or none was found to look at."""
    tried = [what not in tokenizer.unseen(Chat.of(payload)) for payload in _sample(version, what)]
    return any(tried) or not tried


def _sample(version: Version, what: str) -> Iterator[dict[str, Any]]:
    rows = VersionRow.objects.filter(version=version, split=Split.TRAIN).order_by("position")
    if what == TOOLS:
        rows = rows.filter(Q(example__payload__has_key="tools"), ~Q(example__payload__tools=[]))
    else:
        called = Func(
            "example__payload",
            Value("$.messages[*].tool_calls"),
            template="jsonb_path_exists(%(expressions)s::jsonpath)",
            output_field=BooleanField(),
        )
        rows = rows.filter(called)
    yield from rows.values_list("example__payload", flat=True)[:SAMPLE]
