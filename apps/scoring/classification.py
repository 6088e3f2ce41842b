"""Label metrics: precision, recall, F1 and the confusion matrix; unreadable answers have their own column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from apps.core.errors import PortalError

INVALID = "(invalid)"


class UnequalLengthsError(PortalError):
    """Gold and predicted labels do not belong together."""


@dataclass(frozen=True, slots=True)
class ConfusionMatrix:
    """`counts[i][j]`: answers whose gold label is `rows[i]` and whose predicted label is `columns[j]`.

    Rows are the labels that occur in the gold answers, most frequent first. Columns are the same labels
    in the same order, then labels that were only predicted, then "(invalid)" for answers without a
    readable label; the last two only where they occur.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class LabelScores:
    """The figures of one label. Shares in 0..1; an undefined one (0/0) is 0, as in scikit-learn."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class ClassificationReport:
    """Macro figures are plain means over the labels that occur in the gold answers."""

    labels: tuple[LabelScores, ...]
    accuracy: float | None
    macro_precision: float | None
    macro_recall: float | None
    macro_f1: float | None
    invalid: int
    confusion: ConfusionMatrix


def confusion_matrix(gold: Sequence[str], predicted: Sequence[str | None]) -> ConfusionMatrix:
    """Count the pairs. None as predicted label means an answer without a readable label."""
    _check_lengths(gold, predicted)
    frequency = Counter(gold)
    rows = tuple(sorted(frequency, key=lambda label: (-frequency[label], label)))
    only_predicted = sorted({label for label in predicted if label is not None} - set(rows))
    invalid = (INVALID,) if None in predicted else ()
    columns = (*rows, *only_predicted, *invalid)
    pairs = Counter(
        (label, INVALID if guess is None else guess) for label, guess in zip(gold, predicted, strict=True)
    )
    return ConfusionMatrix(
        rows, columns, tuple(tuple(pairs[row, column] for column in columns) for row in rows)
    )


def classification_report(gold: Sequence[str], predicted: Sequence[str | None]) -> ClassificationReport:
    """Precision, recall and F1 per gold label, by scikit-learn.

    An unreadable answer (None) is a wrong prediction: it costs its gold label recall and gives no label
    a false positive. A predicted label that never occurs as gold is wrong too, and is no class of its own.
    Pass scored items only: an item without an answer is neither right nor wrong.
    """
    from sklearn.metrics import precision_recall_fscore_support

    confusion = confusion_matrix(gold, predicted)
    if not gold:
        return ClassificationReport((), None, None, None, None, 0, confusion)
    guesses = [INVALID if guess is None else guess for guess in predicted]
    figures = precision_recall_fscore_support(
        list(gold), guesses, labels=list(confusion.rows), average=None, zero_division=0.0
    )
    labels = tuple(
        LabelScores(label, float(precision), float(recall), float(f1), int(support))
        for label, precision, recall, f1, support in zip(confusion.rows, *figures, strict=True)
    )
    right = sum(label == guess for label, guess in zip(gold, guesses, strict=True))
    return ClassificationReport(
        labels,
        right / len(gold),
        sum(label.precision for label in labels) / len(labels),
        sum(label.recall for label in labels) / len(labels),
        sum(label.f1 for label in labels) / len(labels),
        sum(guess is None for guess in predicted),
        confusion,
    )


def _check_lengths(gold: Sequence[str], predicted: Sequence[str | None]) -> None:
    if len(gold) != len(predicted):
        raise UnequalLengthsError(
            f"There are {len(gold)} gold labels but {len(predicted)} predicted ones; each item needs both."
        )
