"""Whether the data shows what to do with a question that the model should not answer."""

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from apps.datasets.checks.results import ATTENTION, Found, Item, item_key, rows_text
from apps.datasets.checks.texts import ANSWER_CHARACTERS

if TYPE_CHECKING:
    from apps.datasets.checks.facts import Facts

AnswersOf = Callable[[Sequence[int]], dict[int, str]]
LEAST_ROWS = 50
READ_AT_ONCE = 1000
LEAST_SHARE = 0.01
_LABELS = re.compile(
    r"(?:oos|ood|none|other|others|unknown|n/?a|unclear|misc|fallback|no_?intent|nothing|irrelevant"
    r"|(?:out|outside)[ _\-]?of[ _\-]?(?:scope|domain)|not[ _\-]?(?:sure|supported|applicable)|sonstiges|unbekannt)",
    re.IGNORECASE,
)
_LABEL_IN = re.compile(r"[:=\"'\s]+")
_SENTENCES = re.compile(
    r"\bI (?:don't|do not|don’t) know\b|\bI(?:'m| am|’m) not (?:sure|able)\b"
    r"|\b(?:can't|cannot|can not|can’t|unable to) (?:help|answer|assist|do that|find)"
    r"|out(?:side)? (?:of )?(?:my|the) scope|not something I can"
    r"|no information (?:about|on)|weiß ich (?:leider )?nicht|kann ich (?:leider )?nicht"
    r"|je ne sais pas|no lo sé|non lo so",
    re.IGNORECASE,
)


def is_out_of_scope(answer: str) -> bool:
    """Whether an answer declines or says that the question belongs to no label."""
    if _SENTENCES.search(answer):
        return True
    return len(answer) <= 200 and any(
        _LABELS.fullmatch(part.strip(".,{}")) for part in _LABEL_IN.split(answer)
    )


def out_of_scope_findings(facts: "Facts", answers_of: AnswersOf) -> list[Found]:
    """Whether enough rows decline. Answers that are too long to have been kept are read only where the others don't
    say it already."""
    if len(facts) < LEAST_ROWS:
        return []
    known: dict[str, bool] = {}
    count = 0
    for answer in facts.answer_texts:
        if answer not in known:
            known[answer] = is_out_of_scope(answer)
        count += known[answer]
    long = np.flatnonzero(facts.answer_characters > ANSWER_CHARACTERS)
    for start in range(0, len(long), READ_AT_ONCE):
        if count >= LEAST_SHARE * len(facts):
            break
        places = [int(place) for place in long[start : start + READ_AT_ONCE]]
        count += sum(map(is_out_of_scope, answers_of(places).values()))
    if count >= LEAST_SHARE * len(facts):
        return []
    title = f"Only {rows_text(count)} out of scope" if count else "No row out of scope"
    return [
        Found(
            check="out_of_scope",
            code="few_out_of_scope" if count else "no_out_of_scope",
            severity=ATTENTION,
            title=title,
            detail=(
                "Users ask what the model was not made for. Without rows that say “I don't know” or “none of these”, it"
                " answers with what it knows, wrongly. A few in a hundred are enough."
            ),
            items=[Item(item_key("out_of_scope", []))],
        )
    ]
