"""Verdicts from hand-made outcomes. Figures in the expected sentences are checked against hand computations
or against the tested statistics; the table of outcomes is that of `apps.evaluations.verdict`."""

import json
from dataclasses import replace
from decimal import Decimal

import msgspec
import numpy as np
import pytest

from apps.core.canonical import canonical_hash
from apps.evaluations.statistics import (
    bonett_price_interval,
    cluster_interval,
    items_needed,
    mcnemar_midp,
    wilson_interval,
)
from apps.evaluations.verdict import (
    Contender,
    GeneralStatus,
    Outcome,
    Recommendation,
    Rules,
    Verdict,
    VerdictError,
    decide,
)
from tests.evaluations.verdicts import PLAIN, general, outcomes, plain, verdict_of


def test_a_win_in_one_sentence():
    # 46 + 410 of 500 = 91.2 %, 10 + 410 of 500 = 84.0 %; Bonett-Price by hand:
    # 47 / 502 - 11 / 502 = 7.17 points, ± 1.96 · sqrt((58 / 502 - 0.0717²) / 502) = 2.90.
    candidate, baseline = outcomes(46, 10, 410, 34)
    verdict = decide(
        candidate=Contender(name="Fine-tuned", outcomes=candidate, cost_per_call=Decimal("0.00038")),
        baselines=[Contender(name="the best prompt", outcomes=baseline, cost_per_call=Decimal("0.001"))],
        general=general(30, 34, 900, 36),
        rules=PLAIN,
    )
    assert verdict.outcome is Outcome.WINS
    assert plain(verdict.sentence) == (
        "Fine-tuned wins: 91.2 % against 84.0 % for the best prompt, +7.2 points (95 % CI +4.3 to +10.1, "
        "n = 500, McNemar p < 0.001); general skills unchanged (−0.4, CI −2.0 to +1.2); 62 % cheaper per call."
    )
    assert verdict.recommendation is Recommendation.SHIP
    assert verdict.advice == "It can be deployed; keep the best prompt alive as the fallback."
    assert verdict.cheaper == pytest.approx(0.62)
    pair = verdict.lead_comparison
    assert (pair.counts.fixed, pair.counts.broken, pair.counts.same_right, pair.counts.same_wrong) == (
        46,
        10,
        410,
        34,
    )
    assert pair.interval == bonett_price_interval(46, 10, 500)
    assert pair.p == mcnemar_midp(46, 10)
    assert pair.candidate_interval == wilson_interval(456, 500)
    assert pair.items_to_settle is None
    assert verdict.notes == ()


def test_a_win_that_costs_general_skill():
    candidate, baseline = outcomes(46, 10, 410, 34)
    verdict = decide(
        candidate=Contender(name="Fine-tuned", outcomes=candidate),
        baselines=[Contender(name="the best prompt", outcomes=baseline)],
        general=general(20, 175, 217, 88),
        rules=PLAIN,
    )
    assert verdict.outcome is Outcome.WINS
    assert [guard.name for guard in verdict.failed_guards] == ["general skills"]
    # By hand: 21 / 502 - 176 / 502 = -30.88 points, ± 1.96 · sqrt((197 / 502 - 0.3088²) / 502) = 4.77.
    assert "; general skills fell: −31.0 points (CI −35.6 to −26.1)." in plain(verdict.sentence)
    assert verdict.recommendation is Recommendation.MIX_GENERAL_DATA
    assert "mix general data into the training, or keep the base model for other work" in verdict.advice
    assert verdict.general is not None
    assert verdict.general.status is GeneralStatus.LOWER
    assert (verdict.general.base_share, verdict.general.tuned_share) == (0.784, 0.474)


def test_a_loss():
    verdict = verdict_of(10, 46, 410, 34)
    assert verdict.outcome is Outcome.LOSES
    assert plain(verdict.sentence).startswith(
        "Fine-tuned loses: 84.0 % against 91.2 % for the best prompt, −7.2 points (95 % CI −10.1 to −4.3"
    )
    assert verdict.recommendation is Recommendation.KEEP_BASELINE


def test_too_few_items_names_how_many_would_do():
    verdict = verdict_of(14, 8, 70, 8)
    assert verdict.outcome is Outcome.TOO_FEW_ITEMS
    # The observed 6 points at the Laplace-adjusted disagreement of 24 / 102.
    needed = items_needed(0.06, 24 / 102)
    assert verdict.lead_comparison.items_to_settle == needed
    assert needed == 511
    assert plain(verdict.sentence).endswith("; about 520 examples would settle it.")
    assert verdict.recommendation is Recommendation.COLLECT_ITEMS


