"""What a version says about itself: sizes, lengths, answers, duplicates, and whether it is enough."""

import re
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from apps.datasets.checks.results import ATTENTION, INFO, PROBLEM, rows_text
from apps.datasets.checks.size import step_of
from apps.datasets.splits import SPLITS

BARS = 24
ANSWERS_SHOWN = 200
ANSWER_CHARACTERS = 200
NGRAM_WORDS = 1_000_000
LONGEST_NGRAM = 4
NGRAMS_SHOWN = 12
DUPLICATE_GROUPS_SHOWN = 20
FEW_TEST_ROWS = 100
_WORDS = re.compile(r"\w+(?:['’\-]\w+)*")
PERCENTILES = (5, 25, 50, 75, 95, 99)


def summary(values: Sequence[int]) -> dict[str, Any] | None:
    """Sum, mean, range, nearest-rank percentiles and a histogram of equal steps; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    count = len(ordered)
    return {
        "count": count,
        "sum": sum(ordered),
        "mean": sum(ordered) / count,
        "minimum": ordered[0],
        "maximum": ordered[-1],
        "percentiles": {
            str(percentile): ordered[max(0, ceil(percentile / 100 * count) - 1)] for percentile in PERCENTILES
        },
        "histogram": histogram(ordered),
    }


def histogram(ordered: Sequence[int]) -> dict[str, Any]:
    """Counts in at most `BARS` steps of equal width. The last step takes in everything above the 99th percentile, so
    that a single very long row doesn't flatten all others."""
    low = ordered[0]
    high = ordered[max(0, ceil(0.99 * len(ordered)) - 1)]
    width = max(1, ceil((high - low + 1) / BARS))
    steps = (high - low) // width + 1
    counts = [0] * steps
    for value in ordered:
        counts[min((value - low) // width, steps - 1)] += 1
    return {"start": low, "width": width, "counts": counts, "above": ordered[-1] >= low + steps * width}


def label_mix(answers: Sequence[str], splits: Sequence[str]) -> dict[str, Any]:
    """How often each answer occurs, in all and in every split, the most frequent first."""
    total: Counter[str] = Counter()
    in_split: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    for answer, split in zip(answers, splits, strict=True):
        total[answer] += 1
        in_split[split][answer] += 1
    shown = sorted(total.items(), key=lambda item: (-item[1], item[0]))[:ANSWERS_SHOWN]
    return {
        "distinct": len(total),
        "answers": [
            {"answer": answer[:ANSWER_CHARACTERS], "rows": count}
            | {split: in_split[split][answer] for split in SPLITS}
            for answer, count in shown
        ],
    }


def frequent_ngrams(answers: Mapping[str, int]) -> dict[str, Any]:
    """The most frequent runs of one to `LONGEST_NGRAM` words in answers, by the rows whose answer holds them.

    `answers` are the different answers with their rows. Looked at in the order given, until so many words are read;
    `rows_seen` says how far that was.
    """
    counts: list[Counter[str]] = [Counter() for _ in range(LONGEST_NGRAM)]
    rows_seen, words_left = 0, NGRAM_WORDS
    for answer, rows in answers.items():
        if words_left <= 0:
            break
        words = _WORDS.findall(answer.casefold())[:words_left]
        words_left -= len(words)
        rows_seen += rows
        for size, counter in enumerate(counts, start=1):
            for ngram in {" ".join(words[start : start + size]) for start in range(len(words) - size + 1)}:
                counter[ngram] += rows
    lists = {
        str(size): [
            {"text": text[:ANSWER_CHARACTERS], "rows": rows}
            for text, rows in sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:NGRAMS_SHOWN]
            if rows > 1
        ]
        for size, counter in enumerate(counts, start=1)
    }
    return {"rows_seen": rows_seen, "ngrams": lists}


def duplicate_groups(content_hashes: Sequence[Hashable], ids: Sequence[int]) -> dict[str, Any]:
    """Rows with the same messages: how many groups of which size, and the largest ones with the first row of each."""
    counts = Counter(content_hashes)
    repeated = {content: count for content, count in counts.items() if count > 1}
    first: dict[Hashable, int] = {}
    if repeated:
        for content, pk in zip(content_hashes, ids, strict=True):
            if content in repeated:
                first.setdefault(content, pk)
    largest = sorted(repeated.items(), key=lambda item: (-item[1], first[item[0]]))[:DUPLICATE_GROUPS_SHOWN]
    sizes = Counter(repeated.values())
    bounds = ((2, 2), (3, 5), (6, 10), (11, 100), (101, None))
    return {
        "groups": len(repeated),
        "sizes": [
            {
                "from": low,
                "to": high,
                "groups": sum(
                    n for size, n in sizes.items() if size >= low and (high is None or size <= high)
                ),
            }
            for low, high in bounds
        ],
        "largest": [{"example": first[content], "rows": count} for content, count in largest],
    }


@dataclass(frozen=True)
class SizeAdvice:
    tone: str
    title: str
    text: str


TONES = {PROBLEM: "failed", ATTENTION: "attention", INFO: "done"}


def size_advice(train_rows: int, test_rows: int) -> SizeAdvice:
    """What to expect of so many training rows, and what so many test rows can show."""
    step = step_of(train_rows)
    text = f"{rows_text(train_rows, 'training row')}: {step.expect}. {step.advice}"
    if 0 < test_rows < FEW_TEST_ROWS:
        text += (
            f" The test split has only {rows_text(test_rows)}: differences under about"
            f" {round(100 / test_rows**0.5)} points will not be told from chance."
        )
    elif test_rows == 0:
        text += " Without a test split nobody can prove that the tuned model is better."
    return SizeAdvice(TONES[step.severity], step.title, text)
