"""Rows that hold personal data, by kind."""

from collections import defaultdict
from typing import TYPE_CHECKING

from apps.datasets.checks.personal.hits import KINDS, NAME, SECRET
from apps.datasets.checks.results import (
    ACCEPT,
    DROP_ROWS,
    MASK,
    PLACEHOLDER,
    PROBLEM,
    Found,
    Item,
    Row,
    item_key,
    rows_text,
)

if TYPE_CHECKING:
    from apps.datasets.checks.facts import Facts


_RISK = "What a model was trained on can be drawn out of it again, and can't be taken out of its weights."
_DETAIL = f"{_RISK} Found by shape and check digits, which also fit some numbers that are none: look before you decide."
_DETAILS = {
    SECRET: "A secret in training data is a secret that the model can repeat. Take it out, and withdraw it where it is"
    " valid.",
    NAME: f"{_RISK} Found by lists of first and last names, and behind words such as “Mr” and “my name is”: products"
    " and places can have such names, and names that stand alone or in small letters are not found.",
}


def personal_findings(facts: "Facts") -> list[Found]:
    """One finding a kind, one item a row: each is confirmed or dismissed on its own."""
    rows: dict[str, list[int]] = defaultdict(list)
    for index, kinds in enumerate(facts.personal):
        for kind in kinds:
            rows[kind].append(index)
    return [
        Found(
            check="personal",
            code=kind,
            severity=PROBLEM,
            title=f"{title} in {rows_text(len(rows[kind]))}",
            detail=_DETAILS.get(kind, _DETAIL),
            items=[Item(item_key(kind, [facts.content[index]]), (Row(index),)) for index in rows[kind]],
            actions=(PLACEHOLDER, MASK, DROP_ROWS, ACCEPT),
        )
        for kind, title in KINDS.items()
        if kind in rows
    ]
