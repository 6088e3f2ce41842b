"""Rows that stand on both sides: in training and in what training is judged by."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.core.formatting import format_percent
from apps.datasets.checks.clusters import NearRows
from apps.datasets.checks.grouping import groups_of_equal
from apps.datasets.checks.results import (
    ACCEPT,
    DROP_ROWS,
    DROP_TRAIN,
    PROBLEM,
    Found,
    Item,
    Row,
    item_key,
    rows_text,
)

if TYPE_CHECKING:
    from apps.datasets.checks.facts import Facts

_JUDGING_FIRST = ("test", "validation", "train")
"""A clean-up keeps the rows of the first of these splits that is there, and drops the others."""
_ADVICE = (
    " What the model is judged by must be new to it, or the result is a test of memory. Drop the rows from training, or"
    " say why they may stay."
)


def split_leakage(facts: "Facts", near: NearRows) -> list[Found]:
    """The same row, nearly the same question, or the same conversation in more than one split. A set of rows is
    reported once, by the strongest of these."""
    known: set[frozenset[int]] = set()
    exact = _crossing(facts, (group.tolist() for group in groups_of_equal(facts.asked)), "leak_exact", known)
    close = _crossing(facts, near.clusters, "leak_near", known)
    together = _crossing(facts, _groups(facts), "leak_group", known)
    texts = (
        (
            exact,
            "leak_exact",
            "question",
            "stand in more than one split",
            "The same question, word for word.",
        ),
        (
            close,
            "leak_near",
            "cluster",
            "of nearly the same question cross splits",
            "Nearly the same question.",
        ),
        (
            together,
            "leak_group",
            "group",
            "of rows that belong together cross splits",
            "One conversation or group.",
        ),
    )
    return [
        Found(
            check="leakage",
            code=code,
            severity=PROBLEM,
            title=f"{rows_text(len(items), what)} {rest}",
            detail=detail + _ADVICE,
            items=items,
            actions=(DROP_TRAIN, ACCEPT),
            blocks=True,
        )
        for items, code, what, rest, detail in texts
        if items
    ]


def _crossing(
    facts: "Facts", groups: Iterable[Sequence[int]], code: str, known: set[frozenset[int]]
) -> list[Item]:
    items = []
    for group in groups:
        placed = [index for index in group if facts.splits[index]]
        if len({facts.splits[index] for index in placed}) < 2 or frozenset(placed) in known:
            continue
        known.add(frozenset(placed))
        kept = next(split for split in _JUDGING_FIRST if split in {facts.splits[index] for index in placed})
        rows = tuple(Row(i, facts.splits[i], keep=facts.splits[i] == kept) for i in placed)
        parts = {f"{facts.content[index]} {facts.splits[index]}" for index in placed}
        items.append(Item(item_key(code, parts), rows))
    return items


def _groups(facts: "Facts") -> Iterable[list[int]]:
    """Rows with the same group, the same named conversation, or the same opening of a longer conversation."""
    by_group: dict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(facts.groups):
        if group:
            by_group[group].append(index)
    yield from by_group.values()
    for values in (facts.conversation, facts.opening):
        for same in groups_of_equal(values):
            if values[same[0]]:
                yield same.tolist()


def held_out_leakage(
    facts: "Facts",
    *,
    name: str,
    key: str,
    exact: Sequence[tuple[int, int]],
    close: Sequence[tuple[int, int, float]],
) -> list[Found]:
    """Rows that are also items of one suite: `exact` and `close` are pairs of a row's place and an item's position."""
    best: dict[int, tuple[int, str]] = {}
    for index, position, similar in sorted(close, key=lambda pair: pair[2]):
        best[index] = (position, f"like item {position} ({format_percent(similar, 0)})")
    for index, position in exact:
        best[index] = (position, f"is item {position}")
    if not best:
        return []
    items = [
        Item(item_key("held_out", [facts.content[index], f"{key}/{position}"]), (Row(index, note),))
        for index, (position, note) in sorted(best.items())
    ]
    return [
        Found(
            check="leakage",
            code=f"held_out_{key}"[:40],
            severity=PROBLEM,
            title=f"{rows_text(len(items))} that {name} asks about, too",
            detail=f"{name} is what models are judged by.{_ADVICE}",
            items=items,
            actions=(DROP_ROWS, ACCEPT),
            blocks=True,
        )
    ]


def training_rows(facts: "Facts") -> NDArray[np.int64]:
    """Places of rows that are trained on, or may be: those of no split, of training and of validation."""
    return np.flatnonzero([split != "test" for split in facts.splits])