def test_no_difference_where_the_set_was_large_enough():
    # 8,000 items of which 10 % differ: more than items_needed(2 points, 10 %) = 1,960.
    verdict = verdict_of(410, 390, 6400, 800)
    assert verdict.outcome is Outcome.NO_DIFFERENCE_SHOWN
    assert plain(verdict.sentence).startswith("Not shown: 85.1 % against 84.9 %")
    assert "the difference is inside the noise; about 130,000 examples would settle it" in plain(
        verdict.sentence
    )
    assert verdict.recommendation is Recommendation.KEEP_BASELINE


def test_no_difference_where_a_gain_worth_having_is_ruled_out():
    # 100 items: the interval ends at +1.2 points, below the smallest gain of 5.
    verdict = verdict_of(1, 4, 90, 5, replace(PLAIN, smallest_gain=0.05))
    assert verdict.lead_comparison.interval.high < 0.05
    assert verdict.outcome is Outcome.NO_DIFFERENCE_SHOWN
    assert verdict.lead_comparison.reason == "A gain of 5.0 points or more is ruled out."


def test_identical_systems_on_a_large_set_show_no_difference():
    verdict = verdict_of(0, 0, 900, 100)
    assert verdict.outcome is Outcome.NO_DIFFERENCE_SHOWN
    assert verdict.lead_comparison.p == 1.0
    assert verdict.lead_comparison.items_to_settle is None


def test_a_handful_of_items_decides_nothing():
    verdict = verdict_of(20, 0, 10, 0)
    assert verdict.lead_comparison.p < 0.001
    assert verdict.outcome is Outcome.TOO_FEW_ITEMS
    assert verdict.lead_comparison.reason == "30 items are fewer than the 50 that are asked for."
    assert verdict.lead_comparison.items_to_settle == 50


def test_interval_and_test_have_to_agree():
    # 10 fixed, 3 broken of 13: the interval excludes zero, but p = 2 · 378 / 8192 - 286 / 8192 = 0.057.
    verdict = verdict_of(10, 3, 0, 0, replace(PLAIN, minimum_items=1))
    pair = verdict.lead_comparison
    assert pair.interval.low > 0
    assert pair.p == pytest.approx(470 / 8192)
    assert verdict.outcome is Outcome.TOO_FEW_ITEMS


@pytest.mark.parametrize(
    ("others", "expected", "lead"),
    [
        ([], Outcome.WINS, "weak"),
        ([(46, 10)], Outcome.WINS, "other 0"),
        ([(46, 10), (10, 44)], Outcome.LOSES, "other 1"),
        ([(12, 8)], Outcome.TOO_FEW_ITEMS, "other 0"),
        ([(12, 8), (2, 7)], Outcome.NO_DIFFERENCE_SHOWN, "other 1"),
        ([(2, 7), (10, 44)], Outcome.LOSES, "other 1"),
    ],
)
def test_the_candidate_has_to_beat_every_baseline(others, expected, lead):
    # One candidate with 456 of 500 right; each baseline is described by what is fixed and broken against it.
    candidate, weak = outcomes(100, 10, 356, 34)
    right = [item for item, outcome in enumerate(candidate) if outcome]
    wrong = [item for item, outcome in enumerate(candidate) if not outcome]
    named = [Contender(name="weak", outcomes=weak)]
    for number, (fixed, broken) in enumerate(others):
        baseline = list(candidate)
        for item in right[:fixed] + wrong[:broken]:
            baseline[item] = not baseline[item]
        named.append(Contender(name=f"other {number}", outcomes=baseline))
    rules = replace(PLAIN, smallest_gain=0.015)
    verdict = decide(candidate=Contender(name="Tuned", outcomes=candidate), baselines=named, rules=rules)
    assert verdict.outcome is expected
    assert verdict.lead == lead


def test_the_best_baseline_is_the_one_with_the_highest_share():
    candidate, baseline = outcomes(46, 10, 410, 34)
    verdict = decide(
        candidate=Contender(name="Tuned", outcomes=candidate),
        baselines=[
            Contender(name="the bare base", outcomes=[False] * 500),
            Contender(name="the best prompt", outcomes=baseline),
        ],
        rules=PLAIN,
    )
    assert verdict.best_baseline == verdict.lead == "the best prompt"
    assert verdict.comparison("the bare base").outcome is Outcome.WINS


