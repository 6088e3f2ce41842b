"""What the pages of agreement draw: numbers and words made ready, no queries, no markup."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from apps.core.formatting import format_number, format_percent
from apps.labeling.agreement import Confusion, Figure
from apps.labeling.agreement_report import NamedFigure, QuestionAgreement
from apps.labeling.likeness import readable
from apps.labeling.selectors.agreement import QuestionReport

SHADES = 6
MOST_SIDE = 20
"""A larger matrix is read as the list of its most confused pairs."""


@dataclass(frozen=True)
class Shown:
    """A coefficient as it stands on the page, with its interval drawn where there is one."""

    name: str
    note: str
    value: str
    reason: str
    interval: str
    low: float | None
    point: float | None
    high: float | None


def shown_figure(named: NamedFigure) -> Shown:
    figure = named.figure

    def written(value: float) -> str:
        return format_percent(value) if named.is_share else format_number(value, 3)

    interval = figure.interval
    return Shown(
        name=named.name,
        note=named.note,
        value="undefined" if figure.value is None else written(figure.value),
        reason=figure.reason or figure.interval_reason,
        interval="" if interval is None else f"{written(interval.low)} to {written(interval.high)}",
        low=interval.low if interval else None,
        point=figure.value,
        high=interval.high if interval else None,
    )


def shown_coefficient(figure: Figure) -> Shown:
    """A coefficient without a name of its own, as of a pair or a label."""
    return shown_figure(NamedFigure("", figure))


@dataclass(frozen=True)
class Cell:
    row: str
    column: str
    count: int
    shade: int
    hit: bool
    query: str


def confusion_cells(report: QuestionReport) -> tuple[list[str], list[list[Cell]]]:
    """The matrix as lines of cells, each with the query of its items; empty where it is too large to be read."""
    matrix, question = report.agreement.confusion, report.question
    if matrix is None or not 2 <= len(matrix.values) <= MOST_SIDE:
        return [], []
    names = [readable(question.kind, value) for value in matrix.values]
    lines = []
    for i, line in enumerate(matrix.cells.tolist()):
        total = sum(line)
        lines.append(
            [
                Cell(
                    row=names[i],
                    column=names[j],
                    count=count,
                    shade=min(SHADES, -(-count * SHADES // total)) if total and count else 0,
                    hit=i == j,
                    query=_query(question.key, matrix.values[i], matrix.values[j]),
                )
                for j, count in enumerate(line)
            ]
        )
    return names, lines


@dataclass(frozen=True)
class ConfusedPair:
    first: str
    second: str
    count: int
    query: str


def confused_pairs(report: QuestionReport, limit: int = 10) -> list[ConfusedPair]:
    matrix, question = report.agreement.confusion, report.question
    if not isinstance(matrix, Confusion):
        return []
    return [
        ConfusedPair(
            readable(question.kind, first),
            readable(question.kind, second),
            count,
            _query(question.key, first, second),
        )
        for first, second, count in matrix.most_confused(limit)
    ]


def _query(key: str, first: Any, second: Any) -> str:
    return urlencode({"question": key, "a": first, "b": second})


def verdict_of(reports: Sequence[QuestionReport], gate: float | None) -> tuple[str, str]:
    """(sentence, tone): the answer before its evidence, by the lowest bound of the questions that have an alpha."""
    measured = [one for one in reports if not one.agreement.headline.is_share and one.question.required]
    measured = measured or [one for one in reports if not one.agreement.headline.is_share]
    known = [report for report in measured if report.agreement.headline.figure.value is not None]
    if not any(report.agreement.shared_items for report in reports):
        return "No item has two independent labels yet", "info"
    if not known:
        reason = measured[0].agreement.headline.figure.reason if measured else ""
        return reason or "These questions have no chance-corrected figure; read the shares below", "attention"
    worst = min(known, key=_lower_bound)
    figure = shown_figure(worst.agreement.headline)
    sentence = f"α = {figure.value}" + (f" (95 % CI {figure.interval})" if figure.interval else "")
    where = f" on “{worst.question.title}”" if len(reports) > 1 else ""
    if gate is None:
        return f"{sentence}{where}", "info"
    passes = _lower_bound(worst) >= gate and len(known) == len(measured)
    return f"{sentence}{where}: the lower bound {'reaches' if passes else 'stays below'} {gate}", (
        "done" if passes else "attention"
    )


def _lower_bound(report: QuestionReport) -> float:
    figure = report.agreement.headline.figure
    if figure.interval is not None:
        return figure.interval.low
    return -1.0 if figure.value is None else min(figure.value, 0.0)


def label_mix(agreement: QuestionAgreement) -> list[Any]:
    """The labels, the most frequent first."""
    return sorted(agreement.labels, key=lambda label: (-label.count, label.label))
