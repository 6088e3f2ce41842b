"""Reading a loss curve: the best checkpoint, whether overfitting has started and where, and what to do.

The rule. Validation losses come with noise, estimated from how far each lies from the middle of its two
neighbours (robustly, by the median). The *floor* is the lowest of the running medians of three, since the
lowest single loss of a noisy curve is low by luck. A validation loss is *above the floor* when it exceeds it
by more than twice the noise, and by at least 1 %. Below five evaluations there is no noise to estimate:
then the floor is the lowest loss, and 3 % have to do. Overfitting is found when

1. the last three evaluations or more (all of them, if the lowest is fewer than three from the end but at
   least two) are above the floor,
2. the trend of the validation loss since the best step rises (Theil-Sen slope), and
3. the training loss fell over the same steps.

It starts at the first step after the best one from which every validation loss is above the floor. If the
training loss did not fall while validation rose, the run is diverging rather than overfitting.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from apps.core.formatting import format_number

PATIENCE = 3
LEAST_RISE = 0.01
LEAST_RISE_WITHOUT_NOISE = 0.03
STILL_FALLING = 0.01

Points = Sequence[tuple[int, float]]
Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


class FitStatus(StrEnum):
    NO_VALIDATION = "no_validation"
    TOO_EARLY = "too_early"
    IMPROVING = "improving"
    FLAT = "flat"
    OVERFITTING = "overfitting"
    DIVERGING = "diverging"


class RatioBand(StrEnum):
    """Validation loss over training loss: below 1.2 healthy, below 1.5 mild, up to 2 moderate, above severe."""

    HEALTHY = "healthy"
    MILD = "mild"
    MODERATE = "moderate"
    SEVERE = "severe"


@dataclass(frozen=True, slots=True, kw_only=True)
class FitDiagnosis:
    """What a loss curve says. Steps are optimizer steps; unknown figures are None.

    `overfitting_from` and `overfitting_to` bound the region to shade. `ratio` is the last validation loss
    over the training loss at that step.
    """

    status: FitStatus
    best_step: int | None
    best_loss: float | None
    overfitting_from: int | None
    overfitting_to: int | None
    ratio: float | None
    band: RatioBand | None
    noise: float | None
    advice: str


def diagnose_fit(
    training: Points, validation: Points, *, patience: int = PATIENCE, finished: bool = False
) -> FitDiagnosis:
    """Diagnose from (step, smoothed training loss) and (step, validation loss), in any order.

    `finished` chooses between advice for a running job and for one that has ended.
    """
    steps, losses = _finite(validation)
    if any(not math.isfinite(loss) for _, loss in validation):
        return _broken(steps, losses, validation)
    if not len(steps):
        return _diagnosis(FitStatus.NO_VALIDATION, _advice(FitStatus.NO_VALIDATION, None, None, finished))
    best = int(np.argmin(losses))
    ratio = _ratio(training, int(steps[-1]), float(losses[-1]))
    noise = _noise(losses)
    floor = _floor(losses)
    least = LEAST_RISE_WITHOUT_NOISE if noise is None else LEAST_RISE
    limit = floor + max(least * abs(floor), 2 * (noise or 0.0))
    start = _start_of_rise(steps, losses, best, limit, patience)
    status = _status(training, steps, losses, best, start)
    overfitting = status is FitStatus.OVERFITTING
    return FitDiagnosis(
        status=status,
        best_step=int(steps[best]),
        best_loss=float(losses[best]),
        overfitting_from=start if overfitting else None,
        overfitting_to=int(steps[-1]) if overfitting else None,
        ratio=ratio,
        band=None if ratio is None else ratio_band(ratio),
        noise=noise,
        advice=_advice(status, int(steps[best]), start, finished),
    )


def ratio_band(ratio: float) -> RatioBand:
    """The band of validation loss over training loss."""
    if ratio < 1.2:
        return RatioBand.HEALTHY
    if ratio < 1.5:
        return RatioBand.MILD
    return RatioBand.MODERATE if ratio <= 2.0 else RatioBand.SEVERE


def _status(
    training: Points,
    steps: NDArray[np.float64],
    losses: NDArray[np.float64],
    best: int,
    start: int | None,
) -> FitStatus:
    if start is not None:
        change = _training_change(training, int(steps[best]), int(steps[-1]))
        return FitStatus.OVERFITTING if change is None or change < 0 else FitStatus.DIVERGING
    if len(losses) < 3:
        return FitStatus.TOO_EARLY
    # Still improving: the best is the last or next to last, and clearly below where the last third began.
    third = losses[-max(3, len(losses) // 3)]
    recent = best >= len(losses) - 2
    return FitStatus.IMPROVING if recent and losses[best] < third * (1 - STILL_FALLING) else FitStatus.FLAT


def _start_of_rise(
    steps: NDArray[np.float64], losses: NDArray[np.float64], best: int, limit: float, patience: int
) -> int | None:
    """The first step from which all validation losses are above the limit, if the rise is long enough and upward."""
    above = losses > limit
    first = len(losses)
    while first > best + 1 and above[first - 1]:
        first -= 1
    after_best = len(losses) - 1 - best
    needed = patience if after_best >= patience else max(2, after_best)
    if len(losses) - first < needed or _slope(steps[best:], losses[best:]) <= 0:
        return None
    return int(steps[first])


def _slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Theil-Sen: the median of the slopes of all pairs, deaf to single outliers."""
    first, second = np.triu_indices(len(x), k=1)
    gaps = x[second] - x[first]
    kept = gaps > 0
    return float(np.median((y[second] - y[first])[kept] / gaps[kept])) if kept.any() else 0.0


