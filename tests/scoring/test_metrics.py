import numpy as np
import pytest

from apps.scoring.answers import Field, FreeText, KeyValueLines, SingleLabel
from apps.scoring.metrics import (
    exact_match,
    exact_match_raw,
    field_accuracy,
    format_compliance,
    latency_summary,
    majority_label,
    score_answer,
    text_similarity,
    token_sums,
)
from apps.scoring.scores import Score, Source, mean_score

TICKET = KeyValueLines((Field("category", ("billing", "bug")), Field("priority", ("P1", "P2"))))
GOLD = "category: billing\npriority: P2"


def test_a_score_is_a_value_or_a_reason():
    assert Score(name="exact", value=1.0).passed is True
    assert Score(name="exact", value=0.5).passed is False
    unscored = Score(name="judge", value=None, unscored_reason="timed out", source=Source.JUDGE)
    assert unscored.passed is None
    assert Score.from_dict(unscored.to_dict()) == unscored
    with pytest.raises(ValueError, match="reason"):
        Score(name="exact", value=None)
    with pytest.raises(ValueError, match="reason"):
        Score(name="exact", value=1.0, unscored_reason="but why")


def test_a_rate_never_hides_the_unscored():
    rate = mean_score([True, True, False, None])
    assert rate.value == pytest.approx(2 / 3)
    assert (rate.scored, rate.unscored, rate.unscored_share) == (3, 1, 0.25)
    assert (rate.lowest, rate.highest) == (0.5, 0.75)
    nothing = mean_score([None])
    assert nothing.value is None
    assert (nothing.lowest, nothing.highest) == (0.0, 1.0)
    assert mean_score([]).lowest is None


@pytest.mark.parametrize(
    ("answer", "normalised", "raw"),
    [
        ("Paris", 1, 1),
        ("Paris\n", 1, 1),
        (" paris ", 1, 0),
        ("```\nParis\n```", 1, 0),
        ("\uff30aris", 1, 0),  # a full-width P: the same letter under Unicode NFKC
        ("Paris.", 0, 0),
    ],
)
def test_exact_match_of_free_text(answer, normalised, raw):
    assert exact_match(answer, "Paris").value == normalised
    assert exact_match(answer, "Paris", FreeText()).value == normalised
    assert exact_match_raw(answer, "Paris").value == raw


def test_exact_match_compares_fields_not_layout():
    assert exact_match("priority: p2\nCategory: billing", GOLD, TICKET).value == 1
    assert exact_match("category: billing", GOLD, TICKET).value == 0
    assert exact_match("category: billing\npriority: P1", GOLD, TICKET).value == 0


def test_a_gold_answer_outside_the_form_is_compared_as_text():
    assert exact_match("No such ticket", "no such ticket", TICKET).value == 1


def test_no_answer_is_unscored():
    item = score_answer(TICKET, None, GOLD)
    assert item.exact.value is None
    assert item.exact.unscored_reason
    assert item.format_ok is None
    assert item.fields == {"category": None, "priority": None}


def test_scoring_one_answer():
    item = score_answer(TICKET, "category: refunds\npriority: P2", GOLD)
    assert item.exact.value == 0
    assert item.fields == {"category": False, "priority": True}
    assert item.predicted == {"priority": "P2"}
    assert item.expected == {"category": "billing", "priority": "P2"}
    assert item.format_ok is False
    assert len(item.problems) == 1


def test_accuracy_per_field_and_format():
    answers = [GOLD, "category: bug\npriority: P2", "priority: P2\ncategory: billing", "sorry", None]
    items = [score_answer(TICKET, answer, GOLD) for answer in answers]
    fields = field_accuracy(items)
    assert fields["category"].value == 0.5  # right in the first and third of four
    assert fields["priority"].value == 0.75
    assert fields["category"].unscored == 1
    compliance = format_compliance(items)
    assert (compliance.value, compliance.unscored) == (0.5, 1)


def test_similarity_against_the_definition():
    # "kitten" -> "sitting": longest common subsequence "ittn" = 4, so 1 - (6 + 7 - 2 * 4) / 13.
    assert text_similarity("kitten", "sitting").value == pytest.approx(1 - 5 / 13)
    assert text_similarity(None, "x").value is None


def test_majority_label():
    assert majority_label(["b", "a", "b", "a", "c"]) == ("a", 0.4)
    assert majority_label([]) is None


def test_latency_against_the_numpy_definition_by_hand():
    # 1..5: rank of p95 is 0.95 * 4 = 3.8, so 4 + 0.8 * (5 - 4) = 4.8; p99: 4 + 0.96 = 4.96.
    summary = latency_summary([5, None, 1, 2, 4, 3])
    assert (summary.measured, summary.missing) == (5, 1)
    assert summary.p50 == 3
    assert summary.p95 == pytest.approx(4.8)
    assert summary.p99 == pytest.approx(4.96)
    assert (summary.mean, summary.longest) == (3, 5)
    assert latency_summary([None]).p50 is None
    rng = np.random.default_rng(1)
    assert latency_summary(rng.exponential(size=20_000).tolist()).p50 == pytest.approx(np.log(2), rel=0.03)


def test_token_sums_count_what_is_missing():
    sums = token_sums([(10, 2), (None, 5), (7, 1)])
    assert (sums.calls, sums.missing, sums.prompt, sums.completion, sums.total) == (3, 1, 17, 3, 20)


def test_single_label_items():
    item = score_answer(SingleLabel(("yes", "no")), "Yes.", "yes")
    assert (item.exact.value, item.exact_raw.value, item.format_ok) == (1, 0, False)
