"""Rows far longer or shorter than the rest."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.core.formatting import format_number
from apps.datasets.checks.results import ACCEPT, DROP_ROWS, INFO, Found, Item, Row, item_key, rows_text

if TYPE_CHECKING:
    from apps.datasets.checks.facts import Facts

LEAST_ROWS = 50
FENCES = 3.0
"""Tukey's far fences: so many times the span between the quartiles, outside of them, on a scale of logarithms."""
LEAST_SPAN = 0.2


def far_out(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places of the lengths outside the far fences, in rising order."""
    if len(lengths) < LEAST_ROWS:
        return np.empty(0, dtype=np.int64)
    logs = np.log(lengths.astype(float) + 1)
    low, high = np.percentile(logs, [25, 75])
    reach = FENCES * max(high - low, LEAST_SPAN)
    return np.flatnonzero((logs < low - reach) | (logs > high + reach))


def outlier_findings(facts: "Facts") -> list[Found]:
    findings = []
    for code, what, lengths in (
        ("question_length", "question", facts.asked_characters),
        ("answer_length", "answer", facts.answer_characters),
    ):
        places = [int(index) for index in far_out(lengths)]
        if not places:
            continue
        median = int(np.median(lengths))
        findings.append(
            Found(
                check="outliers",
                code=code,
                severity=INFO,
                title=f"{rows_text(len(places))} with {'an' if what == 'answer' else 'a'} {what} of unusual length",
                detail=f"Half of them have up to {format_number(median)} characters."
                " Something may have been cut, or pasted twice.",
                items=[
                    Item(
                        item_key(code, [facts.content[i]]),
                        (Row(i, f"{format_number(int(lengths[i]))} characters"),),
                    )
                    for i in places
                ],
                actions=(DROP_ROWS, ACCEPT),
            )
        )
    return findings
