"""Agreement on marked spans. How many spans could have been marked is unknown, so kappas don't apply: F1 does.

F1 of two people equals 2a / (2a + b + c), whoever is taken as the reference, and is what kappa approaches when what
nobody marks grows (Hripcsak and Rothschild 2005, JAMIA 12:296-298).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal, NamedTuple

from apps.labeling.agreement.figures import Figure, undefined

Match = Literal["exact", "overlap"]


class Span(NamedTuple):
    """Characters start..end (end excluded) with a label."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class _Counts:
    matched_first: int = 0
    matched_second: int = 0
    first: int = 0
    second: int = 0

    def __add__(self, other: _Counts) -> _Counts:
        return _Counts(
            self.matched_first + other.matched_first,
            self.matched_second + other.matched_second,
            self.first + other.first,
            self.second + other.second,
        )


def span_f1(
    answers: Mapping[Any, Mapping[Any, Iterable[Span]]],
    match: Match = "exact",
    label: str | None = None,
) -> Figure:
    """F1 over all pairs of people and items, from answers[item][rater]: all spans are pooled, then one F1.

    Exact: same start, end and label. Overlap: the same label and one character in common. `label` looks at the
    spans of one label only. Where nobody marked anything there is nothing to agree on.
    """
    total, items = _Counts(), 0
    for by_rater in answers.values():
        kept = [
            sorted({span for span in spans if label is None or span.label == label})
            for spans in by_rater.values()
        ]
        items += len(kept) > 1
        for one, other in combinations(kept, 2):
            total += _matches(one, other, match)
    if not items:
        return undefined("No item has two independent answers yet.")
    if not total.first + total.second:
        return undefined("Undefined: nobody marked a span.", items)
    precision = total.matched_second / total.second if total.second else 0.0
    recall = total.matched_first / total.first if total.first else 0.0
    return Figure(2 * precision * recall / (precision + recall) if precision + recall else 0.0, items)


def _matches(one: Sequence[Span], other: Sequence[Span], match: Match) -> _Counts:
    if match == "exact":
        both = len(set(one) & set(other))
        return _Counts(both, both, len(one), len(other))
    return _Counts(
        sum(any(_overlap(span, each) for each in other) for span in one),
        sum(any(_overlap(span, each) for each in one) for span in other),
        len(one),
        len(other),
    )


def _overlap(one: Span, other: Span) -> bool:
    return one.label == other.label and one.start < other.end and other.start < one.end
