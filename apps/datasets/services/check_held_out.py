"""Comparing rows with what models are judged by: every suite of the project, exactly and nearly."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np

from apps.datasets.checks.facts import Facts
from apps.datasets.checks.leakage import held_out_leakage, training_rows
from apps.datasets.checks.near_duplicates import Pairs, propose, verify
from apps.datasets.checks.results import Found
from apps.datasets.checks.row_facts import facts_of
from apps.datasets.checks.shingles import character_shingles, word_shingles
from apps.datasets.checks.signatures import as_matrix
from apps.datasets.checks.texts import parts_of, words_of
from apps.datasets.models import CheckReport, Example
from apps.datasets.plugs import HeldOutItem, HeldOutSet, held_out_of
from apps.datasets.services.check_loading import Texts

COMPARED_AT_ONCE = 200_000
"""Rows whose signatures are copied beside those of a suite's items."""


def held_out_findings(report: CheckReport, facts: Facts, texts: Texts) -> tuple[list[Found], list[str]]:
    """What leaks, one finding a suite, and the names of all suites that were compared."""
    found: list[Found] = []
    names: list[str] = []
    rows = training_rows(facts)
    for held_out in held_out_of(report.dataset.project):
        items = _judged_by(report, facts, held_out)
        names.append(held_out.name)
        if items and len(rows):
            found += _leakage(facts, texts, rows, held_out, items)
    return found, names


def _judged_by(report: CheckReport, facts: Facts, held_out: HeldOutSet) -> list[HeldOutItem]:
    """The items of a suite. Of those made from a row of this very dataset, only rows that somebody put into training
    can leak; as long as no row has a split, they are passed over."""
    items = list(held_out.items())
    if report.version_id is not None or any(facts.splits):
        return items
    own: set[int] = set()
    made_from = iter([item.example_id for item in items if item.example_id is not None])
    while batch := list(islice(made_from, 5000)):
        rows = Example.objects.filter(pk__in=batch, dataset_id=report.dataset_id)
        own |= set(rows.values_list("pk", flat=True))
    return [item for item in items if item.example_id not in own]


def _leakage(
    facts: Facts,
    texts: Texts,
    rows: "np.ndarray[tuple[int], np.dtype[np.int64]]",
    held_out: HeldOutSet,
    items: list[HeldOutItem],
) -> list[Found]:
    payloads = [
        {"messages": [*item.messages, {"role": "assistant", "content": item.expected}]} for item in items
    ]
    judged = facts_of(payloads)
    asked = [parts_of(payload).asked for payload in payloads]
    by_question: dict[int, int] = {}
    for item, row in zip(items, judged, strict=True):
        by_question.setdefault(row.asked, item.position)
    exact = [
        (int(place), by_question[int(facts.asked[place])])
        for place in rows
        if int(facts.asked[place]) in by_question
    ]
    close: list[tuple[int, int, float]] = []
    for signatures, of_items, shingle in (
        (facts.word_signatures, [row.word_signature for row in judged], word_shingles),
        (facts.character_signatures, [row.character_signature for row in judged], character_shingles),
    ):
        numbers = [number for number, signature in enumerate(of_items) if signature]
        with_signature = signatures.among(rows)
        for start in range(0, len(with_signature) if numbers else 0, COMPARED_AT_ONCE):
            places = with_signature[start : start + COMPARED_AT_ONCE]
            matrix, of = signatures.matrix(places)
            both = np.concatenate([matrix[of], as_matrix([of_items[number] for number in numbers])])
            pairs = propose(both, boundary=len(places)).pairs
            close += [
                (place, items[number].position, similar)
                for place, number, similar in _verified(
                    pairs,
                    places=places.tolist(),
                    numbers=numbers,
                    texts=texts,
                    asked=asked,
                    shingle=shingle,
                )
            ]
    return held_out_leakage(facts, name=held_out.name, key=held_out.key, exact=exact, close=close)


def _verified(
    pairs: Pairs,
    *,
    places: list[int],
    numbers: list[int],
    texts: Texts,
    asked: list[str],
    shingle: Callable[[list[str]], set[str]],
) -> Iterator[tuple[int, int, float]]:
    """The pairs of a row and an item that are similar in truth: place of the row, number of the item."""
    count = len(places)

    def shingles_of(wanted: Sequence[int]) -> dict[int, set[str]]:
        read = texts.asked([places[each] for each in wanted if each < count])
        return {
            each: shingle(words_of(read[places[each]] if each < count else asked[numbers[each - count]]))
            for each in wanted
        }

    for one, other, similar in verify(pairs, shingles_of):
        yield places[one], numbers[other - count], similar
