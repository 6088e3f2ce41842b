"""Answers that are not in the form that the project declares, or that nearly all of them share."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from apps.datasets.checks.results import ACCEPT, DROP_ROWS, PROBLEM, Found, Item, Row, item_key, rows_text

if TYPE_CHECKING:
    from apps.datasets.checks.facts import Facts

Reader = Callable[[str], str]
"""Why an answer is not in the form; empty when it is."""


def format_findings(
    facts: "Facts", answers: Iterable[tuple[int, str]], read: Reader, *, form: str, declared: bool
) -> list[Found]:
    """`answers` are places with their texts; each different text is read once."""
    known: dict[str, str] = {}
    wrong: list[tuple[int, str]] = []
    for index, answer in answers:
        if answer not in known:
            if len(known) >= 100_000:
                known.clear()
            known[answer] = read(answer)
        if known[answer]:
            wrong.append((index, known[answer]))
    if not wrong:
        return []
    who = "The project declares" if declared else "Nearly all answers are of one form"
    return [
        Found(
            check="formats",
            code="answer_format",
            severity=PROBLEM,
            title=f"{rows_text(len(wrong), 'answer')} not in the project's form",
            detail=f"{who}: {form} A model that is shown two forms gives two forms.",
            items=[
                Item(item_key("answer_format", [facts.content[index], form]), (Row(index, reason[:200]),))
                for index, reason in wrong
            ],
            actions=(DROP_ROWS, ACCEPT),
        )
    ]
