"""What the comparison page shows, made from stored figures: no queries, no markup."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from apps.core.formatting import format_duration, format_number
from apps.evaluations.costs import cost_per_thousand
from apps.evaluations.figures import (
    Estimate,
    FlipSegment,
    ForestPlot,
    MatrixFigure,
    WhiskerRow,
    flip_bar,
    forest_plot,
    matrix_figure,
)
from apps.evaluations.models import Comparison
from apps.evaluations.selectors.comparisons import Contender
from apps.evaluations.selectors.items import FLIP_LABELS, FLIPS
from apps.evaluations.statistics import PairedCounts
from apps.evaluations.verdict import Outcome, Recommendation, Verdict, format_p
from apps.providers.prices import PriceBook

WIN_TITLES = {
    Recommendation.SHIP: "Fine-tuned wins",
    Recommendation.MIX_GENERAL_DATA: "Fine-tuned wins on the task, but costs general skill",
    Recommendation.MEASURE_GENERAL_SKILL: "Fine-tuned wins on the task; general skill is open",
    Recommendation.MEND_GUARDS: "Fine-tuned wins on the task, but a condition does not hold",
}
OUTCOME_TITLES = {
    Outcome.LOSES: "Fine-tuned loses",
    Outcome.NO_DIFFERENCE_SHOWN: "No difference shown",
    Outcome.TOO_FEW_ITEMS: "Too few items to tell",
}


def verdict_title(verdict: Verdict) -> str:
    """The verdict in a few words; the sentence has the figures."""
    return _title(verdict.outcome, verdict.recommendation)


def comparison_title(comparison: Comparison) -> str:
    """The same of a stored comparison; empty while it has no verdict."""
    if comparison.verdict is None:
        return ""
    return _title(Outcome(comparison.outcome), Recommendation(comparison.verdict["recommendation"]))


def _title(outcome: Outcome, recommendation: Recommendation) -> str:
    return WIN_TITLES[recommendation] if outcome is Outcome.WINS else OUTCOME_TITLES[outcome]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One cell of the contenders' table. `detail` stands below, smaller."""

    value: float | None
    low: float | None = None
    high: float | None = None
    best: bool = False
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class ContenderRow:
    label: str
    note: str
    url_key: str
    is_candidate: bool
    is_computed: bool
    unscored: int
    exact: Figure
    accuracy: Figure
    macro_f1: Figure
    format: Figure
    p50: Figure
    p95: Figure
    tokens_per_call: float | None
    compute_per_thousand: float | None
    cost_per_thousand: str
    """At a provider; empty where it is unknown."""


def contender_rows(
    contenders: Sequence[Contender], majority: dict[str, Any] | None = None, *, prices: PriceBook
) -> list[ContenderRow]:
    """The computed reference first, then the baselines, then the candidate; the best of each column is marked."""
    metrics = [contender.metrics for contender in contenders]
    best = {
        "exact": _best([_value(one, "exact") for one in metrics]),
        "accuracy": _best([_accuracy(one) for one in metrics]),
        "macro_f1": _best([(one or {}).get("macro_f1") for one in metrics]),
        "format": _best([_value(one, "format") for one in metrics]),
        "p50": _best([_latency(one, "p50") for one in metrics], highest=False),
        "p95": _best([_latency(one, "p95") for one in metrics], highest=False),
    }
    rows = [
        _row(
            contender.metrics,
            best,
            label=contender.label,
            note=contender.variant.name,
            url_key=contender.key,
            is_candidate=contender.is_candidate,
            cost=cost_per_thousand(contender.variant, contender.metrics, prices),
        )
        for contender in contenders
    ]
    if majority is not None:
        answer = " ".join(str(majority["answer"]).split())
        note = f"always answers “{answer[:60]}”; computed, no model"
        rows.insert(0, _row(majority, {}, label="majority class", note=note, url_key="", is_computed=True))
    return rows