def _noise(losses: NDArray[np.float64]) -> float | None:
    """Standard deviation of one evaluation, from its distance to the mean of its neighbours; None below five."""
    if len(losses) < 5:
        return None
    distances = losses[1:-1] - (losses[:-2] + losses[2:]) / 2
    # 1.4826 turns a median absolute deviation into a standard deviation; the distance has 1.5 times the variance.
    return float(1.4826 * np.median(np.abs(distances - np.median(distances))) / math.sqrt(1.5))


def _floor(losses: NDArray[np.float64]) -> float:
    if len(losses) < 5:
        return float(losses.min())
    return float(np.median(np.stack([losses[:-2], losses[1:-1], losses[2:]]), axis=0).min())


def _training_change(training: Points, start: int, end: int) -> float | None:
    """The trend of the training loss between two steps; None when there is nothing to tell it by."""
    steps, losses = _finite(training)
    inside = (steps >= start) & (steps <= end)
    if inside.sum() < 2:
        return None
    chosen = np.flatnonzero(inside)
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(200, len(chosen))).astype(int)]
    return _slope(steps[chosen], losses[chosen])


def _ratio(training: Points, step: int, loss: float) -> float | None:
    steps, losses = _finite(training)
    if not len(steps):
        return None
    at_step = float(np.interp(step, steps, losses))
    return loss / at_step if at_step > 0 else None


def _finite(points: Points) -> Curve:
    """Sorted by step, one value a step (the last given), without infinities and NaN."""
    by_step = {step: loss for step, loss in points if math.isfinite(loss)}
    steps = np.array(sorted(by_step), dtype=float)
    return steps, np.array([by_step[int(step)] for step in steps], dtype=float)


def _broken(steps: NDArray[np.float64], losses: NDArray[np.float64], validation: Points) -> FitDiagnosis:
    """A validation loss that is not a number: the run has left the region where it can learn."""
    first = min(step for step, loss in validation if not math.isfinite(loss))
    before = steps < first
    best = int(np.argmin(losses[before])) if before.any() else None
    usable = (
        "" if best is None else f" The checkpoint of step {format_number(int(steps[best]))} is still usable."
    )
    return _diagnosis(
        FitStatus.DIVERGING,
        f"The validation loss is not a number from step {format_number(first)} on: stop and start again "
        f"with a lower learning rate.{usable}",
        best_step=None if best is None else int(steps[best]),
        best_loss=None if best is None else float(losses[best]),
    )


def _diagnosis(
    status: FitStatus, advice: str, *, best_step: int | None = None, best_loss: float | None = None
) -> FitDiagnosis:
    return FitDiagnosis(
        status=status,
        best_step=best_step,
        best_loss=best_loss,
        overfitting_from=None,
        overfitting_to=None,
        ratio=None,
        band=None,
        noise=None,
        advice=advice,
    )


def _advice(status: FitStatus, best: int | None, start: int | None, finished: bool) -> str:
    checkpoint = "" if best is None else f"use the checkpoint of step {format_number(best)}"
    running, ended = {
        FitStatus.NO_VALIDATION: (
            "Without a validation loss overfitting cannot be seen.",
            "Without a validation loss overfitting cannot be seen: hold out a validation split next time.",
        ),
        FitStatus.TOO_EARLY: (
            "Too few evaluations yet to judge the curve.",
            f"Too few evaluations to judge the curve; {checkpoint}, and evaluate more often next time.",
        ),
        FitStatus.IMPROVING: (
            "The validation loss is still falling: let it run.",
            f"The validation loss was still falling at the end: {checkpoint}; more epochs may help.",
        ),
        FitStatus.FLAT: (
            f"The validation loss has levelled off; so far, {checkpoint}.",
            f"The validation loss has levelled off: {checkpoint}; more epochs would add little.",
        ),
        FitStatus.OVERFITTING: (
            f"Overfitting from step {format_number(start or 0)}: stop, and {checkpoint}.",
            f"Overfitting from step {format_number(start or 0)}: {checkpoint}; "
            "next time train for fewer epochs or on more diverse data.",
        ),
        FitStatus.DIVERGING: (
            f"Training and validation loss both rise: stop, {checkpoint}, and lower the learning rate.",
            f"Training and validation loss both rose: {checkpoint}; next time lower the learning rate.",
        ),
    }[status]
    return ended if finished else running
