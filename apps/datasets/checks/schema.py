"""Rows that can't be trained on as they are: roles, their order, empty answers and messages."""

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from apps.datasets.chat_rows import check_messages
from apps.datasets.checks.results import ACCEPT, DROP_ROWS, PROBLEM, Found, Item, Row, item_key, rows_text
from apps.datasets.checks.texts import Parts, is_blank, parts_of
from apps.datasets.problems import CODE_TITLES
from apps.datasets.quick_rows import quick_messages

if TYPE_CHECKING:
    from apps.datasets.checks.facts import Facts

_DETAILS = {
    "empty_answer": "The model would learn to say nothing. White space and invisible characters count as nothing.",
    "role_order": "Most chat templates refuse messages in this order, or write them in a way that no user will meet.",
    "answer_not_last": "What stands last is what is learnt; it must be the assistant's answer.",
    "rejected_is_empty": "A pair teaches by the difference of two answers; one of them is missing.",
}
_TITLES = {"rejected_is_empty": "Rejected answer is empty"}


def row_problems(payload: Mapping[str, Any], parts: Parts | None = None) -> list[str]:
    """Codes of what is wrong with one row, each once; `parts` are the row's where they are known already."""
    parts = parts or parts_of(payload)
    if parts.rejected is not None:
        codes = set()
        if is_blank(parts.answer):
            codes.add("empty_answer")
        if is_blank(parts.rejected):
            codes.add("rejected_is_empty")
        return sorted(codes)
    is_plain = payload.get("tools") is None and quick_messages(payload.get("messages")) is not None
    codes = set() if is_plain else {problem.code for problem in check_messages(dict(payload))}
    if not codes and is_blank(parts.answer):
        codes.add("empty_answer")
    return sorted(codes)


def schema_findings(facts: "Facts") -> list[Found]:
    """One finding for each kind of problem."""
    rows: dict[str, list[int]] = defaultdict(list)
    for index, codes in enumerate(facts.problems):
        for code in codes:
            rows[code].append(index)
    return [
        Found(
            check="schema",
            code=code,
            severity=PROBLEM,
            title=f"{_TITLES.get(code) or CODE_TITLES.get(code, code)}: {rows_text(len(places))}",
            detail=_DETAILS.get(code, "The row can't be rendered by chat templates as it is."),
            items=[Item(item_key(code, [facts.content[index]]), (Row(index),)) for index in places],
            actions=(DROP_ROWS, ACCEPT),
        )
        for code, places in sorted(rows.items())
    ]