def _row(
    metrics: dict[str, Any] | None,
    best: dict[str, float | None],
    *,
    label: str,
    note: str,
    url_key: str,
    is_candidate: bool = False,
    is_computed: bool = False,
    cost: str = "",
) -> ContenderRow:
    cells = _Cells(metrics or {}, best, is_computed)
    return ContenderRow(
        label=label,
        note=note,
        url_key=url_key,
        is_candidate=is_candidate,
        is_computed=is_computed,
        unscored=cells.known.get("unscored", 0),
        exact=cells.share("exact"),
        accuracy=cells.accuracy(),
        macro_f1=cells.macro_f1(),
        format=cells.share("format"),
        p50=cells.latency("p50"),
        p95=cells.latency("p95"),
        tokens_per_call=cells.tokens_per_call(),
        compute_per_thousand=cells.compute_per_thousand(),
        cost_per_thousand=cost,
    )


@dataclass(frozen=True)
class _Cells:
    """The cells of one row. What was computed without a model took no time and no tokens."""

    known: Mapping[str, Any]
    best: Mapping[str, float | None]
    is_computed: bool

    def share(self, name: str) -> Figure:
        found = self.known.get(name)
        if not found:
            return Figure(value=None)
        interval = found.get("interval") or {}
        return Figure(
            value=found["value"],
            low=interval.get("low"),
            high=interval.get("high"),
            best=found["value"] == self.best.get(name),
            detail=f"{format_number(found['right'])} of {format_number(found['scored'])}",
        )

    def accuracy(self) -> Figure:
        fields = self.known.get("fields") or {}
        parts = {name: one["value"] for name, one in fields.items() if one}
        return self._marked("accuracy", _accuracy(self.known), _each(parts))

    def macro_f1(self) -> Figure:
        labels = self.known.get("labels") or {}
        parts = {name: one["macro_f1"] for name, one in labels.items()}
        return self._marked("macro_f1", self.known.get("macro_f1"), _each(parts))

    def latency(self, name: str) -> Figure:
        return self._marked(name, None if self.is_computed else _latency(self.known, name))

    def tokens_per_call(self) -> float | None:
        tokens = self.known.get("tokens") or {}
        measured = 0 if self.is_computed else tokens.get("calls", 0) - tokens.get("missing", 0)
        return (tokens["prompt"] + tokens["completion"]) / measured if measured else None

    def compute_per_thousand(self) -> float | None:
        seconds = self.known.get("compute_seconds_per_answer")
        return seconds * 1000 if seconds is not None and not self.is_computed else None

    def _marked(self, name: str, value: float | None, detail: str = "") -> Figure:
        return Figure(value=value, best=value is not None and value == self.best.get(name), detail=detail)


def _each(shares: dict[str, float]) -> str:
    """The parts behind a mean; of one part there is nothing to say."""
    if len(shares) < 2:
        return ""
    return ", ".join(f"{name} {100 * share:.1f}" for name, share in shares.items())


def _value(metrics: Mapping[str, Any] | None, name: str) -> float | None:
    found = (metrics or {}).get(name)
    return found["value"] if found else None


def _accuracy(metrics: Mapping[str, Any] | None) -> float | None:
    """The mean share of right fields; None where answers have no fields."""
    shares = [one["value"] for one in ((metrics or {}).get("fields") or {}).values() if one]
    return sum(shares) / len(shares) if shares else None


def _latency(metrics: Mapping[str, Any] | None, name: str) -> float | None:
    value: float | None = ((metrics or {}).get("latency") or {}).get(name)
    return value


def _best(values: Sequence[float | None], *, highest: bool = True) -> float | None:
    known = [value for value in values if value is not None]
    if len(set(known)) < 2:
        return None
    return max(known) if highest else min(known)


@dataclass(frozen=True, kw_only=True)
class ForestRow:
    """One comparison in the forest plot, with what stands beside the shape."""

    label: str
    difference: float
    low: float
    high: float
    p: str
    verdict: str
    is_general: bool
    shape: WhiskerRow


