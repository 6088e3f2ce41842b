"""Statistics against published worked examples and independent implementations, named in each test."""

import time

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score
from statsmodels.api import OLS
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from apps.evaluations.statistics import (
    Interval,
    PairedCounts,
    bonett_price_interval,
    clopper_pearson_interval,
    cluster_interval,
    holm,
    items_for_non_inferiority,
    items_needed,
    macro_f1_difference,
    mcnemar_midp,
    minimum_detectable_gain,
    non_inferiority,
    paired_counts,
    preference,
    share_interval,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("successes", "items", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_of_newcombe(successes, items, low, high):
    # Newcombe 1998, Statistics in Medicine 17:857-872, table I, method 3.
    interval = wilson_interval(successes, items)
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)


@pytest.mark.parametrize(
    ("successes", "items", "low", "high"),
    [(81, 263, 0.2527, 0.3676), (15, 148, 0.0578, 0.1617), (0, 20, 0.0, 0.1684), (1, 29, 0.0009, 0.1776)],
)
def test_exact_interval_of_newcombe(successes, items, low, high):
    # The same table, method 5.
    interval = clopper_pearson_interval(successes, items)
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)


def test_the_interval_of_a_share_is_exact_below_thirty_items():
    small, large = share_interval(29, 29), share_interval(30, 30)
    assert small is not None
    assert large is not None
    # All right: the exact bound is (alpha / 2) ** (1 / n); Wilson's is n / (n + z²) = 88.6 % for 30 of 30.
    assert small.method == "Clopper–Pearson"
    assert small.low == pytest.approx(0.025 ** (1 / 29))
    assert large.method == "Wilson"
    assert large.low == pytest.approx(30 / (30 + 1.959964**2))
    assert share_interval(0, 0) is None
    assert Interval.from_dict(large.to_dict()) == large


def test_midp_of_the_airway_example():
    # Fagerland et al. 2013, table 1 (Bentur et al. 2009): 7 and 1 discordant pairs among 21 children.
    # By hand: 2 * (1 + 8) / 256 - 8 / 256 = 10 / 256.
    assert mcnemar_midp(7, 1) == pytest.approx(10 / 256)
    assert mcnemar_midp(1, 7) == mcnemar_midp(7, 1)


@pytest.mark.parametrize(("fixed", "broken"), [(61, 33), (16, 6), (0, 5), (250, 231)])
def test_midp_is_the_exact_test_less_one_point_probability(fixed, broken):
    # The definition in Fagerland et al. 2013; the exact test is that of statsmodels.
    exact = mcnemar([[0, fixed], [broken, 0]], exact=True).pvalue
    point = stats.binom.pmf(min(fixed, broken), fixed + broken, 0.5)
    assert mcnemar_midp(fixed, broken) == pytest.approx(exact - point)


def test_midp_with_equal_counts():
    # Supplement of the same article: 1 - 0.5 * P(4 of 8) = 1 - 0.5 * 70 / 256.
    assert mcnemar_midp(4, 4) == pytest.approx(1 - 35 / 256)
    assert mcnemar_midp(0, 0) == 1.0


def test_bonett_price_of_the_vcmeta_example():
    # R package vcmeta, se.prop.ps(16, 64, 5, 15): estimate 0.5784314, standard error 0.05953213.
    interval = bonett_price_interval(64, 5, 100)
    assert (interval.low + interval.high) / 2 == pytest.approx(0.5784314, abs=1e-7)
    assert (interval.high - interval.low) / (2 * 1.959964) == pytest.approx(0.05953213, abs=1e-7)


def test_bonett_price_by_hand():
    # (61 + 1) / 502 - (33 + 1) / 502 = 0.05578; variance (96 / 502 - 0.05578²) / 502; ± 1.96 · 0.01936.
    interval = bonett_price_interval(61, 33, 500)
    assert interval.low == pytest.approx(0.0178, abs=1e-4)
    assert interval.high == pytest.approx(0.0937, abs=1e-4)


def test_paired_counts():
    candidate = np.array([True, True, False, False, True])
    baseline = np.array([True, False, True, False, False])
    counts = paired_counts(candidate, baseline)
    assert counts == PairedCounts(fixed=2, broken=1, same_right=1, same_wrong=1)
    assert counts.items == 5
    assert counts.difference == pytest.approx(0.2)
    assert counts.disagreement == pytest.approx(0.6)
    with pytest.raises(ValueError, match="same items"):
        paired_counts(candidate, baseline[:4])


@pytest.mark.parametrize(
    ("gain", "disagreement", "items"),
    [
        (0.05, 0.1, 312),
        (0.05, 0.2, 626),
        (0.05, 0.3, 940),
        (0.02, 0.1, 1960),
        (0.02, 0.2, 3923),
        (0.02, 0.3, 5885),
    ],
)
def test_items_needed_has_the_promised_power(gain, disagreement, items):
    needed = items_needed(gain, disagreement)
    assert needed == items
    # Independent check by simulation of the four cells: 80 % power of McNemar's test, ± 4 standard errors.
    rng = np.random.default_rng(7)
    cells = [(disagreement + gain) / 2, (disagreement - gain) / 2, 1 - disagreement]
    drawn = rng.multinomial(needed, cells, size=1500)
    power = np.mean([mcnemar_midp(int(fixed), int(broken)) < 0.05 for fixed, broken, _ in drawn])
    assert power == pytest.approx(0.8, abs=0.042)


