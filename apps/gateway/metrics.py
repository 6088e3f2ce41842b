"""What a job's curve says, in the protocol's words: events, checkpoints, the result file."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from apps.jobs.models import MetricPoint, PointKind, TrainingJob


def step_metrics(train: MetricPoint | None, validation: MetricPoint | None) -> dict[str, Any]:
    """The measurements of one step. Validation is over all validation rows, so both of its names say the same."""
    point = train or validation
    assert point is not None
    metrics: dict[str, Any] = {"step": point.step}
    if train is not None:
        metrics["train_loss"] = train.loss
        metrics["train_mean_token_accuracy"] = train.token_accuracy
    if validation is not None:
        for prefix in ("valid", "full_valid"):
            metrics[f"{prefix}_loss"] = validation.loss
            metrics[f"{prefix}_mean_token_accuracy"] = validation.token_accuracy
    return {name: value for name, value in metrics.items() if value is not None}


def metrics_message(metrics: Mapping[str, Any], total: int | None) -> str:
    """Step 30/300: training loss=0.15, validation loss=0.27"""
    parts = []
    if "train_loss" in metrics:
        parts.append(f"training loss={metrics['train_loss']:.2f}")
    if "valid_loss" in metrics:
        parts.append(f"validation loss={metrics['valid_loss']:.2f}")
        parts.append(f"full validation loss={metrics['full_valid_loss']:.2f}")
    return f"Step {metrics['step']}{f'/{total}' if total else ''}: {', '.join(parts)}"


def validations_at(job: TrainingJob, steps: Iterable[int]) -> dict[int, MetricPoint]:
    points = MetricPoint.objects.filter(job=job, kind=PointKind.VALIDATION, step__in=list(steps))
    return {point.step: point for point in points.order_by("seq")}


def trainings_at(job: TrainingJob, steps: Iterable[int]) -> dict[int, MetricPoint]:
    points = MetricPoint.objects.filter(job=job, kind=PointKind.TRAIN, step__in=list(steps))
    return {point.step: point for point in points.order_by("seq")}


RESULT_COLUMNS = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")


def result_csv(job: TrainingJob) -> Iterator[bytes]:
    """The result file: a line a step, cells empty where nothing was measured."""
    yield (",".join(RESULT_COLUMNS) + "\n").encode()
    steps: dict[int, dict[str, Any]] = {}
    for point in MetricPoint.objects.filter(job=job).order_by("step", "seq").iterator(chunk_size=2000):
        row = steps.setdefault(point.step, {})
        if point.kind == PointKind.TRAIN:
            row.update(train_loss=point.loss, train_accuracy=point.token_accuracy)
        else:
            row.update(valid_loss=point.loss, valid_mean_token_accuracy=point.token_accuracy)
        if len(steps) > 1:
            step = next(iter(steps))
            yield _line(step, steps.pop(step))
    for step, row in steps.items():
        yield _line(step, row)


def _line(step: int, row: Mapping[str, Any]) -> bytes:
    text = io.StringIO()
    cells = [step, *("" if row.get(name) is None else row[name] for name in RESULT_COLUMNS[1:])]
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode()
