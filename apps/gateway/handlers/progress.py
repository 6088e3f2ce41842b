"""/v1/fine_tuning/jobs/{id}/events and …/checkpoints"""

from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from apps.gateway.calls import Call, reply
from apps.gateway.database import in_thread
from apps.gateway.handlers.fine_tuning import current_job
from apps.gateway.ids import checkpoint_name
from apps.gateway.metrics import metrics_message, step_metrics, trainings_at, validations_at
from apps.gateway.models import Event, FineTuningJob, ServedModel
from apps.gateway.pagination import limit_of
from apps.gateway.pagination import listing as list_shape
from apps.gateway.shapes import seconds
from apps.jobs.models import Checkpoint, MetricPoint, PointKind, TrainingJob

EVENTS_A_PAGE, MOST_EVENTS = 20, 100
CHECKPOINTS_A_PAGE, MOST_CHECKPOINTS = 10, 100
BEHIND_ALL_STEPS = 2**60
"""Events have one order: turns before the training, its steps, turns after it."""


async def events(call: Call) -> Response:
    return reply(await in_thread(_events, call))


def _events(call: Call) -> dict[str, Any]:
    """Newest first."""
    job = current_job(call)
    limit = limit_of(call.query, default=EVENTS_A_PAGE, most=MOST_EVENTS)
    below = _place_of(job, call.query.get("after", ""))
    turns = [(_place(event), _turn(job, event)) for event in job.events.all()]
    found = [entry for entry in turns if entry[0] < below]
    if job.training_job is not None:
        found += _steps(job, job.training_job, below, limit + 1)
    found.sort(key=lambda entry: -entry[0])
    return list_shape([shape for _, shape in found[:limit]], has_more=len(found) > limit)


def _place(event: Event) -> int:
    return event.number + BEHIND_ALL_STEPS if event.after_training else event.number - BEHIND_ALL_STEPS


def _event_id(job: FineTuningJob, kind: str, number: int) -> str:
    return f"ftevent-{job.public_id.rpartition('-')[2]}-{kind}{number}"


def _place_of(job: FineTuningJob, after: str) -> int:
    """Where the event of a cursor stands. Behind a cursor that names nothing there is nothing."""
    if not after:
        return 2 * BEHIND_ALL_STEPS
    last = after.rpartition("-")[2]
    if _event_id(job, last[:1], 0)[:-1] + last[1:] != after or not last[1:].isdecimal():
        return -2 * BEHIND_ALL_STEPS
    number = int(last[1:][:18])
    return {"a": number + BEHIND_ALL_STEPS, "s": number}.get(last[0], number - BEHIND_ALL_STEPS)


def _turn(job: FineTuningJob, event: Event) -> dict[str, Any]:
    return {
        "id": _event_id(job, "a" if event.after_training else "b", event.number),
        "object": "fine_tuning.job.event",
        "created_at": seconds(event.created_at),
        "level": event.level,
        "message": event.message,
        "type": "message",
        "data": {},
    }


def _steps(
    job: FineTuningJob, training: TrainingJob, below: int, count: int
) -> list[tuple[int, dict[str, Any]]]:
    points = list(
        MetricPoint.objects.filter(
            job=training, kind=PointKind.TRAIN, seq__lt=min(below, BEHIND_ALL_STEPS)
        ).order_by("-seq")[:count]
    )
    validations = validations_at(training, [point.step for point in points])
    began = next((entry["started"] for entry in training.phases if entry["phase"] == "training"), None)
    return [(point.seq, _step(job, training, point, validations.get(point.step), began)) for point in points]


def _step(
    job: FineTuningJob,
    training: TrainingJob,
    point: MetricPoint,
    validation: MetricPoint | None,
    began: float | None,
) -> dict[str, Any]:
    metrics = step_metrics(point, validation)
    if training.total_steps:
        metrics["total_steps"] = training.total_steps
    start = began or (training.started_at or training.created_at).timestamp()
    return {
        "id": _event_id(job, "s", point.seq),
        "object": "fine_tuning.job.event",
        "created_at": int(start + (point.seconds or 0)),
        "level": "info",
        "message": metrics_message(metrics, training.total_steps),
        "type": "metrics",
        "data": metrics,
    }


# --- Checkpoints ---------------------------------------------------------------------------------------------


async def checkpoints(call: Call) -> Response:
    return reply(await in_thread(_checkpoints, call))


def _checkpoints(call: Call) -> dict[str, Any]:
    """Latest first; those whose weights were kept."""
    job = current_job(call)
    limit = limit_of(call.query, default=CHECKPOINTS_A_PAGE, most=MOST_CHECKPOINTS)
    training = job.training_job
    if training is None or training.model_version_id is None:
        return list_shape([], has_more=False)
    # Their names stay, as the job's own does, when the model is deleted: then they lead nowhere.
    served = ServedModel.objects.filter(model_version=training.model_version_id, checkpoint=None).first()
    if served is None:
        return list_shape([], has_more=False)
    kept = list(training.checkpoints.filter(artifact__isnull=False).order_by("-step"))
    ids = [_checkpoint_id(job, checkpoint) for checkpoint in kept]
    after = call.query.get("after", "")
    if after:
        kept = kept[ids.index(after) + 1 :] if after in ids else []
    page = kept[:limit]
    shapes = _checkpoint_shapes(job, training, page, served.name)
    return list_shape(shapes, has_more=len(kept) > limit)


def _checkpoint_id(job: FineTuningJob, checkpoint: Checkpoint) -> str:
    return f"ftckpt_{job.public_id.rpartition('-')[2]}{checkpoint.step}"


def _checkpoint_shapes(
    job: FineTuningJob, training: TrainingJob, page: Sequence[Checkpoint], tuned: str
) -> list[dict[str, Any]]:
    steps = [checkpoint.step for checkpoint in page]
    trained, validated = trainings_at(training, steps), validations_at(training, steps)
    return [
        {
            "id": _checkpoint_id(job, checkpoint),
            "object": "fine_tuning.job.checkpoint",
            "created_at": seconds(checkpoint.created_at),
            "fine_tuned_model_checkpoint": checkpoint_name(tuned, checkpoint.step),
            "fine_tuning_job_id": job.public_id,
            "step_number": checkpoint.step,
            "metrics": (
                step_metrics(trained.get(checkpoint.step), validated.get(checkpoint.step))
                if checkpoint.step in trained or checkpoint.step in validated
                else {"step": checkpoint.step}
            ),
        }
        for checkpoint in page
    ]
