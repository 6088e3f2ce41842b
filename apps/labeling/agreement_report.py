"""The figures of agreement for one question, by what kind of question it is. No Django.

Which coefficient is the headline: alpha, nominal for labels, ordinal for ordered ones and ratings, with the MASI
distance for sets and the share of swapped pairs for rankings. Spans have F1, texts the edit distance; neither has an
alpha.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.labeling.agreement import (
    Confusion,
    Figure,
    PairFigure,
    Ratings,
    Span,
    confusion,
    count_alphas,
    distance_alpha,
    fleiss_kappa,
    gwet_ac1,
    krippendorff_alpha,
    label_alphas,
    masi_alpha,
    pair_kappas,
    percent_agreement,
    ranking_distance,
    span_f1,
    text_distance,
)
from apps.labeling.answers import CATEGORICAL, TEXTUAL, TIE, label_values
from apps.labeling.likeness import comparable, readable

MOST_LABELS_SHOWN = 200


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """One answer that counts for agreement: given independently, not a draft accepted unchanged."""

    item: int
    rater: int
    value: Any
    guideline_version: int | None = None


@dataclass(frozen=True)
class NamedFigure:
    """A coefficient with its name for people. A share is shown in per cent, a coefficient from -1 to 1."""

    name: str
    figure: Figure
    note: str = ""
    is_share: bool = False


@dataclass(frozen=True)
class LabelFigure:
    """One label: how often it was given, and how well people agree on it against all others."""

    label: str
    count: int
    share: float
    alpha: Figure


@dataclass(frozen=True)
class QuestionAgreement:
    """Everything that is known about the agreement on one question. `headline` is what a pilot's gate reads."""

    answers: int
    items: int
    shared_items: int
    raters: int
    headline: NamedFigure
    figures: tuple[NamedFigure, ...]
    labels: tuple[LabelFigure, ...] = ()
    pairs: tuple[PairFigure, ...] = ()
    confusion: Confusion | None = None
    by_version: tuple[tuple[int, NamedFigure, Figure], ...] = ()
    """(guideline version, headline, raw agreement), where labels were made under several."""


def question_agreement(
    kind: str, options: Mapping[str, Any], answers: Sequence[GivenAnswer]
) -> QuestionAgreement:
    """The report of one question."""
    ratings = _ratings(kind, options, answers)
    headline, *others = _figures(kind, options, ratings, answers)
    raw = percent_agreement(ratings)
    has_labels = kind in CATEGORICAL or kind in ("rate", "choose_several")
    return QuestionAgreement(
        answers=len(answers),
        items=len(ratings.items),
        shared_items=len(ratings.pairable),
        raters=len(ratings.raters),
        headline=headline,
        figures=(
            headline,
            NamedFigure("Raw agreement", raw, "pairs of labels that are the same", True),
            *others,
        ),
        labels=_labels(kind, options, ratings) if has_labels else (),
        pairs=pair_kappas(ratings) if kind not in TEXTUAL else (),
        confusion=confusion(ratings) if kind in CATEGORICAL or kind == "rate" else None,
        by_version=_by_version(kind, options, answers),
    )


def _ratings(kind: str, options: Mapping[str, Any], answers: Iterable[GivenAnswer]) -> Ratings:
    triples = ((one.item, one.rater, comparable(kind, one.value)) for one in answers)
    return Ratings.of(triples, _values(kind, options))


def _values(kind: str, options: Mapping[str, Any]) -> list[Any] | None:
    """All answers that can be given, in their order."""
    if kind == "choose_one":
        return list(label_values(options))
    if kind == "rate":
        return list(range(int(options.get("low", 1)), int(options.get("high", 5)) + 1))
    if kind == "prefer":
        return ["1", "2", TIE] if options.get("ties") else ["1", "2"]
    return ["accept", "reject"] if kind == "verdict" else None


