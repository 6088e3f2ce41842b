import pytest
from scipy import stats

from apps.evaluations.run_metrics import ScoredAnswer, majority_reference, run_metrics
from apps.evaluations.skills import skill_table
from apps.scoring.answers import Field, FreeText, KeyValueLines

FORM = KeyValueLines((Field("category", ("bug", "billing")), Field("note")))


def answer(
    category: str, said: str | None, *, group: str = "", skill: str = "", note: str = "n"
) -> ScoredAnswer:
    """The expected category, and what was said; None: no answer."""
    fields = {"category": said, "note": "N"} if said else None
    return ScoredAnswer(
        expected=f"category: {category}\nnote: {note}",
        expected_fields={"category": category, "note": note},
        group=group,
        skill=skill,
        exact=None if said is None else said == category,
        fields=fields,
        format_ok=None if said is None else True,
        seconds=None if said is None else 0.5,
        compute_seconds=None if said is None else 0.1,
        prompt_tokens=10,
        completion_tokens=2,
    )


def test_an_item_without_an_answer_is_in_no_denominator():
    metrics = run_metrics(FORM, [answer("bug", "bug"), answer("bug", "billing"), answer("bug", None)])
    assert (metrics["items"], metrics["unscored"]) == (3, 1)
    assert (metrics["exact"]["value"], metrics["exact"]["scored"]) == (0.5, 2)
    assert metrics["fields"]["category"]["value"] == 0.5
    assert metrics["fields"]["note"]["value"] == 1.0  # free fields are compared without case
    assert metrics["tokens"]["calls"] == 2
    assert metrics["latency"] == {"p50": 0.5, "p95": 0.5, "measured": 2}
    assert metrics["compute_seconds_per_answer"] == pytest.approx(0.1)


def test_without_any_answer_nothing_is_zero():
    metrics = run_metrics(FORM, [answer("bug", None)])
    assert metrics["exact"] is None
    assert metrics["macro_f1"] is None
    assert metrics["latency"]["p50"] is None
    assert metrics["compute_seconds_per_answer"] is None


def test_the_interval_is_wilsons_for_independent_items():
    answers = [answer("bug", "bug")] * 40 + [answer("bug", "billing")] * 10
    interval = run_metrics(FORM, answers)["exact"]["interval"]
    expected = stats.binomtest(40, 50).proportion_ci(method="wilson")
    assert (interval["low"], interval["high"]) == pytest.approx((expected.low, expected.high))


def test_items_in_groups_that_answer_alike_widen_the_interval():
    alike = [answer("bug", "bug" if n < 8 else "billing", group=str(n)) for n in range(10) for _ in range(5)]
    alone = [answer("bug", one.fields["category"]) for one in alike if one.fields]
    grouped = run_metrics(FORM, alike)["exact"]["interval"]
    independent = run_metrics(FORM, alone)["exact"]["interval"]
    assert grouped["high"] - grouped["low"] > 1.5 * (independent["high"] - independent["low"])
    assert grouped["high"] <= 1.0


def test_the_majority_reference_scores_the_most_frequent_answer():
    answers = [answer("bug", "billing")] * 3 + [answer("billing", "billing")] * 2
    reference = majority_reference(FORM, answers)
    assert reference is not None
    assert reference["answer"] == "category: bug\nnote: n"
    assert reference["exact"]["value"] == 0.6
    # F1 of "bug" is 2·3/(3+5) = 0.75, of "billing" 0; their mean is 0.375.
    assert reference["macro_f1"] == pytest.approx(0.375)
    assert majority_reference(FORM, []) is None


def test_free_text_has_no_labels():
    metrics = run_metrics(
        FreeText(),
        [
            ScoredAnswer(
                expected="a",
                expected_fields=None,
                group="",
                skill="",
                exact=True,
                fields={"text": "a"},
                format_ok=True,
            )
        ],
    )
    assert (metrics["fields"], metrics["labels"], metrics["macro_f1"]) == ({}, {}, None)


def test_skills_are_compared_on_the_same_items_with_adjusted_p():
    base = [answer("bug", "bug", skill="copy")] * 20 + [answer("bug", "bug", skill="extract")] * 20
    tuned = [answer("bug", "billing", skill="copy")] * 12 + [answer("bug", "bug", skill="copy")] * 8
    tuned += [answer("bug", "bug", skill="extract")] * 20
    copy, extract = skill_table(base, tuned)
    assert (copy["skill"], copy["items"], copy["broken"], copy["fixed"]) == ("copy", 20, 12, 0)
    assert copy["difference"] == pytest.approx(-0.6)
    # mid-p of 0 against 12 is (1/2)^12; Holm doubles the smaller of two.
    assert copy["p"] == pytest.approx(0.5**12)
    assert copy["p_adjusted"] == pytest.approx(2 * 0.5**12)
    assert (extract["difference"], extract["p_adjusted"]) == (0.0, 1.0)
