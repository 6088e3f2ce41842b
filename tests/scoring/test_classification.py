import pytest

from apps.scoring.classification import (
    INVALID,
    UnequalLengthsError,
    classification_report,
    confusion_matrix,
)


def test_the_example_of_scikit_learn():
    # scikit-learn, docstring of precision_recall_fscore_support.
    gold = ["cat", "dog", "pig", "cat", "dog", "pig"]
    predicted = ["cat", "pig", "dog", "cat", "cat", "dog"]
    report = classification_report(gold, predicted)
    by_label = {item.label: item for item in report.labels}
    assert by_label["cat"].precision == pytest.approx(2 / 3)
    assert by_label["cat"].recall == 1.0
    assert by_label["cat"].f1 == pytest.approx(0.8)
    assert (by_label["dog"].f1, by_label["pig"].f1) == (0.0, 0.0)
    assert [item.support for item in report.labels] == [2, 2, 2]
    assert report.macro_precision == pytest.approx(0.222, abs=5e-4)
    assert report.macro_recall == pytest.approx(0.333, abs=5e-4)
    assert report.macro_f1 == pytest.approx(0.267, abs=5e-4)
    assert report.accuracy == pytest.approx(1 / 3)


def test_the_confusion_matrix_of_scikit_learn():
    # scikit-learn, docstring of confusion_matrix: rows and columns ant, bird, cat give
    # [[2, 0, 0], [0, 0, 1], [1, 0, 2]]; here the rows are ordered by frequency: cat, ant, bird.
    gold = ["cat", "ant", "cat", "cat", "ant", "bird"]
    predicted = ["ant", "ant", "cat", "cat", "ant", "cat"]
    matrix = confusion_matrix(gold, predicted)
    assert matrix.rows == matrix.columns == ("cat", "ant", "bird")
    assert matrix.counts == ((2, 1, 0), (0, 2, 0), (1, 0, 0))


def test_invalid_answers_are_wrong_and_have_their_own_column():
    gold = ["a", "a", "a", "b"]
    predicted = ["a", None, "z", "b"]
    report = classification_report(gold, predicted)
    assert report.confusion.columns == ("a", "b", "z", INVALID)
    assert report.confusion.counts == ((1, 0, 1, 1), (0, 1, 0, 0))
    assert report.invalid == 1
    assert report.accuracy == 0.5
    # a: precision 1, recall 1/3, F1 1/2; b: 1. The macro mean is over a and b, not over z.
    assert report.macro_f1 == pytest.approx(0.75)


def test_no_items():
    report = classification_report([], [])
    assert report.macro_f1 is None
    assert report.accuracy is None
    assert report.confusion.rows == ()


def test_unequal_lengths_are_refused():
    with pytest.raises(UnequalLengthsError, match="2 gold labels but 1"):
        classification_report(["a", "b"], ["a"])
