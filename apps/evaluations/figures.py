"""Geometry of the small server-drawn pictures of an evaluation: numbers only, in the units of an SVG view box.

Templates draw the shapes and write the words; nothing here knows about markup. Values that a template
shows next to a shape are handed through unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from apps.evaluations.statistics import PairedCounts

SHADES = 6
"""Shading levels of a matrix: 0 (nothing) to 6 (all of the row)."""


@dataclass(frozen=True, slots=True)
class Tick:
    value: float
    position: float


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear axis from `low` to `high` over 0..`width`."""

    low: float
    high: float
    width: float
    ticks: tuple[Tick, ...]

    def position(self, value: float) -> float:
        """Where a value lies; values outside the axis are put at its end."""
        share = (value - self.low) / (self.high - self.low)
        return round(min(1.0, max(0.0, share)) * self.width, 2)


def nice_axis(
    values: Iterable[float],
    *,
    width: float,
    ticks: int = 5,
) -> Axis:
    """An axis whose ends are ticks and whose step is 1, 2 or 5 times a power of ten, with about `ticks` steps.

    It covers all `values`. The way to the step is that of Heckbert 1990, "Nice numbers for graph labels", Graphics
    Gems.
    """
    known = [value for value in values if math.isfinite(value)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if high - low < 1e-9:
        low, high = low - 0.05, high + 0.05
    step = _nice_step((high - low) / max(1, ticks))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    first, last = (first, last) if first < last else (first - 1, last + 1)
    numbers = [round(number * step, 12) for number in range(first, last + 1)]
    axis = Axis(numbers[0], numbers[-1], width, ())
    return Axis(axis.low, axis.high, width, tuple(Tick(value, axis.position(value)) for value in numbers))


def _nice_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    for factor in (1, 2, 5):
        if rough <= factor * power * (1 + 1e-9):
            return factor * power
    return 10 * power


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with its interval, to be drawn. None is unknown and is drawn as a row without a shape."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    emphasis: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WhiskerRow:
    """One row; `y` is its middle. `left` and `right` are the ends of the interval."""

    estimate: Estimate
    y: float
    x: float | None
    left: float | None
    right: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestPlot:
    """Differences around zero. The band is where a loss is still within the margin; None without a margin."""

    width: float
    height: float
    axis: Axis
    rows: tuple[WhiskerRow, ...]
    zero: float
    band_left: float | None
    band_right: float | None


def forest_plot(
    estimates: Sequence[Estimate], *, margin: float | None = None, width: float = 320, row_height: float = 28
) -> ForestPlot:
    """Differences with their intervals, a line at zero and the non-inferiority band from -margin to zero.

    Zero and the margin are always on the axis.
    """
    always = [0.0] if margin is None else [0.0, -margin]
    axis = nice_axis([*_figures(estimates), *always], width=width)
    return ForestPlot(
        width=width,
        height=row_height * len(estimates),
        axis=axis,
        rows=_rows(estimates, axis, row_height),
        zero=axis.position(0.0),
        band_left=None if margin is None else axis.position(-margin),
        band_right=None if margin is None else axis.position(0.0),
    )


def _figures(estimates: Sequence[Estimate]) -> list[float]:
    return [value for item in estimates for value in (item.value, item.low, item.high) if value is not None]


def _rows(estimates: Sequence[Estimate], axis: Axis, row_height: float) -> tuple[WhiskerRow, ...]:
    def place(value: float | None) -> float | None:
        return None if value is None else axis.position(value)

    return tuple(
        WhiskerRow(
            estimate=item,
            y=round((number + 0.5) * row_height, 2),
            x=place(item.value),
            left=place(item.low),
            right=place(item.high),
        )
        for number, item in enumerate(estimates)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixCell:
    """One cell. `share` is of its row; `shade` is 0..6. `hit` is the diagonal."""

    row: str
    column: str
    count: int
    share: float
    shade: int
    hit: bool
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixFigure:
    """The cells of a confusion matrix in rows; `cell` is the side of one cell."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[MatrixCell, ...], ...]
    cell: float
    width: float
    height: float


def matrix_figure(
    rows: Sequence[str], columns: Sequence[str], counts: Sequence[Sequence[int]], *, cell: float = 36
) -> MatrixFigure:
    """Shade each cell by its share of the row, so that a rare label is read as easily as a frequent one."""
    lines = []
    for i, (row, line) in enumerate(zip(rows, counts, strict=True)):
        total = sum(line)
        shares = [count / total if total else 0.0 for count in line]
        lines.append(
            tuple(
                MatrixCell(
                    row=row,
                    column=column,
                    count=count,
                    share=share,
                    shade=_shade(share),
                    hit=row == column,
                    x=j * cell,
                    y=i * cell,
                )
                for j, (column, count, share) in enumerate(zip(columns, line, shares, strict=True))
            )
        )
    return _matrix(rows, columns, lines, cell)


def _matrix(
    rows: Sequence[str], columns: Sequence[str], lines: Sequence[tuple[MatrixCell, ...]], cell: float
) -> MatrixFigure:
    return MatrixFigure(
        rows=tuple(rows),
        columns=tuple(columns),
        cells=tuple(lines),
        cell=cell,
        width=cell * len(columns),
        height=cell * len(rows),
    )


def _shade(share: float) -> int:
    """0 for nothing, at least 1 for anything, 6 for all."""
    return math.ceil(share * SHADES - 1e-9)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlipSegment:
    """One part of the flip bar; `key` is "fixed", "same_right", "same_wrong" or "broken"."""

    key: str
    count: int
    share: float
    x: float
    width: float


def flip_bar(counts: PairedCounts, *, width: float = 640, least: float = 4) -> tuple[FlipSegment, ...]:
    """Widths in proportion to the counts, in the order fixed, same right, same wrong, broken.

    A part with few items keeps at least `least` so that it can be seen and clicked; the others give way.
    Empty parts are left out.
    """
    parts = [
        (key, getattr(counts, key))
        for key in ("fixed", "same_right", "same_wrong", "broken")
        if getattr(counts, key) > 0
    ]
    if not parts:
        return ()
    least = min(least, width / len(parts))
    widths = _widths([count for _, count in parts], width, least)
    segments, x = [], 0.0
    for (key, count), part in zip(parts, widths, strict=True):
        segments.append(
            FlipSegment(key=key, count=count, share=count / counts.items, x=round(x, 2), width=round(part, 2))
        )
        x += part
    return tuple(segments)


def _widths(counts: Sequence[int], width: float, least: float) -> list[float]:
    """Raise the parts that are too narrow to `least` and share the rest among the others, until none is too narrow."""
    narrow: set[int] = set()
    while True:
        rest = width - least * len(narrow)
        total = sum(count for number, count in enumerate(counts) if number not in narrow)
        widths = [least if number in narrow else rest * count / total for number, count in enumerate(counts)]
        more = {number for number, part in enumerate(widths) if part < least - 1e-9} - narrow
        if not more:
            return widths
        narrow |= more
