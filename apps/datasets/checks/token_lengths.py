"""Rows that don't fit into the model: counted by its own tokenizer, with its chat template."""

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from apps.core.formatting import format_number
from apps.datasets.checks.results import (
    ACCEPT,
    ATTENTION,
    DROP_ROWS,
    INFO,
    PROBLEM,
    REFUSE,
    TRUNCATE,
    Found,
    Item,
    Row,
    item_key,
    rows_text,
)

if TYPE_CHECKING:
    from apps.datasets.checks.facts import Facts

_CUTS = (DROP_ROWS, TRUNCATE, REFUSE, ACCEPT)
_LOSES_ALL = (DROP_ROWS, REFUSE, ACCEPT)
"""Cutting does not help where the question alone fills the model."""


@dataclass(frozen=True)
class _Kind:
    """What can be wrong with the length of a row; `{limit}` in a detail is the tokens that the model reads."""

    code: str
    severity: str
    title: str
    detail: str
    actions: tuple[str, ...] = (DROP_ROWS, ACCEPT)


_KINDS = (
    _Kind(
        "no_trainable_token",
        PROBLEM,
        "{rows} without a token to train on",
        "The chat template leaves nothing of the answer.",
    ),
    _Kind(
        "answer_lost",
        PROBLEM,
        "{rows} whose answer is cut off altogether",
        "The question alone fills the {limit} tokens that the model reads, so nothing is learnt.",
        _LOSES_ALL,
    ),
    _Kind(
        "too_long",
        ATTENTION,
        "{rows} longer than the model reads",
        "Over {limit} tokens: the end of the answer is cut, and the model learns to stop in the middle."
        " Drop them, let training cut them, or refuse: then nothing is frozen before they are shorter or gone.",
        _CUTS,
    ),
    _Kind(
        "template_refuses",
        PROBLEM,
        "{rows} that the model's chat template refuses",
        "They can't be trained on with this model.",
    ),
)


def token_findings(facts: "Facts", *, limit: int | None, unknown_because: str = "") -> list[Found]:
    """Rows that are cut at the limit, rows whose answer would be lost altogether, rows without a token to train on.

    The end of a row is what is cut, and the answer stands there.
    """
    if unknown_because:
        return [_unknown(unknown_because)]
    places: dict[str, list[int]] = defaultdict(list)
    for index, (total, answers) in enumerate(zip(facts.tokens, facts.answer_tokens, strict=True)):
        code = _code_of(total, answers, limit)
        if code:
            places[code].append(index)
    return [_found(kind, places[kind.code], facts, limit) for kind in _KINDS if kind.code in places]


def _code_of(total: int | None, answers: int | None, limit: int | None) -> str:
    """What is wrong with a row of so many tokens, of which so many are trained on; empty when nothing is."""
    if total is None:
        return "template_refuses"
    if answers == 0:
        return "no_trainable_token"
    if limit is None or total <= limit:
        return ""
    # Where answers are unknown, so is whether anything of them is left.
    return "answer_lost" if answers is not None and total - answers >= limit else "too_long"


def _found(kind: _Kind, places: list[int], facts: "Facts", limit: int | None) -> Found:
    return Found(
        check="tokens",
        code=kind.code,
        severity=kind.severity,
        title=kind.title.format(rows=rows_text(len(places))),
        detail=kind.detail.format(limit=format_number(limit or 0)),
        items=[
            Item(item_key(kind.code, [facts.content[i], limit]), (Row(i, _note(facts.tokens[i])),))
            for i in places
        ],
        actions=kind.actions,
        evidence={"limit": limit},
    )


def _unknown(because: str) -> Found:
    return Found(
        check="tokens",
        code="tokens_unknown",
        severity=INFO,
        title="Tokens are unknown",
        detail=because,
        items=[Item(item_key("tokens_unknown", []))],
    )


def _note(tokens: int | None) -> str:
    return "" if tokens is None else f"{format_number(tokens)} tokens"
