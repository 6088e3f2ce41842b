"""Metrics of answers against gold answers, and of the calls that made them.

Shares are in 0..1, times in seconds. An answer that does not exist (the call failed) is *unscored*; an
answer that exists but cannot be read in the declared form is *wrong*.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from apps.scoring.answers import Form, FreeText, ParsedAnswer, parse_answer, without_fence
from apps.scoring.scores import Rate, Score, Source, mean_score

__all__ = [
    "ItemScores",
    "LatencySummary",
    "Rate",
    "Score",
    "Source",
    "TokenSums",
    "exact_match",
    "exact_match_raw",
    "field_accuracy",
    "format_compliance",
    "latency_summary",
    "majority_label",
    "mean_score",
    "normalised",
    "score_answer",
    "text_similarity",
    "token_sums",
]

NO_ANSWER = "There is no answer: the call failed or was never made."


def normalised(text: str) -> str:
    """Text for comparison: no surrounding code fence, Unicode NFKC, case folded, white space collapsed.

    Punctuation and articles stay: in a reply or a code they can be the whole difference.
    """
    folded = unicodedata.normalize("NFKC", without_fence(text)).casefold()
    return re.sub(r"\s+", " ", folded).strip()


def exact_match_raw(answer: str | None, gold: str) -> Score:
    """1.0 if the answer is the gold answer character by character, white space at the very end aside."""
    if answer is None:
        return Score(name="exact match, raw", value=None, unscored_reason=NO_ANSWER)
    return Score(name="exact match, raw", value=float(answer.rstrip() == gold.rstrip()))


def exact_match(answer: str | None, gold: str, form: Form | None = None) -> Score:
    """1.0 if the answer says what the gold answer says.

    With a form that has fields: every field of the gold answer is there with the same value. With free
    text, or where the gold answer itself is not in the form: the normalised texts are equal.
    """
    if answer is None:
        return Score(name="exact match", value=None, unscored_reason=NO_ANSWER)
    if form is not None and not isinstance(form, FreeText):
        expected = parse_answer(form, gold)
        if expected.fields is not None and not expected.problems:
            return Score(name="exact match", value=float(_same_fields(parse_answer(form, answer), expected)))
    return Score(name="exact match", value=float(normalised(answer) == normalised(gold)))


def _same_fields(answer: ParsedAnswer, gold: ParsedAnswer) -> bool:
    expected = gold.fields or {}
    return all(_same_value(answer.value(name), value) for name, value in expected.items())


def _same_value(answer: str | None, gold: str) -> bool:
    return answer is not None and normalised(answer) == normalised(gold)


def text_similarity(answer: str | None, gold: str) -> Score:
    """Similarity in 0..1 of the normalised texts: 1 - (insertions + deletions) / total length."""
    from rapidfuzz.distance import Indel

    if answer is None:
        return Score(name="similarity", value=None, unscored_reason=NO_ANSWER)
    return Score(name="similarity", value=Indel.normalized_similarity(normalised(answer), normalised(gold)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemScores:
    """Everything that code can say about one answer.

    `fields` maps each field of the gold answer to right or wrong; `predicted` and `expected` hold the
    values that were read, for the confusion matrix. `format_ok` is None without an answer.
    """

    exact: Score
    exact_raw: Score
    format_ok: bool | None
    fields: dict[str, bool | None]
    predicted: dict[str, str]
    expected: dict[str, str]
    problems: tuple[str, ...]


def score_answer(form: Form, answer: str | None, gold: str) -> ItemScores:
    """Score one answer with every metric that needs no judge."""
    expected = parse_answer(form, gold)
    gold_fields = dict(expected.fields or {})
    exact, raw = exact_match(answer, gold, form), exact_match_raw(answer, gold)
    if answer is None:
        return ItemScores(
            exact=exact,
            exact_raw=raw,
            format_ok=None,
            fields=dict.fromkeys(gold_fields),
            predicted={},
            expected=gold_fields,
            problems=(NO_ANSWER,),
        )
    parsed = parse_answer(form, answer)
    return ItemScores(
        exact=exact,
        exact_raw=raw,
        format_ok=parsed.format_ok,
        fields={name: _same_value(parsed.value(name), value) for name, value in gold_fields.items()},
        predicted=dict(parsed.fields or {}),
        expected=gold_fields,
        problems=parsed.problems,
    )


def field_accuracy(items: Iterable[ItemScores]) -> dict[str, Rate]:
    """The share of right values for each field, over the items whose gold answer has that field."""
    outcomes: dict[str, list[bool | None]] = {}
    for item in items:
        for name, right in item.fields.items():
            outcomes.setdefault(name, []).append(right)
    return {name: mean_score(values) for name, values in outcomes.items()}


def format_compliance(items: Iterable[ItemScores | bool | None]) -> Rate:
    """The share of answers that are strictly in the declared form."""
    return mean_score(item.format_ok if isinstance(item, ItemScores) else item for item in items)


def majority_label(gold: Sequence[str]) -> tuple[str, float] | None:
    """The most frequent gold answer and its share: what a model scores that ignores its input.

    Ties go to the label that sorts first. None without gold answers.
    """
    if not gold:
        return None
    label, count = min(Counter(gold).items(), key=lambda pair: (-pair[1], pair[0]))
    return label, count / len(gold)


@dataclass(frozen=True, slots=True)
class LatencySummary:
    """Latency in seconds; None when nothing was measured. `missing` counts the calls without a time."""

    measured: int
    missing: int
    mean: float | None
    p50: float | None
    p95: float | None
    p99: float | None
    longest: float | None


def latency_summary(seconds: Iterable[float | None]) -> LatencySummary:
    """Percentiles, interpolated linearly between order statistics (Hyndman and Fan's type 7)."""
    import numpy as np

    values = list(seconds)
    measured = np.array([value for value in values if value is not None], dtype=float)
    missing = len(values) - len(measured)
    if not len(measured):
        return LatencySummary(0, missing, None, None, None, None, None)
    p50, p95, p99 = (float(value) for value in np.percentile(measured, (50, 95, 99)))
    return LatencySummary(
        len(measured), missing, float(measured.mean()), p50, p95, p99, float(measured.max())
    )


@dataclass(frozen=True, slots=True)
class TokenSums:
    """Tokens over the calls that reported them; `missing` counts the calls that did not."""

    calls: int
    missing: int
    prompt: int
    completion: int

    @property
    def total(self) -> int:
        return self.prompt + self.completion


def token_sums(usages: Iterable[tuple[int | None, int | None]]) -> TokenSums:
    """Sum (prompt, completion) tokens; a call with either unknown is counted as missing and not summed."""
    calls = missing = prompt = completion = 0
    for prompt_tokens, completion_tokens in usages:
        calls += 1
        if prompt_tokens is None or completion_tokens is None:
            missing += 1
            continue
        prompt += prompt_tokens
        completion += completion_tokens
    return TokenSums(calls, missing, prompt, completion)
