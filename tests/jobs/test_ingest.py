"""Events become points once, whatever is delivered again, and a restart takes back what it repeats."""

import pytest

from apps.jobs.ingest import events_ingest
from apps.jobs.models import Checkpoint, MetricPoint, PointKind
from apps.providers.contracts import TrainingEvent

pytestmark = pytest.mark.django_db


class Log:
    """Makes events with rising numbers, a second apart."""

    def __init__(self) -> None:
        self.events: list[TrainingEvent] = []

    def add(self, kind: str, **data) -> None:
        seq = len(self.events)
        self.events.append(TrainingEvent(seq=seq, time=1000.0 + seq, type=kind, data=data))

    def metrics(self, step: int, loss: float | None) -> None:
        self.add(
            "metrics", step=step, epoch=step / 10, tokens=step * 100, loss=loss, learning_rate=1e-3, grad_norm=0.5,
            tokens_per_second=900.0, token_accuracy=None,
        )  # fmt: skip

    def evaluation(self, step: int, loss: float) -> None:
        self.add(
            "evaluation",
            step=step,
            epoch=step / 10,
            tokens=step * 100,
            loss=loss,
            token_accuracy=0.5,
            seconds=1,
        )
        self.add(
            "checkpoint", step=step, path=f"checkpoints/checkpoint-{step}", validation_loss=loss, is_best=True
        )

    def start(self, resumed_from_step: int | None = None) -> None:
        self.add("phase", phase="loading")
        self.add("environment", packages={"torch": "2"}, device="cpu", threads=2)
        self.add("plan", examples=10, steps=20, tokens=1000, resumed_from_step=resumed_from_step)
        self.add("phase", phase="training")


@pytest.fixture
def log():
    made = Log()
    made.start()
    return made


def test_points_and_last_values(start, log):
    job = start()
    log.metrics(1, 2.5)
    log.metrics(2, 2.0)
    log.evaluation(2, 2.2)
    assert events_ingest(job_id=job.pk, events=log.events) == len(log.events)
    job.refresh_from_db()
    assert (job.step, job.total_steps, job.train_loss, job.validation_loss) == (2, 20, 2.0, 2.2)
    assert (job.best_step, job.best_validation_loss) == (2, 2.2)
    assert [phase["phase"] for phase in job.phases] == ["loading", "training"]
    train, validation = job.points.filter(kind=PointKind.TRAIN), job.points.get(kind=PointKind.VALIDATION)
    # The training phase began with event 3, a second before the first point.
    assert [(p.seq, p.step, p.loss, p.tokens, p.seconds) for p in train] == [
        (4, 1, 2.5, 100, 1.0),
        (5, 2, 2.0, 200, 2.0),
    ]
    assert (validation.loss, validation.token_accuracy) == (2.2, 0.5)
    assert [(c.step, c.is_best) for c in job.checkpoints.all()] == [(2, True)]


def test_a_second_delivery_changes_nothing(start, log):
    job = start()
    for step in range(1, 8):
        log.metrics(step, 3.0 / step)
    events_ingest(job_id=job.pk, events=log.events[:7])
    events_ingest(job_id=job.pk, events=log.events)
    events_ingest(job_id=job.pk, events=log.events)
    events_ingest(job_id=job.pk, events=log.events[:5])
    assert list(job.points.values_list("step", flat=True)) == [1, 2, 3, 4, 5, 6, 7]
    job.refresh_from_db()
    assert (job.step, job.events_seen) == (7, len(log.events))


def test_a_loss_that_is_no_number_is_unknown(start, log):
    job = start()
    log.metrics(1, None)
    events_ingest(job_id=job.pk, events=log.events)
    job.refresh_from_db()
    assert job.train_loss is None
    assert job.points.get().loss is None


@pytest.mark.parametrize("one_by_one", [True, False])
def test_a_restart_takes_back_the_steps_that_it_repeats(start, log, one_by_one):
    job = start()
    for step in range(1, 8):
        log.metrics(step, 3.0 / step)
        if step in (4, 6):
            log.evaluation(step, 1.0 / step)
    log.start(resumed_from_step=4)
    for step in range(5, 9):
        log.metrics(step, 2.0 / step)
    batches = [[event] for event in log.events] if one_by_one else [log.events]
    for batch in batches:
        events_ingest(job_id=job.pk, events=batch)
    train = MetricPoint.objects.filter(job=job, kind=PointKind.TRAIN)
    assert list(train.values_list("step", "loss")) == [(n, (3.0 if n <= 4 else 2.0) / n) for n in range(1, 9)]
    job.refresh_from_db()
    assert (job.best_step, job.best_validation_loss) == (4, 0.25)
    assert list(job.checkpoints.values_list("step", flat=True)) == [4]
    assert job.rewinds == 1


def test_only_one_checkpoint_is_the_best(start, log):
    job = start()
    for step in (2, 4):
        log.metrics(step, 1.0)
        log.evaluation(step, 1.0 / step)
    events_ingest(job_id=job.pk, events=log.events)
    assert list(Checkpoint.objects.filter(job=job).values_list("step", "is_best")) == [(2, False), (4, True)]
