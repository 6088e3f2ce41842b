"""Coefficients against published worked examples and independent implementations, named in each test."""

import itertools
import time

import numpy as np
import pytest
from nltk.metrics.agreement import AnnotationTask
from nltk.metrics.distance import binary_distance, interval_distance
from nltk.metrics.distance import masi_distance as nltk_masi_distance
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters
from statsmodels.stats.inter_rater import fleiss_kappa as statsmodels_fleiss_kappa

from apps.labeling.agreement import (
    Figure,
    Ratings,
    confusion,
    count_alphas,
    distance_alpha,
    fleiss_kappa,
    gwet_ac1,
    item_agreement,
    item_entropy,
    items_with_both,
    krippendorff_alpha,
    label_alphas,
    masi_alpha,
    masi_distance,
    pair_kappas,
    percent_agreement,
    ranking_distance,
)

# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", section C: four observers, twelve units, gaps.
TWELVE_UNITS = {
    "A": "1 2 3 3 2 1 4 1 2 . . .",
    "B": "1 2 3 3 2 2 4 1 2 5 . 3",
    "C": ". 3 3 3 2 3 4 2 2 5 1 .",
    "D": "1 2 3 3 2 4 4 1 2 5 1 .",
}


def rows_of(lines, kind=int):
    return [
        (item, rater, kind(value))
        for rater, line in lines.items()
        for item, value in enumerate(line.split())
        if value != "."
    ]


def twelve_units():
    return Ratings.of(rows_of(TWELVE_UNITS), values=[1, 2, 3, 4, 5])


def from_table(table):
    """Two raters from a cross table of counts: rows the first one's value, columns the second one's."""
    triples, item = [], 0
    for (row, column), count in np.ndenumerate(np.array(table)):
        for _ in range(count):
            triples += [(item, "one", row), (item, "other", column)]
            item += 1
    return Ratings.of(triples)


def from_counts(table):
    """Items × values, how often each value was given; the raters are places, as Fleiss' kappa does not know them."""
    triples = []
    for item, row in enumerate(table):
        values = [value for value, count in enumerate(row) for _ in range(count)]
        triples += [(item, place, value) for place, value in enumerate(values)]
    return Ratings.of(triples)


def value_of(figure):
    assert figure.value is not None
    return figure.value


def interval_of(figure):
    assert figure.interval is not None
    return figure.interval


def random_triples(seed, items=60, raters=4, values=4, missing=0.25, agree=0.6):
    random = np.random.default_rng(seed)
    truth = random.integers(0, values, items)
    return [
        (item, rater, int(truth[item] if random.random() < agree else random.integers(0, values)))
        for item in range(items)
        for rater in range(raters)
        if random.random() >= missing
    ]


