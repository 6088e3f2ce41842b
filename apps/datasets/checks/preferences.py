"""Preference pairs that teach nothing or the opposite: both answers the same, or swapped between rows."""

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from apps.datasets.checks.results import ACCEPT, DROP_ROWS, PROBLEM, Found, Item, Row, item_key, rows_text

if TYPE_CHECKING:
    from apps.datasets.checks.facts import Facts


def preference_findings(facts: "Facts") -> list[Found]:
    pairs = [int(index) for index in np.flatnonzero(facts.rejected)]
    same = [index for index in pairs if facts.answer[index] == facts.rejected[index]]
    seen: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    for index in pairs:
        seen[int(facts.asked[index]), int(facts.answer[index]), int(facts.rejected[index])].append(index)
    swapped = [
        (rows, seen[asked, rejected, chosen])
        for (asked, chosen, rejected), rows in seen.items()
        if chosen < rejected and (asked, rejected, chosen) in seen
    ]
    findings = []
    if same:
        findings.append(
            Found(
                check="contradictions",
                code="chosen_is_rejected",
                severity=PROBLEM,
                title=f"{rows_text(len(same), 'pair')} whose two answers are the same",
                detail="A pair teaches by the difference of its answers; here there is none.",
                items=[Item(item_key("chosen_is_rejected", [facts.content[i]]), (Row(i),)) for i in same],
                actions=(DROP_ROWS, ACCEPT),
            )
        )
    if swapped:
        findings.append(
            Found(
                check="contradictions",
                code="swapped",
                severity=PROBLEM,
                title=f"{rows_text(len(swapped), 'pair')} that another row turns round",
                detail="What one row prefers, another rejects, for the same question.",
                items=[
                    Item(
                        item_key("swapped", {facts.content[index] for index in (*one, *other)}),
                        (*(Row(i, "one way") for i in one), *(Row(i, "the other way") for i in other)),
                    )
                    for one, other in swapped
                ],
                actions=(DROP_ROWS, ACCEPT),
            )
        )
    return findings
