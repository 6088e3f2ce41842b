"""The guards beside a verdict: unscored answers, general skills, form, latency and cost."""

from decimal import Decimal

import pytest

from apps.evaluations.statistics import bonett_price_interval
from apps.evaluations.verdict import (
    Contender,
    GeneralSkill,
    GeneralStatus,
    GuardStatus,
    Outcome,
    Recommendation,
    Rules,
    decide,
)
from tests.evaluations.verdicts import PLAIN, general, outcomes, plain, verdict_of


def test_unscored_answers_count_as_wrong_and_both_bounds_are_shown():
    candidate, baseline = outcomes(46, 10, 410, 34)
    candidate[0] = candidate[1] = None  # two that were fixed
    baseline[50] = None  # one that was broken
    verdict = decide(
        candidate=Contender(name="Tuned", outcomes=candidate),
        baselines=[Contender(name="the prompt", outcomes=baseline)],
        rules=PLAIN,
    )
    pair = verdict.lead_comparison
    assert (pair.counts.fixed, pair.counts.broken) == (44, 9)
    assert pair.difference == pytest.approx(35 / 500)
    assert (pair.difference_lowest, pair.difference_highest) == pytest.approx((34 / 500, 37 / 500))
    assert verdict.outcome is Outcome.WINS
    assert verdict.notes == (
        "Unscored answers count as wrong (2 of Tuned, 1 of the prompt); whatever they are, the difference "
        "lies between +6.8 and +7.4 points.",
    )
    assert verdict.failed_guards == ()


def test_a_baseline_whose_calls_failed_is_not_beaten():
    # The baseline is as good as the candidate, but 60 of its 500 calls failed.
    candidate = [True] * 450 + [False] * 50
    baseline = [None] * 60 + [True] * 390 + [False] * 50
    verdict = decide(
        candidate=Contender(name="Tuned", outcomes=candidate),
        baselines=[Contender(name="the prompt", outcomes=baseline)],
        rules=PLAIN,
    )
    assert verdict.lead_comparison.p < 0.001
    assert verdict.outcome is Outcome.TOO_FEW_ITEMS
    assert [guard.name for guard in verdict.failed_guards] == ["unscored answers"]
    assert "12.0 % of the answers of the prompt are unscored; the limit is 1.0 %" in plain(verdict.sentence)


def test_a_win_that_survives_its_unscored_answers_is_a_win_with_a_failed_guard():
    candidate, baseline = outcomes(150, 5, 300, 45)
    candidate[:10] = [None] * 10
    verdict = decide(
        candidate=Contender(name="Tuned", outcomes=candidate),
        baselines=[Contender(name="the prompt", outcomes=baseline)],
        general=general(0, 0, 1000, 0),
        rules=PLAIN,
    )
    assert verdict.outcome is Outcome.WINS
    assert verdict.recommendation is Recommendation.MEND_GUARDS
    assert verdict.advice == "It wins on the task, but first settle: unscored answers."


@pytest.mark.parametrize(
    ("counts", "status", "phrase"),
    [
        ((30, 34, 900, 36), GeneralStatus.KEPT, "general skills unchanged"),
        ((5, 25, 900, 70), GeneralStatus.KEPT, "general skills within the margin"),
        ((40, 5, 900, 55), GeneralStatus.KEPT, "general skills higher"),
        ((10, 60, 900, 30), GeneralStatus.LOWER, "general skills fell"),
        ((5, 7, 60, 28), GeneralStatus.NOT_SHOWN, "general skills not shown to be kept within 3.0 points"),
        ((0, 0, 30, 0), GeneralStatus.NOT_SHOWN, "general skills not shown to be kept"),
    ],
)
def test_general_skills(counts, status, phrase):
    candidate, baseline = outcomes(46, 10, 410, 34)
    verdict = decide(
        candidate=Contender(name="Tuned", outcomes=candidate),
        baselines=[Contender(name="the prompt", outcomes=baseline)],
        general=general(*counts),
        rules=PLAIN,
    )
    assert verdict.general is not None
    assert verdict.general.status is status
    assert phrase in plain(verdict.sentence)
    assert verdict.outcome is Outcome.WINS
    fixed, broken = counts[:2]
    one_sided = bonett_price_interval(fixed, broken, sum(counts), 0.9).low
    assert verdict.general.lower_bound == pytest.approx(one_sided)


def test_unscored_general_answers_count_against_the_tuned_model():
    skill = general(30, 34, 900, 36)
    base = list(skill.base)
    base[:30] = [None] * 30  # the 30 that only the tuned model got right
    candidate, baseline = outcomes(46, 10, 410, 34)
    verdict = decide(
        candidate=Contender(name="Tuned", outcomes=candidate),
        baselines=[Contender(name="the prompt", outcomes=baseline)],
        general=GeneralSkill(base=base, tuned=skill.tuned),
        rules=PLAIN,
    )
    assert verdict.general is not None
    assert verdict.general.lower_bound == pytest.approx(bonett_price_interval(0, 34, 1000, 0.9).low)


def test_general_skills_that_nobody_measured_are_named():
    verdict = verdict_of(46, 10, 410, 34)
    assert verdict.general is None
    guard = verdict.guards[0]
    assert (guard.status, guard.value) == (GuardStatus.UNKNOWN, None)
    assert verdict.recommendation is Recommendation.MEASURE_GENERAL_SKILL


def test_limits_on_form_latency_and_cost():
    candidate, baseline = outcomes(46, 10, 410, 34)
    rules = Rules(maximum_latency_p95=2.0, maximum_cost_per_call=Decimal("0.002"))
    verdict = decide(
        candidate=Contender(
            name="Tuned", outcomes=candidate, format_compliance=0.91, latency_p95=1.5, cost_per_call=None
        ),
        baselines=[Contender(name="the prompt", outcomes=baseline)],
        general=general(30, 34, 900, 36),
        rules=rules,
    )
    assert {guard.name: guard.status for guard in verdict.guards} == {
        "general skills": GuardStatus.HELD,
        "unscored answers": GuardStatus.HELD,
        "format compliance": GuardStatus.FAILED,
        "latency p95": GuardStatus.HELD,
        "cost per 1,000 calls": GuardStatus.UNKNOWN,
    }
    assert "; 91.0 % of the answers are in the declared form; at least 95.0 % are asked for." in plain(
        verdict.sentence
    )
    assert verdict.outcome is Outcome.WINS
    assert verdict.advice == "It wins on the task, but first settle: format compliance, cost per 1,000 calls."
    assert verdict.cheaper is None