@pytest.mark.parametrize(("scale", "expected"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_krippendorffs_twelve_units(scale, expected):
    # Krippendorff 2011, sections C, D and E.
    figure = krippendorff_alpha(twelve_units(), scale)
    assert figure.value == pytest.approx(expected, abs=5e-4)
    assert figure.items == 11  # the twelfth unit has one answer only


def test_alpha_of_krippendorffs_two_observers():
    # Krippendorff 2011, section A (binary, alpha .095) and section B (nominal, alpha .692).
    binary = Ratings.of(rows_of({"Meg": "0 1 0 0 0 0 0 0 1 0", "Owen": "1 1 1 0 0 1 0 0 0 0"}))
    assert krippendorff_alpha(binary, "nominal").value == pytest.approx(0.095, abs=5e-4)
    nominal = Ratings.of(
        rows_of({"Ben": "a a b b d c c c e d d a", "Gerry": "b a b b b c c c e d d d"}, kind=str)
    )
    assert krippendorff_alpha(nominal, "nominal").value == pytest.approx(0.692, abs=5e-4)


def test_cohens_own_example():
    # Cohen 1960, table 1 in frequencies: p_o .70, p_c .41, kappa .492 with 200 subjects.
    (pair,) = pair_kappas(from_table([[88, 14, 18], [10, 40, 10], [2, 6, 12]]))
    assert pair.percent == pytest.approx(0.70)
    assert pair.kappa.value == pytest.approx(0.492, abs=5e-4)


def test_kappa_of_fleiss_cohen_and_everitt():
    # Fleiss, Cohen and Everitt 1969, Psychological Bulletin 72:323-327, table 1: kappa .429 with 200 subjects.
    (pair,) = pair_kappas(from_table([[106, 10, 4], [22, 28, 10], [2, 12, 6]]))
    assert pair.kappa.value == pytest.approx(0.429, abs=5e-4)


# Fleiss 1971, Psychological Bulletin 76:378-382, table 1: thirty patients, six psychiatrists, five diagnoses.
DIAGNOSES = """00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031
00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006"""


def test_fleiss_own_example():
    ratings = from_counts([[int(digit) for digit in row] for row in DIAGNOSES.split()])
    assert percent_agreement(ratings).value == pytest.approx(0.5556, abs=5e-4)  # P-bar, p. 380
    assert fleiss_kappa(ratings).value == pytest.approx(0.430, abs=5e-4)


def test_gwets_examples():
    # Gwet 2014, Handbook of Inter-Rater Reliability, the twelve units with four raters: AC1 .77544, raw .81818.
    assert gwet_ac1(twelve_units()).value == pytest.approx(0.77544, abs=5e-6)
    assert percent_agreement(twelve_units()).value == pytest.approx(0.8181818, abs=5e-6)
    # Gwet 2002, "Kappa Statistic is not Satisfactory": 118 and 5, 2 and 0 give kappa -.0234 and AC1 .9408.
    skewed = from_table([[118, 5], [2, 0]])
    (pair,) = pair_kappas(skewed)
    assert pair.kappa.value == pytest.approx(-0.0234, abs=5e-4)
    assert gwet_ac1(skewed).value == pytest.approx(0.9408, abs=5e-4)


def test_ac1_follows_its_definition():
    # Gwet 2008, the formulas for several raters written out with loops.
    triples = random_triples(5, items=20, missing=0.4)
    by_item: dict[int, list[int]] = {}
    for item, _, value in triples:
        by_item.setdefault(item, []).append(value)
    agreeing = [
        sum(a == b for a, b in itertools.combinations(given, 2)) / (len(given) * (len(given) - 1) / 2)
        for given in by_item.values()
        if len(given) > 1
    ]
    shares = [
        sum(given.count(value) / len(given) for given in by_item.values()) / len(by_item)
        for value in range(4)
    ]
    chance = sum(share * (1 - share) for share in shares) / 3
    raw = sum(agreeing) / len(agreeing)
    assert gwet_ac1(Ratings.of(triples)).value == pytest.approx((raw - chance) / (1 - chance))


@pytest.mark.parametrize("seed", range(5))
def test_alphas_agree_with_nltk(seed):
    triples = random_triples(seed)
    # NLTK wants (coder, item, label), and counts only items with two answers.
    data = [(rater, item, value) for item, rater, value in triples]
    ratings = Ratings.of(triples, values=[0, 1, 2, 3])
    nominal = AnnotationTask(data, distance=binary_distance).alpha()
    interval = AnnotationTask(data, distance=interval_distance).alpha()
    assert krippendorff_alpha(ratings, "nominal", draws=0).value == pytest.approx(nominal, abs=1e-9)
    assert krippendorff_alpha(ratings, "interval", draws=0).value == pytest.approx(interval, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_ordinal_alpha_agrees_with_nltk_given_krippendorffs_distance(seed):
    triples = random_triples(seed)
    ratings = Ratings.of(triples, values=[0, 1, 2, 3])
    totals = ratings.pairable.sum(axis=0)

    def squared(first, second):
        low, high = sorted((first, second))
        return float(totals[low : high + 1].sum() - (totals[low] + totals[high]) / 2) ** 2

    data = [(rater, item, value) for item, rater, value in triples]
    expected = AnnotationTask(data, distance=squared).alpha()
    assert krippendorff_alpha(ratings, "ordinal", draws=0).value == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_masi_alpha_agrees_with_nltk(seed):
    random = np.random.default_rng(seed)
    sets = [frozenset(kind) for size in (1, 2, 3) for kind in itertools.combinations("abcd", size)]
    triples = [
        (item, rater, sets[int(random.integers(0, len(sets) if random.random() < 0.3 else 3))])
        for item in range(40)
        for rater in range(3)
        if random.random() > 0.2
    ]
    expected = AnnotationTask([(r, i, v) for i, r, v in triples], distance=nltk_masi_distance).alpha()
    assert masi_alpha(Ratings.of(triples), draws=0).value == pytest.approx(expected, abs=1e-9)


def test_masi_distances():
    # Passonneau 2006, section 3: Jaccard times 1, 2/3, 1/3 or 0; a set half as large as its superset gives 2/3.
    assert masi_distance(frozenset({1, 2}), frozenset({1, 2, 3, 4})) == pytest.approx(2 / 3)
    assert masi_distance(frozenset("ab"), frozenset("bc")) == pytest.approx(1 - 1 / 9)
    assert masi_distance(frozenset("a"), frozenset("b")) == 1
    assert masi_distance(frozenset(), frozenset()) == 0


@pytest.mark.parametrize("seed", range(5))
def test_kappas_agree_with_scikit_learn_and_statsmodels(seed):
    triples = random_triples(seed, missing=0.0, raters=3)
    ratings = Ratings.of(triples, values=[0, 1, 2, 3])
    for pair in pair_kappas(ratings):
        first, second = ratings.codes[:, pair.first], ratings.codes[:, pair.second]
        assert pair.kappa.value == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)
    table, _ = aggregate_raters(ratings.codes)
    assert fleiss_kappa(ratings).value == pytest.approx(statsmodels_fleiss_kappa(table), abs=1e-12)


def test_one_value_everywhere_is_undefined_and_says_why():
    same = Ratings.of([(item, rater, "ok") for item in range(20) for rater in "ab"])
    for figure in (krippendorff_alpha(same), fleiss_kappa(same), pair_kappas(same)[0].kappa):
        assert figure.value is None
        assert "only one answer was used" in figure.reason
    assert percent_agreement(same).value == 1
    assert "only one answer to give" in gwet_ac1(same).reason
    # With a second label that nobody chose, p_e is 0 by its definition.
    assert gwet_ac1(same, choices=2).value == 1


def test_without_shared_items_there_is_nothing_to_say():
    apart = Ratings.of([(1, "a", "x"), (2, "b", "y")])
    for figure in (krippendorff_alpha(apart), fleiss_kappa(apart), gwet_ac1(apart), percent_agreement(apart)):
        assert figure.value is None
        assert "two independent answers" in figure.reason
    assert pair_kappas(apart) == ()
    assert krippendorff_alpha(Ratings.of([])).value is None


def test_uneven_items_have_no_fleiss_kappa():
    figure = fleiss_kappa(twelve_units())
    assert figure.value is None
    assert "from 2 to 4 answers" in figure.reason


def test_a_pair_with_few_shared_items_is_hidden():
    nine = Ratings.of([(item, rater, item % 2) for item in range(9) for rater in "ab"])
    (pair,) = pair_kappas(nine)
    assert (pair.shared, pair.percent) == (9, 1.0)
    assert pair.kappa == Figure(None, 9, "Hidden: only 9 shared items, 10 are needed.")


def test_two_answers_of_one_person_to_one_item_are_refused():
    with pytest.raises(ValueError, match="twice"):
        Ratings.of([(1, "a", "x"), (1, "a", "y")])


def test_prevalence_paradox_shows_in_the_figures_side_by_side():
    # 98 % raw agreement with kappa and alpha about 0 (Feinstein and Cicchetti 1990, J Clin Epidemiol 43:543-549).
    skewed = from_table([[98, 1], [1, 0]])
    assert percent_agreement(skewed).value == pytest.approx(0.98)
    assert pair_kappas(skewed)[0].kappa.value == pytest.approx(-0.0101, abs=5e-5)
    assert krippendorff_alpha(skewed).value == pytest.approx(-0.005, abs=5e-4)
    assert value_of(gwet_ac1(skewed)) > 0.97


def test_interval_of_alpha_covers_the_truth_about_as_often_as_it_says():
    # Three raters who keep the true label with the same chance: alpha tends to keep², as chance is uniform.
    random = np.random.default_rng(1)
    keep, covered, tables = 0.8, 0, 120
    for _ in range(tables):
        truth = random.integers(0, 4, (100, 1))
        noise = random.integers(0, 4, (100, 3))
        codes = np.where(random.random((100, 3)) < keep, truth, noise)
        ratings = Ratings(tuple(range(100)), (0, 1, 2), (0, 1, 2, 3), codes)
        interval = interval_of(krippendorff_alpha(ratings, "nominal", draws=300))
        covered += interval.low <= keep**2 <= interval.high
    assert covered / tables == pytest.approx(0.95, abs=0.05)


def test_the_interval_is_the_same_every_time_and_holds_the_value():
    ratings = Ratings.of(random_triples(3))
    first, second = krippendorff_alpha(ratings, "nominal"), krippendorff_alpha(ratings, "nominal")
    assert first == second
    interval = interval_of(first)
    assert interval.low < value_of(first) < interval.high
    assert Figure.from_dict(first.to_dict()) == first


def test_perfect_agreement_on_few_items_is_not_certain():
    # Clopper and Pearson 1934: none of 12 leaves up to 26.5 % with 97.5 % confidence; of 50 up to 7.1 %.
    for items, low in ((12, 0.735), (50, 0.929)):
        perfect = Ratings.of([(item, rater, item % 3) for item in range(items) for rater in "ab"])
        figure = krippendorff_alpha(perfect)
        assert figure.value == 1
        assert interval_of(figure).low == pytest.approx(low, abs=5e-4)


def test_alphas_of_labels_in_sets_are_those_of_the_two_way_tables():
    random = np.random.default_rng(4)
    sets = [frozenset("a"), frozenset("ab"), frozenset("bc"), frozenset()]
    triples = [(item, rater, sets[random.integers(0, 4)]) for item in range(30) for rater in range(3)]
    ratings = Ratings.of(triples)
    holds = np.array([[name in chosen for name in "abc"] for chosen in ratings.values], dtype=np.int64)
    found = count_alphas(ratings.pairable @ holds, "abc", "abc", sizes=ratings.pairable.sum(axis=1))
    for name in "abc":
        apart = krippendorff_alpha(ratings.mapped([name in chosen for chosen in ratings.values]), draws=0)
        assert found[name].value == pytest.approx(apart.value, abs=1e-12)


def test_hardly_any_variety_has_a_value_but_no_interval():
    # One odd answer among a hundred: a third of the draws leave it out and have no alpha.
    figure = krippendorff_alpha(from_table([[99, 1], [0, 0]]))
    assert figure.value is not None
    assert figure.interval is None
    assert "Too few different answers" in figure.interval_reason


def test_the_confused_label_has_the_low_alpha():
    triples = []
    for item in range(40):
        right = "abc"[item % 3]
        other = {"a": "b", "b": "a", "c": "c"}[right] if item % 2 else right
        triples += [(item, "one", right), (item, "two", other)]
    alphas = label_alphas(Ratings.of(triples))
    assert alphas["c"].value == 1
    assert value_of(alphas["a"]) < 0.5
    assert value_of(alphas["b"]) < 0.5


def test_label_alphas_are_those_of_the_two_way_tables():
    ratings = Ratings.of(random_triples(7), values=[0, 1, 2, 3])
    for value, figure in label_alphas(ratings).items():
        apart = krippendorff_alpha(ratings.one_against_rest(value), "nominal", draws=0)
        assert figure.value == pytest.approx(apart.value, abs=1e-12)


def test_confusion_counts_pairs_and_leads_to_the_items():
    ratings = Ratings.of(
        [(1, "p", "a"), (1, "q", "b"), (1, "r", "b"), (2, "p", "a"), (2, "q", "a"), (3, "p", "b")]
    )
    found = confusion(ratings)
    assert found.values == ("a", "b")
    # Item 1: a-b twice, b-b once; item 2: a-a once; item 3 has one answer.
    assert found.cells.tolist() == [[1, 2], [2, 1]]
    assert found.most_confused() == [("a", "b", 2)]
    assert items_with_both(ratings, "a", "b") == [1]
    assert items_with_both(ratings, "a", "a") == [2]


def test_item_figures():
    counts = from_counts([[6, 0], [3, 3], [5, 1]]).counts
    # 3 and 3 of 6: 6 agreeing pairs of 15; 5 and 1: 10 of 15.
    assert item_agreement(counts).tolist() == pytest.approx([1, 6 / 15, 10 / 15])
    assert item_entropy(counts)[0] == 0
    assert item_entropy(from_counts([[1, 1, 1]]).counts).tolist() == pytest.approx([1])


def test_ranking_distance():
    # Fagin et al. 2006: reversed orders are 1 apart; a tie in one of them is half a discordant pair.
    first = (("x", 1), ("y", 2), ("z", 3))
    assert ranking_distance(first, (("x", 3), ("y", 2), ("z", 1))) == 1
    assert ranking_distance(first, first) == 0
    assert ranking_distance(first, (("x", 1), ("y", 1), ("z", 3))) == pytest.approx(0.5 / 3)
    same = Ratings.of([(item, rater, first) for item in range(3) for rater in "ab"])
    assert distance_alpha(same, ranking_distance).value is None


@pytest.mark.parametrize(("scale", "values"), [("nominal", 150), ("ordinal", 7), ("interval", 7)])
def test_ten_thousand_items_are_quick(scale, values):
    random = np.random.default_rng(0)
    truth = random.integers(0, values, (10_000, 1))
    codes = np.where(random.random((10_000, 4)) < 0.7, truth, random.integers(0, values, (10_000, 4)))
    codes[random.random((10_000, 4)) < 0.3] = -1
    ratings = Ratings(tuple(range(10_000)), tuple("abcd"), tuple(range(values)), codes)
    started = time.perf_counter()
    figure = krippendorff_alpha(ratings, scale)
    assert figure.interval is not None
    assert time.perf_counter() - started < 4
