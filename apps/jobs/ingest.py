"""From the trainer's events to rows: in order, in one transaction a batch, and never twice.

The job's row is locked while a batch is stored and says which event comes next, so a second delivery, or an
older supervisor that still reads, changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from apps.jobs.models import Checkpoint, MetricPoint, PointKind, TrainingJob
from apps.providers.contracts import TrainingEvent

COLUMNS = (
    "job_id", "seq", "kind", "step", "epoch", "tokens", "seconds", "loss", "learning_rate", "grad_norm",
    "tokens_per_second", "token_accuracy", "reward_accuracy", "reward_margin",
)  # fmt: skip
COPY = f"COPY {MetricPoint._meta.db_table} ({', '.join(COLUMNS)}) FROM STDIN"


@dataclass
class _Batch:
    """What a batch of events adds to a job."""

    job: TrainingJob
    points: list[tuple[Any, ...]] = field(default_factory=list)
    checkpoints: dict[int, Checkpoint] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    training_since: float | None = None

    def set(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self.job, name, value)
        self.changed.update(values)


def events_ingest(*, job_id: int, events: Sequence[TrainingEvent]) -> int:
    """Store the events that are new; return the number of the next one that is expected."""
    with transaction.atomic():
        job = TrainingJob.objects.select_for_update(no_key=True).get(pk=job_id)
        fresh = [event for event in events if event.seq >= job.events_seen]
        if not fresh:
            return job.events_seen
        batch = _Batch(job, training_since=_first_training(job))
        for event in fresh:
            _APPLY.get(event.type, _ignore)(batch, event)
        _store(batch)
        batch.set(events_seen=fresh[-1].seq + 1, updated_at=timezone.now())
        job.save(update_fields=sorted(batch.changed))
    return job.events_seen


def _first_training(job: TrainingJob) -> float | None:
    return next((entry["started"] for entry in job.phases if entry["phase"] == "training"), None)


def _ignore(batch: _Batch, event: TrainingEvent) -> None:
    """result, stopped and failed are the supervisor's to judge."""


def _phase(batch: _Batch, event: TrainingEvent) -> None:
    phase = event.data["phase"]
    if phase == "training" and batch.training_since is None:
        batch.training_since = event.time
    batch.set(phase=phase, phases=[*batch.job.phases, {"phase": phase, "started": event.time}])


def _environment(batch: _Batch, event: TrainingEvent) -> None:
    batch.set(environment=dict(event.data))


def _plan(batch: _Batch, event: TrainingEvent) -> None:
    """A restarted trainer goes on from a checkpoint: what an earlier one reported after it will come again."""
    sent = {
        name: batch.job.plan[name] for name in ("examples", "validation_examples") if name in batch.job.plan
    }
    batch.set(plan={**sent, **event.data}, total_steps=event.data.get("steps"))
    _rewind(batch, event.data.get("resumed_from_step") or 0)


def _rewind(batch: _Batch, step: int) -> None:
    _store(batch)
    job = batch.job
    deleted, _ = MetricPoint.objects.filter(job=job, step__gt=step).delete()
    Checkpoint.objects.filter(job=job, step__gt=step).delete()
    if not deleted:
        return
    train = MetricPoint.objects.filter(job=job, kind=PointKind.TRAIN).order_by("-seq").first()
    validations = MetricPoint.objects.filter(job=job, kind=PointKind.VALIDATION, loss__isnull=False)
    last, best = validations.order_by("-seq").first(), validations.order_by("loss", "seq").first()
    batch.set(
        step=step,
        rewinds=job.rewinds + 1,
        train_loss=train.loss if train else None,
        validation_loss=last.loss if last else None,
        best_validation_loss=best.loss if best else None,
        best_step=best.step if best else None,
    )


def _metrics(batch: _Batch, event: TrainingEvent) -> None:
    data = event.data
    batch.points.append(
        (
            batch.job.pk, event.seq, PointKind.TRAIN.value, data["step"], data.get("epoch"), data.get("tokens"),
            _seconds(batch, event), data.get("loss"), data.get("learning_rate"), data.get("grad_norm"),
            data.get("tokens_per_second"), data.get("token_accuracy"), data.get("reward_accuracy"),
            data.get("reward_margin"),
        )
    )  # fmt: skip
    batch.set(
        step=data["step"],
        train_loss=data.get("loss"),
        learning_rate=data.get("learning_rate"),
        grad_norm=data.get("grad_norm"),
        tokens_per_second=data.get("tokens_per_second"),
    )


def _evaluation(batch: _Batch, event: TrainingEvent) -> None:
    data, job = event.data, batch.job
    loss = data.get("loss")
    batch.points.append(
        (
            job.pk, event.seq, PointKind.VALIDATION.value, data["step"], data.get("epoch"), data.get("tokens"),
            _seconds(batch, event), loss, None, None, None, data.get("token_accuracy"),
            data.get("reward_accuracy"), data.get("reward_margin"),
        )
    )  # fmt: skip
    batch.set(validation_loss=loss)
    if data.get("sampled"):
        return  # the provider measured a few rows of the validation data: a point of the curve, no ground to choose on
    if loss is not None and (job.best_validation_loss is None or loss < job.best_validation_loss):
        batch.set(best_validation_loss=loss, best_step=data["step"])


def _seconds(batch: _Batch, event: TrainingEvent) -> float | None:
    return None if batch.training_since is None else event.time - batch.training_since


def _checkpoint(batch: _Batch, event: TrainingEvent) -> None:
    data = event.data
    batch.checkpoints[data["step"]] = Checkpoint(
        job=batch.job,
        step=data["step"],
        path=data.get("path", ""),
        provider_model=data.get("provider_model") or "",
        validation_loss=data.get("validation_loss"),
        is_best=bool(data.get("is_best")),
    )


def _store(batch: _Batch) -> None:
    if batch.points:
        with connection.cursor() as cursor, cursor.copy(COPY) as copy:
            for point in batch.points:
                copy.write_row(point)
        batch.points.clear()
    if batch.checkpoints:
        rows = list(batch.checkpoints.values())
        if any(row.is_best for row in rows):
            Checkpoint.objects.filter(job=batch.job, is_best=True).update(is_best=False)
            best = max((row for row in rows if row.is_best), key=lambda row: row.step)
            for row in rows:
                row.is_best = row is best
        Checkpoint.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["job", "step"],
            update_fields=["path", "provider_model", "validation_loss", "is_best"],
        )
        batch.checkpoints.clear()


_APPLY = {
    "phase": _phase,
    "environment": _environment,
    "plan": _plan,
    "metrics": _metrics,
    "evaluation": _evaluation,
    "checkpoint": _checkpoint,
}