def test_a_gain_cannot_exceed_the_disagreement():
    assert items_needed(0.1, 0.0) == items_needed(0.1, 0.1)
    assert items_needed(-0.05, 0.2) == items_needed(0.05, 0.2)
    with pytest.raises(ValueError, match="gain of zero"):
        items_needed(0.0, 0.2)


@pytest.mark.parametrize("items", [100, 200, 500, 1000, 2000])
@pytest.mark.parametrize("disagreement", [0.1, 0.2, 0.3])
def test_the_minimum_detectable_gain_inverts_items_needed(items, disagreement):
    gain = minimum_detectable_gain(items, disagreement)
    assert gain is not None
    assert items_needed(gain, disagreement) == pytest.approx(items, abs=1)


def test_minimum_detectable_gain_of_the_usual_test_set():
    # 500 items of which 20 % differ: 5.6 points, from the root of the equation in Connor 1987 by hand.
    gain = minimum_detectable_gain(500, 0.2)
    assert gain == pytest.approx(0.056, abs=5e-4)
    assert minimum_detectable_gain(0, 0.2) is None
    assert minimum_detectable_gain(3, 0.2) is None


@pytest.mark.parametrize(
    ("margin", "disagreement", "items"),
    [(0.02, 0.05, 773), (0.02, 0.1, 1546), (0.03, 0.2, 1374), (0.01, 0.2, 12366)],
)
def test_items_for_non_inferiority(margin, disagreement, items):
    # (1.6449 + 0.8416)² = 6.1826 times disagreement / margin².
    assert items_for_non_inferiority(margin, disagreement) == items


def test_non_inferiority_uses_the_one_sided_bound():
    counts = PairedCounts(fixed=20, broken=22, same_right=900, same_wrong=58)
    result = non_inferiority(counts, margin=0.02)
    # Two-sided 90 % interval: z = 1.6449.
    assert result.lower_bound == bonett_price_interval(20, 22, 1000, 0.9).low
    assert result.lower_bound == pytest.approx(-0.002 - 1.6449 * np.sqrt(0.0439 / 1002), abs=2e-4)
    assert result.shown
    assert not non_inferiority(counts, margin=0.01).shown


def test_cluster_interval_against_statsmodels():
    rng = np.random.default_rng(3)
    groups = rng.integers(12, size=150)
    values = rng.normal(size=12)[groups] * 0.3 + rng.choice([-1.0, 0.0, 1.0], size=150)
    fitted = OLS(values, np.ones(150)).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    estimate = cluster_interval(values, groups.tolist())
    assert estimate is not None
    assert estimate.groups == 12
    assert (estimate.interval.low, estimate.interval.high) == pytest.approx(tuple(fitted.conf_int()[0]))
    assert estimate.p == pytest.approx(fitted.pvalues[0])


def test_groups_of_one_are_the_ordinary_t_interval():
    values = np.array([1.0, 0.0, 0.0, -1.0, 1.0, 1.0, 0.0, 0.0])
    expected = stats.ttest_1samp(values, 0)
    estimate = cluster_interval(values, list("abcdefgh"))
    assert estimate is not None
    bounds = expected.confidence_interval(0.95)
    assert (estimate.interval.low, estimate.interval.high) == pytest.approx((bounds.low, bounds.high))
    assert estimate.p == pytest.approx(expected.pvalue)
    assert estimate.design_effect == pytest.approx(1.0)


def test_cluster_interval_needs_two_groups():
    assert cluster_interval([1.0, 0.0, 1.0], ["a", "a", "a"]) is None
    assert cluster_interval([], []) is None
    with pytest.raises(ValueError, match="its group"):
        cluster_interval([1.0, 0.0], ["a"])


def test_cluster_interval_without_any_variation():
    estimate = cluster_interval([0.0] * 6, [1, 1, 2, 2, 3, 3])
    assert estimate is not None
    assert (estimate.interval.width, estimate.p, estimate.design_effect) == (0.0, 1.0, None)


def test_grouped_items_cry_wolf_only_without_the_groups():
    # 50 groups of 10, no true difference, within-group correlation 0.2: a nominal 5 % test.
    rng = np.random.default_rng(7)
    naive = clustered = 0
    groups = np.repeat(np.arange(50), 10)
    runs = 400
    for _ in range(runs):
        values = rng.normal(0, np.sqrt(0.2), 50)[groups] + rng.normal(0, np.sqrt(0.8), 500)
        estimate = cluster_interval(values, groups)
        assert estimate is not None
        clustered += estimate.p < 0.05
        naive += stats.ttest_1samp(values, 0).pvalue < 0.05
    assert naive / runs > 0.15
    assert 0.02 < clustered / runs < 0.09


