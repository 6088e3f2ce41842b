"""Rows that don't fit into the model: counted by its own tokenizer, with its chat template."""

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

ACTIONS = {
    "too_long": (DROP_ROWS, TRUNCATE, REFUSE, ACCEPT),
    "answer_lost": (DROP_ROWS, REFUSE, ACCEPT),
}
"""Cutting does not help where the question alone fills the model."""


def token_findings(facts: "Facts", *, limit: int | None, unknown_because: str = "") -> list[Found]:
    """Rows that are cut at the limit, rows whose answer would be lost altogether, rows without a token to train on.

    The end of a row is what is cut, and the answer stands there.
    """
    if unknown_because:
        return [
            Found(
                check="tokens",
                code="tokens_unknown",
                severity=INFO,
                title="Tokens are unknown",
                detail=unknown_because,
                items=[Item(item_key("tokens_unknown", []))],
            )
        ]
    cut: list[int] = []
    lost: list[int] = []
    nothing: list[int] = []
    refused: list[int] = []
    for index, (total, answers) in enumerate(zip(facts.tokens, facts.answer_tokens, strict=True)):
        if total is None:
            refused.append(index)
        elif answers == 0:
            nothing.append(index)
        elif limit is not None and total > limit:
            # Where answers are unknown, so is whether anything of them is left.
            (lost if answers is not None and total - answers >= limit else cut).append(index)
    kinds = (
        (
            nothing,
            "no_trainable_token",
            PROBLEM,
            "{} without a token to train on",
            "The chat template leaves nothing of the answer.",
        ),
        (
            lost,
            "answer_lost",
            PROBLEM,
            "{} whose answer is cut off altogether",
            f"The question alone fills the {format_number(limit or 0)} tokens that the model reads, so nothing"
            " is learnt.",
        ),
        (
            cut,
            "too_long",
            ATTENTION,
            "{} longer than the model reads",
            f"Over {format_number(limit or 0)} tokens: the end of the answer is cut, and the model learns to stop in"
            " the middle."
            " Drop them, let training cut them, or refuse: then nothing is frozen before they are shorter or gone.",
        ),
        (
            refused,
            "template_refuses",
            PROBLEM,
            "{} that the model's chat template refuses",
            "They can't be trained on with this model.",
        ),
    )
    return [
        Found(
            check="tokens",
            code=code,
            severity=severity,
            title=title.format(rows_text(len(rows))),
            detail=detail,
            items=[
                Item(item_key(code, [facts.content[i], limit]), (Row(i, _note(facts.tokens[i])),))
                for i in rows
            ],
            actions=ACTIONS.get(code, (DROP_ROWS, ACCEPT)),
            evidence={"limit": limit},
        )
        for rows, code, severity, title, detail in kinds
        if rows
    ]


def _note(tokens: int | None) -> str:
    return "" if tokens is None else f"{format_number(tokens)} tokens"