def _figures(
    kind: str, options: Mapping[str, Any], ratings: Ratings, answers: Sequence[GivenAnswer]
) -> list[NamedFigure]:
    choices = len(_values(kind, options) or ())
    if kind == "rate":
        return [
            NamedFigure("Krippendorff's α", krippendorff_alpha(ratings, "ordinal"), "ordinal"),
            NamedFigure("α, interval", krippendorff_alpha(ratings, "interval"), "as numbers"),
            NamedFigure("Gwet's AC1", gwet_ac1(ratings, choices), "nominal"),
        ]
    if kind in CATEGORICAL:
        ordered = kind == "choose_one" and options.get("ordered")
        alpha = krippendorff_alpha(ratings, "ordinal" if ordered else "nominal")
        return [
            NamedFigure("Krippendorff's α", alpha, "ordinal" if ordered else "nominal"),
            NamedFigure(
                "Gwet's AC1", gwet_ac1(ratings, choices), "holds where one label is far more frequent"
            ),
            NamedFigure("Fleiss' κ", fleiss_kappa(ratings), "the same number of labels for every item"),
        ]
    if kind == "choose_several":
        return [NamedFigure("Krippendorff's α", masi_alpha(ratings), "sets of labels, MASI distance")]
    if kind == "rank":
        alpha = distance_alpha(ratings, ranking_distance)
        return [NamedFigure("Krippendorff's α", alpha, "rankings, share of swapped pairs")]
    if kind == "spans":
        return _span_figures(answers)
    by_item: dict[int, dict[int, str]] = {}
    for one in answers:
        by_item.setdefault(one.item, {})[one.rater] = str(one.value)
    return [NamedFigure("Edit distance", text_distance(by_item), "0 % the same, 100 % nothing alike", True)]


def _span_figures(answers: Sequence[GivenAnswer]) -> list[NamedFigure]:
    spans: dict[int, dict[int, tuple[Span, ...]]] = {}
    for one in answers:
        spans.setdefault(one.item, {})[one.rater] = tuple(
            Span(span["start"], span["end"], span["label"]) for span in one.value
        )
    labels = sorted(
        {span.label for people in spans.values() for marked in people.values() for span in marked}
    )
    return [
        NamedFigure("Span F1", span_f1(spans), "same start, end and label", True),
        NamedFigure("Span F1, overlap", span_f1(spans, "overlap"), "same label, a character in common", True),
        *(NamedFigure(f"F1 of {label}", span_f1(spans, label=label), "exact", True) for label in labels[:20]),
    ]


def _labels(kind: str, options: Mapping[str, Any], ratings: Ratings) -> tuple[LabelFigure, ...]:
    counts = ratings.counts.sum(axis=0)
    if kind == "choose_several":
        names: list[Any] = label_values(options)
        holds = np.array([[name in chosen for name in names] for chosen in ratings.values], dtype=np.int64)
        holds = holds.reshape(len(ratings.values), len(names))
        pairable = ratings.pairable
        alphas = count_alphas(pairable @ holds, names, names, sizes=pairable.sum(axis=1))
        given = dict(zip(names, (counts @ holds).tolist(), strict=True))
    else:
        names = list(ratings.used)
        alphas = label_alphas(ratings)
        given = dict(zip(ratings.values, counts.tolist(), strict=False))
    total = int(counts.sum())
    shown_as = "choose_one" if kind == "choose_several" else kind
    return tuple(
        LabelFigure(
            readable(shown_as, name), given[name], given[name] / total if total else 0.0, alphas[name]
        )
        for name in names[:MOST_LABELS_SHOWN]
    )


def _by_version(
    kind: str, options: Mapping[str, Any], answers: Sequence[GivenAnswer]
) -> tuple[tuple[int, NamedFigure, Figure], ...]:
    by_version: dict[int, list[GivenAnswer]] = {}
    for one in answers:
        if one.guideline_version is not None:
            by_version.setdefault(one.guideline_version, []).append(one)
    if len(by_version) < 2:
        return ()
    rows = []
    for version, part in sorted(by_version.items()):
        ratings = _ratings(kind, options, part)
        rows.append((version, _figures(kind, options, ratings, part)[0], percent_agreement(ratings)))
    return tuple(rows)