def test_holm_by_hand_and_against_statsmodels():
    # Sorted 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1, never falling.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    values = np.random.default_rng(5).random(20) ** 4
    assert holm(values.tolist()) == pytest.approx(multipletests(values, method="holm")[1].tolist())
    assert holm([]) == []


@pytest.mark.parametrize(("wins", "votes"), [(21, 30), (33, 50), (61, 100), (115, 200), (221, 400)])
def test_votes_needed_for_a_preference(wins, votes):
    # The smallest number of wins whose two-sided sign test is below 5 %, from the tables of the binomial.
    assert preference(wins, votes - wins).p < 0.05
    assert preference(wins - 1, votes - wins + 1).p > 0.05


def test_ties_are_counted_apart():
    result = preference(6, 2, ties=4)
    assert result.win_rate == 0.75
    # Sign test by hand: 2 * (1 + 8 + 28) / 256.
    assert result.p == pytest.approx(74 / 256)
    assert result.interval == wilson_interval(6, 8)
    assert preference(0, 0, ties=3).interval is None


def _three_systems(
    items: int, labels: int, seed: int
) -> tuple[list[str], list[str | None], list[str | None]]:
    rng = np.random.default_rng(seed)
    gold = rng.integers(labels, size=items)
    systems: list[list[str | None]] = []
    for accuracy in (0.85, 0.75):
        guess = np.where(rng.random(items) < accuracy, gold, rng.integers(labels, size=items))
        systems.append([None if rng.random() < 0.02 else f"label {value}" for value in guess])
    return [f"label {value}" for value in gold], systems[0], systems[1]


def test_macro_f1_difference_against_scikit_learn_and_scipy():
    gold, candidate, baseline = _three_systems(300, 4, 1)
    result = macro_f1_difference(gold=gold, candidate=candidate, baseline=baseline, seed=2)

    for figure, predicted in ((result.candidate, candidate), (result.baseline, baseline)):
        guesses = [label or "(invalid)" for label in predicted]
        assert figure == pytest.approx(f1_score(gold, guesses, labels=sorted(set(gold)), average="macro"))

    truth = np.array([int(label[6:]) for label in gold])
    systems = [np.array([int(label[6:]) if label else 4 for label in side]) for side in (candidate, baseline)]

    def difference(index: np.ndarray) -> float:
        macros = []
        for predicted in systems:
            table = np.zeros((5, 5))
            np.add.at(table, (truth[index], predicted[index]), 1)
            f1 = 2 * table.diagonal() / np.maximum(1, table.sum(axis=0) + table.sum(axis=1))
            macros.append(f1[:4].mean())
        return float(macros[0] - macros[1])

    expected = stats.bootstrap(
        (np.arange(300),),
        difference,
        n_resamples=4000,
        method="BCa",
        vectorized=False,
        rng=np.random.default_rng(4),
    ).confidence_interval
    assert result.interval is not None
    assert result.interval.method == "BCa bootstrap"
    # Two Monte Carlo runs: the standard error of the difference is 0.03, of its quantiles about 0.0013.
    assert result.interval.low == pytest.approx(expected.low, abs=0.006)
    assert result.interval.high == pytest.approx(expected.high, abs=0.006)


def test_the_bootstrap_is_reproducible_and_knows_groups():
    gold, candidate, baseline = _three_systems(200, 3, 8)
    once = macro_f1_difference(gold=gold, candidate=candidate, baseline=baseline, seed=5, resamples=2000)
    again = macro_f1_difference(gold=gold, candidate=candidate, baseline=baseline, seed=5, resamples=2000)
    other = macro_f1_difference(gold=gold, candidate=candidate, baseline=baseline, seed=6, resamples=2000)
    assert once == again
    assert once.interval != other.interval
    # Every item ten times over, in groups of its copies: the same information as the items alone.
    copied = macro_f1_difference(
        gold=gold * 10,
        candidate=candidate * 10,
        baseline=baseline * 10,
        groups=list(range(200)) * 10,
        seed=5,
        resamples=2000,
    )
    naive = macro_f1_difference(
        gold=gold * 10, candidate=candidate * 10, baseline=baseline * 10, seed=5, resamples=2000
    )
    assert once.interval is not None
    assert copied.interval is not None
    assert naive.interval is not None
    assert copied.interval.width == pytest.approx(once.interval.width, rel=0.1)
    assert naive.interval.width < once.interval.width / 2


def test_identical_systems_have_no_bootstrap_interval():
    result = macro_f1_difference(
        gold=["a", "b"] * 10, candidate=["a"] * 20, baseline=["a"] * 20, resamples=200
    )
    assert result.difference == 0
    assert result.interval is None
    with pytest.raises(ValueError, match="same items"):
        macro_f1_difference(gold=["a"], candidate=[], baseline=["a"])


def test_ten_thousand_resamples_of_five_thousand_items_take_under_a_second():
    gold, candidate, baseline = _three_systems(5000, 12, 3)
    macro_f1_difference(gold=gold, candidate=candidate, baseline=baseline, resamples=10)
    started = time.process_time()
    macro_f1_difference(gold=gold, candidate=candidate, baseline=baseline)
    assert time.process_time() - started < 1.0
