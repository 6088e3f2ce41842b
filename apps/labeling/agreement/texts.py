"""How alike the texts are that several people wrote for one item. There is no chance to correct for."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

from rapidfuzz.distance import Levenshtein

from apps.labeling.agreement.figures import NO_PAIRS, Figure, undefined


def edit_distance(first: str, second: str) -> float:
    """Insertions, deletions and replacements of characters over the longer length: 0 the same, 1 nothing alike
    (Levenshtein 1966)."""
    return float(Levenshtein.normalized_distance(first, second))


def text_distance(answers: Mapping[Any, Mapping[Any, str]]) -> Figure:
    """The mean over items of the mean distance of every two texts, from answers[item][rater]."""
    means = []
    for by_rater in answers.values():
        distances = [edit_distance(one, other) for one, other in combinations(by_rater.values(), 2)]
        if distances:
            means.append(sum(distances) / len(distances))
    if not means:
        return undefined(NO_PAIRS)
    return Figure(sum(means) / len(means), len(means))