def test_groups_widen_the_interval_and_can_take_the_win_away():
    # 25 groups of 20 items; the gain sits in six groups that are fixed as a whole, two are broken.
    candidate = [group < 6 or group >= 8 for group in range(25) for _ in range(20)]
    baseline = [group >= 6 for group in range(25) for _ in range(20)]
    groups = [f"pattern {group}" for group in range(25) for _ in range(20)]
    alone = Contender(name="Tuned", outcomes=candidate)
    rival = Contender(name="the prompt", outcomes=baseline)
    assert decide(candidate=alone, baselines=[rival], rules=PLAIN).outcome is Outcome.WINS
    verdict = decide(candidate=alone, baselines=[rival], groups=groups, rules=PLAIN)
    pair = verdict.lead_comparison
    expected = cluster_interval(np.subtract(candidate, baseline, dtype=float), groups)
    assert expected is not None
    assert verdict.outcome is Outcome.TOO_FEW_ITEMS
    assert (pair.interval, pair.p, pair.groups) == (expected.interval, expected.p, 25)
    assert pair.independent_interval == bonett_price_interval(120, 40, 500)
    # All items of a group agree, so the design effect is the group size, but for G / (G - 1) and n / (n - 1).
    assert pair.design_effect == pytest.approx(20 * (25 / 24) * (499 / 500))
    assert pair.items_to_settle is not None
    assert pair.items_to_settle > 500
    assert "n = 500 in 25 groups, cluster-robust p = " in plain(verdict.sentence)
    assert verdict.notes == (
        "The 500 items come in 25 groups; the intervals against the prompt allow for that.",
    )


def test_groups_that_do_not_matter_are_said_not_to():
    candidate, baseline = outcomes(46, 10, 410, 34)
    rng = np.random.default_rng(11)
    for _ in range(20):
        groups = rng.integers(250, size=500).tolist()
        verdict = decide(
            candidate=Contender(name="Tuned", outcomes=candidate),
            baselines=[Contender(name="the prompt", outcomes=baseline)],
            groups=groups,
            rules=PLAIN,
        )
        pair = verdict.lead_comparison
        clustered = cluster_interval(
            [
                float(bool(after)) - float(bool(before))
                for after, before in zip(candidate, baseline, strict=True)
            ],
            groups,
        )
        assert clustered is not None
        assert pair.interval.width == max(
            pair.independent_interval.width,
            clustered.interval.width,
        )
        if pair.method == "McNemar":
            assert "does not widen" in verdict.notes[0]
            break
    else:
        pytest.fail("no draw of random groups left McNemar's interval the wider one")


def test_one_group_is_one_observation():
    candidate, baseline = outcomes(46, 10, 410, 34)
    verdict = decide(
        candidate=Contender(name="Tuned", outcomes=candidate),
        baselines=[Contender(name="the prompt", outcomes=baseline)],
        groups=["only"] * 500,
        rules=PLAIN,
    )
    assert verdict.outcome is Outcome.TOO_FEW_ITEMS
    assert "all items are in one group" in verdict.sentence


def test_items_without_a_group_stand_alone():
    candidate, baseline = outcomes(46, 10, 410, 34)
    verdict = decide(
        candidate=Contender(name="Tuned", outcomes=candidate),
        baselines=[Contender(name="the prompt", outcomes=baseline)],
        groups=[""] * 500,
        rules=PLAIN,
    )
    assert verdict.outcome is Outcome.WINS
    assert verdict.lead_comparison.groups is None


def test_a_verdict_survives_json_and_keeps_its_hash():
    candidate, baseline = outcomes(46, 10, 410, 34)
    verdict = decide(
        candidate=Contender(name="Fine-tuned", outcomes=candidate, cost_per_call=Decimal("0.00038")),
        baselines=[Contender(name="the best prompt", outcomes=baseline, cost_per_call=Decimal("0.001"))],
        groups=[f"group {i % 40}" for i in range(500)],
        general=general(30, 34, 900, 36),
        rules=replace(PLAIN, maximum_cost_per_call=Decimal("0.01")),
    )
    stored = json.loads(json.dumps(verdict.to_dict()))
    assert Verdict.from_dict(stored) == verdict
    assert Verdict.from_dict(stored).hash == verdict.hash == canonical_hash(stored)
    assert verdict_of(46, 10, 410, 34).hash != verdict.hash
    with pytest.raises(msgspec.ValidationError):
        Verdict.from_dict({**stored, "outcome": "perhaps"})


def test_figures_that_do_not_fit_together_are_refused():
    tuned = Contender(name="Tuned", outcomes=[True, False])
    with pytest.raises(VerdictError, match="needs a baseline"):
        decide(candidate=tuned, baselines=[])
    with pytest.raises(VerdictError, match="same items"):
        decide(candidate=tuned, baselines=[Contender(name="b", outcomes=[True])])
    with pytest.raises(VerdictError, match="same items"):
        decide(candidate=tuned, baselines=[Contender(name="b", outcomes=[True, True])], groups=["x"])
    with pytest.raises(VerdictError, match="no items"):
        decide(candidate=Contender(name="t", outcomes=[]), baselines=[Contender(name="b", outcomes=[])])
    with pytest.raises(VerdictError, match="same name"):
        decide(candidate=tuned, baselines=[tuned, tuned])
    with pytest.raises(VerdictError, match="above zero"):
        Rules(smallest_gain=0)
