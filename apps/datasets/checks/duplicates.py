"""Rows that are there more than once: exactly, or but for white space, case and the form of accented letters."""

from typing import TYPE_CHECKING

from apps.datasets.checks.grouping import groups_of_equal
from apps.datasets.checks.results import (
    ACCEPT,
    ATTENTION,
    DROP_REPEATS,
    Found,
    Item,
    Row,
    item_key,
    rows_text,
)

if TYPE_CHECKING:
    from apps.datasets.checks.facts import Facts


def duplicate_findings(facts: "Facts") -> list[Found]:
    """Exact repeats, and repeats after normalisation that are not exact. The first row of each set is kept."""
    raw: list[Item] = []
    alike: list[Item] = []
    for group in groups_of_equal(facts.whole):
        members = [int(index) for index in group]
        hashes = {facts.content[index] for index in members}
        if len(hashes) == 1:
            raw.append(_item("exact", members, hashes))
            continue
        first_of: dict[str, list[int]] = {}
        for index in members:
            first_of.setdefault(facts.content[index], []).append(index)
        raw += [_item("exact", same, {content}) for content, same in first_of.items() if len(same) > 1]
        alike.append(_item("normalised", [same[0] for same in first_of.values()], hashes))
    findings = []
    if raw:
        repeats = sum(len(item.rows) - 1 for item in raw)
        findings.append(
            Found(
                check="duplicates",
                code="exact",
                severity=ATTENTION,
                title=f"{rows_text(repeats, 'exact repeat')} of {rows_text(len(raw))}",
                detail="The same messages, letter by letter. Each repeat makes its row weigh more in training.",
                items=raw,
                actions=(DROP_REPEATS, ACCEPT),
            )
        )
    if alike:
        repeats = sum(len(item.rows) - 1 for item in alike)
        findings.append(
            Found(
                check="duplicates",
                code="normalised",
                severity=ATTENTION,
                title=f"{rows_text(repeats, 'repeat')} but for white space or case",
                detail="The same messages once white space, capital letters and ways to write accents are evened out.",
                items=alike,
                actions=(DROP_REPEATS, ACCEPT),
            )
        )
    return findings


def _item(code: str, members: list[int], hashes: set[str]) -> Item:
    first, *others = members
    rows = (Row(first, "kept", keep=True), *(Row(index, "repeat") for index in others))
    return Item(item_key(code, hashes), rows)
