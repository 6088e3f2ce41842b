"""Agreement on spans and texts against published formulas and independent implementations."""

import numpy as np
import pytest
from nltk.metrics.distance import edit_distance as nltk_edit_distance
from sklearn.metrics import f1_score

from apps.labeling.agreement import Span, edit_distance, span_f1, text_distance


def test_exact_f1_is_hripcsak_and_rothschilds():
    # 2a / (2a + b + c), Hripcsak and Rothschild 2005, p. 297; here a = 2 spans of both, b = 1, c = 2.
    one = [Span(0, 5, "PER"), Span(10, 14, "LOC"), Span(20, 22, "ORG")]
    other = [Span(0, 5, "PER"), Span(10, 14, "LOC"), Span(20, 23, "ORG"), Span(30, 33, "PER")]
    assert span_f1({"item": {"a": one, "b": other}}).value == pytest.approx(4 / (4 + 1 + 2))
    assert span_f1({"item": {"a": one, "b": other}}, label="PER").value == pytest.approx(2 / 3)


def test_exact_f1_agrees_with_scikit_learn():
    random = np.random.default_rng(2)
    answers, truth, guess = {}, [], []
    universe = [Span(start, start + 3, label) for start in range(0, 30, 3) for label in "xy"]
    for item in range(50):
        chosen = random.random((2, len(universe))) < 0.3
        truth += chosen[0].tolist()
        guess += chosen[1].tolist()
        answers[item] = {
            rater: [span for span, taken in zip(universe, chosen[rater], strict=True) if taken]
            for rater in (0, 1)
        }
    assert span_f1(answers).value == pytest.approx(f1_score(truth, guess))


def test_overlap_counts_a_character_in_common():
    one, other = [Span(0, 5, "PER")], [Span(4, 9, "PER")]
    assert span_f1({1: {"a": one, "b": other}}, "exact").value == 0
    assert span_f1({1: {"a": one, "b": other}}, "overlap").value == 1
    assert span_f1({1: {"a": one, "b": [Span(5, 9, "PER")]}}, "overlap").value == 0
    assert span_f1({1: {"a": one, "b": [Span(4, 9, "LOC")]}}, "overlap").value == 0


def test_nothing_marked_is_undefined():
    assert "nobody marked" in span_f1({1: {"a": [], "b": []}}).reason
    assert "two independent answers" in span_f1({1: {"a": [Span(0, 1, "x")]}}).reason
    assert span_f1({1: {"a": [Span(0, 1, "x")], "b": []}}).value == 0


def test_edit_distance_of_the_textbook():
    # Three edits from kitten to sitting (Jurafsky and Martin's and Levenshtein's standard example), seven characters.
    assert edit_distance("kitten", "sitting") == pytest.approx(3 / 7)
    for one, other in [("intention", "execution"), ("", "abc"), ("same", "same"), ("Grüße", "Grüsse")]:
        longest = max(len(one), len(other))
        assert edit_distance(one, other) == pytest.approx(nltk_edit_distance(one, other) / longest)
    assert edit_distance("", "") == 0


def test_text_distance_means_pairs_within_items():
    answers = {1: {"a": "kitten", "b": "sitting"}, 2: {"a": "x", "b": "x", "c": "y"}, 3: {"a": "alone"}}
    figure = text_distance(answers)
    assert figure.items == 2
    assert figure.value == pytest.approx((3 / 7 + 2 / 3) / 2)
    assert text_distance({3: {"a": "alone"}}).value is None
