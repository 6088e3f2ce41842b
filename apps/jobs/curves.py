"""The points of a job's curves as the chart reads them, few enough to draw at once.

The answer is described in docs/design-system.md. Points are rows in the order of `POINT`, evaluations in that of
`EVALUATION`. A curve over `POINTS_LIMIT` points is thinned so that its picture stays the same; asking for a stretch of
steps gives that stretch in more detail.
"""

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import redis
from django.core.cache import cache
from django.db.models import F, QuerySet
from django.db.models.functions import Mod

from apps.jobs.downsampling import downsample, smooth
from apps.jobs.models import MetricPoint, PointKind, TrainingJob
from apps.jobs.overfitting import FitDiagnosis, diagnose_fit

POINT = (
    "step", "epoch", "tokens", "seconds", "loss", "learning_rate", "grad_norm", "tokens_per_second",
    "token_accuracy", "reward_accuracy", "reward_margin",
)  # fmt: skip
EVALUATION = (
    "step", "epoch", "tokens", "seconds", "loss", "token_accuracy", "reward_accuracy", "reward_margin",
)  # fmt: skip
POINTS_LIMIT = 2000
LOSS_POINTS = 1500
GRADIENT_POINTS = 480
DIAGNOSIS_POINTS = 2000
CACHE_SECONDS = 3600


def curve(
    job: TrainingJob, *, after: int | None = None, start: int | None = None, end: int | None = None
) -> dict[str, Any]:
    """What was reported after event `after` (None: all), of the steps `start` to `end` if given.

    The job must have been read before: nothing newer than its `events_seen` is told, so `last_id` leaves no gap.
    """
    stored = MetricPoint.objects.filter(job=job, seq__lt=job.events_seen)
    wanted = stored
    if after is not None:
        wanted = wanted.filter(seq__gt=after)
    if start is not None:
        wanted = wanted.filter(step__gte=start)
    if end is not None:
        wanted = wanted.filter(step__lte=end)
    points, thinned = _points(wanted.filter(kind=PointKind.TRAIN))
    evaluations = wanted.filter(kind=PointKind.VALIDATION).order_by("seq").values_list(*EVALUATION)
    diagnosis = fit_diagnosis(job)
    overfitting = None
    if diagnosis.overfitting_from is not None:
        overfitting = {"from_step": diagnosis.overfitting_from, "advice": diagnosis.advice}
    answer: dict[str, Any] = {
        "points": points,
        "evaluations": list(evaluations),
        "last_id": job.events_seen - 1,
        "best_step": job.best_step,
        "overfitting": overfitting,
        "total_steps": job.total_steps,
        "first_point_step": job.hyperparameters.get("logging_steps"),
        "finished": not job.is_active,
    }
    if after is None:
        # Of an increment it would say nothing about the whole.
        answer["downsampled"] = thinned
    return answer


def _points(wanted: QuerySet[MetricPoint]) -> tuple[list[tuple[Any, ...]], bool]:
    """Rows in the order of their events; True if some were left out."""
    ordered = wanted.order_by("seq")
    rows = list(ordered.values_list("seq", "step", "loss", "grad_norm"))
    if len(rows) <= POINTS_LIMIT:
        return list(ordered.values_list(*POINT)), False
    kept = _thin(rows)
    return list(wanted.filter(seq__in=kept).order_by("seq").values_list(*POINT)), True


def _thin(rows: Sequence[tuple[int, int, float | None, float | None]]) -> list[int]:
    """Event numbers of the rows that carry the shape of the loss, and the peaks of the gradient norm."""
    steps = np.fromiter((row[1] for row in rows), dtype=np.int64, count=len(rows))
    chosen: set[int] = set()
    for column, points in ((2, LOSS_POINTS), (3, GRADIENT_POINTS)):
        values = np.array([row[column] for row in rows], dtype=np.float64)
        kept = np.asarray(downsample(steps, values, points).x, dtype=np.int64)
        chosen.update(np.searchsorted(steps, kept).tolist())
    return [rows[index][0] for index in sorted(chosen)]


def fit_diagnosis(job: TrainingJob) -> FitDiagnosis:
    """What the curve says about overfitting. It can change only with a new evaluation, so it is kept until then."""
    stored = MetricPoint.objects.filter(job=job, seq__lt=job.events_seen)
    validations = stored.filter(kind=PointKind.VALIDATION).order_by("seq")
    newest = validations.order_by("-seq").values_list("seq", flat=True).first()
    key = f"jobs:fit:{job.pk}:{job.rewinds}:{newest}:{job.is_active}"
    with contextlib.suppress(redis.RedisError):  # without Redis it is computed each time
        known = cache.get(key)
        if isinstance(known, FitDiagnosis):
            return known
    validation = [
        (step, float("nan") if loss is None else loss)
        for step, loss in validations.values_list("step", "loss")
    ]
    diagnosis = diagnose_fit(_smoothed(job) if validation else [], validation, finished=not job.is_active)
    with contextlib.suppress(redis.RedisError):
        cache.set(key, diagnosis, CACHE_SECONDS)
    return diagnosis


def _smoothed(job: TrainingJob) -> list[tuple[int, float]]:
    """The training loss, thinned evenly and smoothed."""
    every = max(1, job.step // DIAGNOSIS_POINTS)
    rows = (
        MetricPoint.objects.filter(job=job, kind=PointKind.TRAIN, loss__isnull=False, seq__lt=job.events_seen)
        .annotate(rest=Mod(F("step"), every))
        .filter(rest=0)
        .order_by("seq")
        .values_list("step", "loss")
    )
    steps, losses = [step for step, _ in rows], [loss for _, loss in rows]
    pairs = zip(steps, smooth(losses), strict=True)
    return [(step, loss) for step, loss in pairs if loss is not None]
