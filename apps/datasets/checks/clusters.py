"""Rows that are asked nearly the same: what near-duplicates, contradictions and leakage are read from."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from apps.datasets.checks.near_duplicates import THRESHOLD, propose, verify
from apps.datasets.checks.shingles import character_shingles, word_shingles
from apps.datasets.checks.texts import words_of
from apps.datasets.checks.union_find import UnionFind

if TYPE_CHECKING:
    from apps.datasets.checks.facts import Facts

TextsOf = Callable[[Sequence[int]], dict[int, str]]
"""What is asked in some rows, by their places."""
Pair = tuple[int, int, float]


@dataclass(frozen=True)
class NearRows:
    """`pairs` are verified, each between the first rows of two different questions; `clusters` take in every row that
    asks one of them."""

    pairs: list[Pair]
    clusters: list[list[int]]
    large_buckets: int


def near_rows(facts: "Facts", texts_of: TextsOf, *, threshold: float = THRESHOLD) -> NearRows:
    """Rows whose questions, system prompts left out, have a true Jaccard similarity of at least the threshold."""
    first = _first_rows(facts.asked)
    pairs: dict[tuple[int, int], float] = {}
    large = 0
    for signatures, shingle in (
        (facts.word_signatures, word_shingles),
        (facts.character_signatures, character_shingles),
    ):
        rows = signatures.among(first)
        if len(rows) < 2:
            continue
        matrix, of = signatures.matrix(rows)
        proposal = propose(matrix, of=of, threshold=threshold)
        large += proposal.large_buckets

        def shingles_of(
            places: Sequence[int], rows: NDArray[np.int64] = rows, shingle: object = shingle
        ) -> dict[int, set[str]]:
            texts = texts_of([int(rows[place]) for place in places])
            return {place: shingle(words_of(texts[int(rows[place])])) for place in places}  # type: ignore[operator]

        for one, other, similar in verify(proposal.pairs, shingles_of, threshold=threshold):
            pair = (int(rows[one]), int(rows[other]))
            pairs[pair] = max(similar, pairs.get(pair, 0.0))
    return NearRows(
        [(one, other, similar) for (one, other), similar in sorted(pairs.items())],
        _whole_clusters(facts, pairs),
        large,
    )


def _first_rows(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The place where each value stands first, in rising order."""
    _, first = np.unique(values, return_index=True)
    return np.sort(first)


def _whole_clusters(facts: "Facts", pairs: dict[tuple[int, int], float]) -> list[list[int]]:
    found = UnionFind()
    for one, other in pairs:
        found.join(one, other)
    cluster_of_question: dict[int, int] = {}
    for cluster in found.clusters():
        for row in cluster:
            cluster_of_question[int(facts.asked[row])] = cluster[0]
    members: dict[int, list[int]] = defaultdict(list)
    wanted = np.isin(facts.asked, np.array(list(cluster_of_question), dtype=np.int64))
    for index in np.flatnonzero(wanted):
        members[cluster_of_question[int(facts.asked[index])]].append(int(index))
    return sorted(sorted(rows) for rows in members.values())