@dataclass(frozen=True, kw_only=True)
class Forest:
    plot: ForestPlot
    rows: list[ForestRow]
    margin: float | None

    @property
    def band_width(self) -> float:
        """Of the accepted loss; 0 without a margin."""
        if self.plot.band_left is None or self.plot.band_right is None:
            return 0.0
        return self.plot.band_right - self.plot.band_left


def forest(verdict: Verdict) -> Forest:
    """Candidate minus every baseline, and general skill after minus before with its margin, on one axis."""
    general = verdict.general
    estimates = [
        Estimate(
            label=f"against {pair.name}",
            value=pair.difference,
            low=pair.interval.low,
            high=pair.interval.high,
            emphasis=pair.name == verdict.lead,
        )
        for pair in verdict.comparisons
    ]
    if general is not None:
        estimates.append(
            Estimate(
                label="general skills, after minus before",
                value=general.difference,
                low=general.interval.low,
                high=general.interval.high,
            )
        )
    plot = forest_plot(estimates, margin=general.margin if general else None, width=320, row_height=32)
    rows = [
        ForestRow(
            label=shape.estimate.label,
            difference=shape.estimate.value or 0.0,
            low=shape.estimate.low or 0.0,
            high=shape.estimate.high or 0.0,
            p=format_p(verdict.comparisons[index].p) if index < len(verdict.comparisons) else "",
            verdict=verdict.comparisons[index].outcome.replace("_", " ")
            if index < len(verdict.comparisons)
            else str(general.status if general else "").replace("_", " "),
            is_general=index >= len(verdict.comparisons),
            shape=shape,
        )
        for index, shape in enumerate(plot.rows)
    ]
    return Forest(plot=plot, rows=rows, margin=general.margin if general else None)


def confusion_figure(metrics: dict[str, Any] | None, field: str) -> MatrixFigure | None:
    """The confusion matrix of one run for one field; None where there is none."""
    found = ((metrics or {}).get("labels") or {}).get(field)
    if not found:
        return None
    matrix = found["confusion"]
    return matrix_figure(matrix["rows"], matrix["columns"], matrix["counts"])


def label_fields(metrics: dict[str, Any] | None) -> list[str]:
    return list((metrics or {}).get("labels") or {})


def columns_of(rows: Sequence[ContenderRow]) -> dict[str, bool]:
    """Columns that mean nothing for this form of answers are left out."""
    return {
        "accuracy": any(row.accuracy.value is not None for row in rows),
        "macro_f1": any(row.macro_f1.value is not None for row in rows),
    }


@dataclass(frozen=True, kw_only=True)
class FlipChoice:
    """One filter by flip; `segment` is its part of the bar, None for those that are no part of it."""

    key: str
    label: str
    count: int
    url: str
    current: bool
    segment: FlipSegment | None


def flip_choices(counts: Mapping[str, int], parameters: Mapping[str, str], current: str) -> list[FlipChoice]:
    """The filters above the items, with their links; the other choices of the URL are kept."""
    segments = {
        segment.key: segment for segment in flip_bar(PairedCounts(**{key: counts[key] for key in FLIPS}))
    }
    kept = {name: value for name, value in parameters.items() if name not in ("flip", "after", "before")}
    return [
        FlipChoice(
            key=key,
            label=label,
            count=counts[key],
            url="?" + urlencode({**kept, "flip": key}),
            current=key == current,
            segment=segments.get(key),
        )
        for key, label in FLIP_LABELS.items()
        if counts[key] or key in ("disagree", "all")
    ]


def labels_of(metrics: dict[str, Any] | None, field: str) -> list[str]:
    """The labels that occur as expected answers, the most frequent first."""
    found = ((metrics or {}).get("labels") or {}).get(field)
    return list(found["confusion"]["rows"]) if found else []


def estimated_time(calls: int, rate: float | None) -> str:
    """In words; unknown until a run of this project was timed."""
    if rate is None:
        return "unknown until the first evaluation here has run"
    return f"about {format_duration(calls / rate)}, at {format_number(rate, 1)} answers a second as measured here"
