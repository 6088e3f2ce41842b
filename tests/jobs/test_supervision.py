"""Real trainers under a real supervisor, and everything that can be killed is killed."""

import io
import json
import os
import signal
import tarfile
import threading
from datetime import timedelta

import psutil
import pytest
from django.utils import timezone

from apps.artifacts.storage import blob_read
from apps.audit.models import AuditEvent
from apps.core.errors import ConflictError
from apps.jobs import supervision
from apps.jobs.directories import job_directory
from apps.jobs.models import JobState, PointKind
from apps.jobs.orphans import orphans_stop
from apps.jobs.services import job_cancel, job_pause, job_resume
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_run, operations_reconcile
from tests.jobs.conftest import LONG_RUN, SHORT_RUN, freeze, operation_of
from tests.jobs.trainers import kill_hard, running_trainer, supervise, trainer_pid, wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.integration]


def run(job) -> None:
    operation_run(operation_id=operation_of(job).pk)
    job.refresh_from_db()


def in_background(job) -> threading.Thread:
    from django.db import connection

    def work() -> None:
        try:
            operation_run(operation_id=operation.pk)
        finally:
            connection.close()

    operation = operation_of(job)
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def steps_of(job) -> list[int]:
    return list(job.points.filter(kind=PointKind.TRAIN).values_list("step", flat=True))


def reached(job, step: int) -> bool:
    job.refresh_from_db()
    return bool(job.step >= step)


def began(job) -> bool:
    """The trainer has reported its first phase."""
    job.refresh_from_db()
    return bool(job.phase)


def names_in(blob) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(b"".join(blob_read(blob)))) as packed:
        return set(packed.getnames())


def text_of(blob) -> str:
    return b"".join(blob_read(blob)).decode()


def test_a_job_trains_and_leaves_a_model(start, project, version, base_model):
    job = start(name="Colours, LoRA", **SHORT_RUN)
    run(job)
    assert job.state == JobState.SUCCEEDED, job.error
    # 24 rows in batches of 4 are 6 steps an epoch.
    assert steps_of(job) == list(range(1, 13))
    assert (job.step, job.total_steps) == (12, 12)
    validations = dict(job.points.filter(kind=PointKind.VALIDATION).values_list("step", "loss"))
    assert list(validations) == [4, 8, 12]
    assert job.best_validation_loss == min(validations.values())
    assert validations[job.best_step] == job.best_validation_loss
    assert (job.plan["examples"], job.plan["validation_examples"]) == (24, 8)
    assert [p["phase"] for p in job.phases] == ["loading", "preparing", "training", "saving", "finished"]
    assert job.environment["packages"]["torch"]
    assert job.measured_tokens_per_second > 0
    model = job.model_version
    assert (model.number, model.name, model.kind, model.base_model) == (
        1,
        "Colours, LoRA",
        "adapter",
        base_model,
    )
    assert model.validation_loss == pytest.approx(job.best_validation_loss)
    assert {"adapter_config.json", "adapter_model.safetensors"} <= names_in(model.artifact)
    assert "result" in text_of(job.log)
    assert not job_directory(job.pk).exists()
    operation = operation_of(job)
    assert (operation.state, operation.done, operation.total) == (OperationState.SUCCEEDED, 12, 12)
    actions = AuditEvent.objects.filter(target_type="jobs.trainingjob").order_by("pk")
    assert list(actions.values_list("action", flat=True)) == ["job.started", "job.succeeded"]


def test_the_trainer_gets_exactly_the_rows_of_the_version(start, version, settings, tmp_path):
    general = [
        {"messages": [{"role": "user", "content": f"Say {n}"}, {"role": "assistant", "content": str(n)}]}
        for n in range(9)
    ]
    (tmp_path / "general_skills").mkdir()
    (tmp_path / "general_skills" / "replay.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in general)
    )
    settings.FTPORTAL_DEMO = tmp_path
    job = start(method="full", replay_rows=6, **SHORT_RUN)
    thread = in_background(job)
    wait_until(lambda: trainer_pid(job) is not None, "the trainer, which finds its rows there")
    lines = (job_directory(job.pk) / "train.jsonl").read_bytes().splitlines()
    own = [bytes(row.example.raw) for row in version.rows.filter(split="train").select_related("example")]
    assert lines[:24] == own
    assert len(lines) == 30
    assert all(json.loads(line) in general for line in lines[24:])
    thread.join()
    job.refresh_from_db()
    assert (job.state, job.plan["examples"]) == (JobState.SUCCEEDED, 30), job.error
    assert job.model_version.kind == "full"


def test_a_killed_supervisor_is_replaced_without_a_lost_or_doubled_point(start):
    job = start(**(LONG_RUN | {"epochs": 40.0}))
    first = supervise(operation_of(job).pk)
    wait_until(lambda: reached(job, 10), "ten steps")
    kill_hard(first.pid)
    first.wait()
    pid = trainer_pid(job)
    assert pid is not None, "the trainer outlives its supervisor"
    Operation.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=5))
    assert operations_reconcile()["resumed"] == 1
    run(job)
    assert job.state == JobState.SUCCEEDED, job.error
    assert steps_of(job) == list(range(1, 241))
    assert list(job.points.values_list("seq", flat=True)) == sorted(
        set(job.points.values_list("seq", flat=True))
    )
    assert (job.restarts, job.rewinds) == (0, 0)
    assert operation_of(job).attempts == 2


def test_a_killed_trainer_goes_on_from_its_checkpoint(start):
    job = start(**(LONG_RUN | {"epochs": 40.0, "evaluation_steps": 40}))
    thread = in_background(job)
    wait_until(lambda: job.checkpoints.filter(step__gte=40).exists() and reached(job, 42), "a checkpoint")
    kill_hard(running_trainer(job))
    thread.join()
    job.refresh_from_db()
    assert job.state == JobState.SUCCEEDED, job.error
    assert job.restarts == 1
    assert job.plan["resumed_from_step"] >= 40
    assert steps_of(job) == list(range(1, 241))
    validations = list(job.points.filter(kind=PointKind.VALIDATION).values_list("step", flat=True))
    assert validations == [40, 80, 120, 160, 200, 240]
    assert job.measured_tokens_per_second is None


def test_a_trainer_that_crashes_again_and_again_fails_the_job_with_its_log(start, settings, monkeypatch):
    # The interpreter is started with an option that ends it at once: a crash without an event.
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    job = start(**SHORT_RUN)
    run(job)
    assert job.state == JobState.FAILED
    assert "ended like this 3 times" in job.error
    assert job.restarts == supervision.MAX_RESTARTS
    assert "Python" in job.log_tail
    assert "Python" in text_of(job.log)
    assert operation_of(job).state == OperationState.FAILED
    assert not job_directory(job.pk).exists()


def test_a_known_failure_is_told_in_its_own_words_and_not_tried_again(start, project):
    uncounted = freeze(project, tokens=dict.fromkeys(range(1, 33)))  # nobody can say it before the start
    job = start(of=uncounted, max_length=8, **SHORT_RUN)
    run(job)
    assert job.state == JobState.FAILED
    assert "longer than 8 tokens" in job.error
    assert job.restarts == 0
    failed = AuditEvent.objects.get(action="job.failed")
    assert failed.data["reason"] == job.error


def test_cancelling_takes_seconds_and_keeps_a_checkpoint(start, people):
    job = start(**LONG_RUN)
    thread = in_background(job)
    wait_until(lambda: reached(job, 5), "five steps")
    pid = running_trainer(job)
    asked = timezone.now()
    job_cancel(job=job, by=people.ann)
    thread.join()
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED
    assert (job.finished_at - asked).total_seconds() < 15
    assert job.cancelled_by == people.ann
    assert "adapter_model.safetensors" in names_in(job.last_checkpoint)
    assert trainer_pid(job) is None
    assert not psutil.pid_exists(pid)
    assert job.model_version is None
    assert AuditEvent.objects.get(action="job.cancelled").actor == people.ann


def test_a_waiting_job_is_cancelled_at_once(start, people):
    job = start(**SHORT_RUN)
    job_cancel(job=job, by=people.lea)
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED
    run(job)
    assert job.state == JobState.CANCELLED
    assert not job_directory(job.pk).exists()


def test_a_trainer_that_says_nothing_is_given_up(start, settings):
    job = start(**LONG_RUN)
    thread = in_background(job)
    wait_until(lambda: began(job), "the trainer")
    os.kill(running_trainer(job), signal.SIGSTOP)
    settings.FTPORTAL_TRAINING_SILENCE_SECONDS = 2
    thread.join()
    job.refresh_from_db()
    assert job.state == JobState.FAILED
    assert "reported nothing" in job.error
    assert trainer_pid(job) is None


def test_a_trainer_whose_job_has_ended_is_stopped(start):
    job = start(**LONG_RUN)
    first = supervise(operation_of(job).pk)
    wait_until(lambda: began(job), "the trainer")
    kill_hard(first.pid)
    first.wait()
    type(job).objects.filter(pk=job.pk).update(state=JobState.FAILED)
    assert orphans_stop() == 1
    assert trainer_pid(job) is None
    assert not job_directory(job.pk).exists()
    job.refresh_from_db()
    assert "phase" in text_of(job.log)


def test_the_reconciler_ends_a_job_whose_cancel_nobody_obeyed(start, people):
    job = start(**LONG_RUN)
    first = supervise(operation_of(job).pk)
    wait_until(lambda: began(job), "the trainer")
    kill_hard(first.pid)
    first.wait()
    job_cancel(job=job, by=people.lea)
    Operation.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=5))
    operations_reconcile()
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED
    assert trainer_pid(job) is None


def test_a_lost_directory_starts_the_training_anew(start):
    job = start(**SHORT_RUN)
    type(job).objects.filter(pk=job.pk).update(
        state=JobState.RUNNING, events_seen=40, step=9, best_step=8, best_validation_loss=0.1
    )
    job.points.create(seq=30, kind=PointKind.TRAIN, step=9, loss=1.0)
    run(job)
    assert job.state == JobState.SUCCEEDED, job.error
    assert steps_of(job) == list(range(1, 13))
    assert job.best_step in (4, 8, 12)


def test_a_paused_job_goes_on_from_its_checkpoint(start, people):
    job = start(**LONG_RUN)
    thread = in_background(job)
    wait_until(lambda: reached(job, 25), "step 25")
    job_pause(job=job, by=people.lea)
    thread.join(timeout=90)
    job.refresh_from_db()
    assert (job.state, job.pausing, job.pauses) == (JobState.PAUSED, False, 1), job.error
    assert trainer_pid(job) is None
    stopped_at = job.checkpoints.order_by("-step").first().step
    assert orphans_stop() == 0
    assert job_directory(job.pk).exists(), "what it goes on from is kept"

    job_resume(job=job, by=people.lea)
    job.refresh_from_db()
    assert (job.state, job.paused_at) == (JobState.QUEUED, None)
    thread = in_background(job)
    wait_until(lambda: reached(job, stopped_at + 5), "going on")

    assert job.plan["resumed_from_step"] == stopped_at
    assert steps_of(job) == list(range(1, max(steps_of(job)) + 1))
    job_cancel(job=job, by=people.lea)
    thread.join(timeout=90)
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED
    actions = list(
        AuditEvent.objects.filter(target_type="jobs.trainingjob")
        .order_by("pk")
        .values_list("action", flat=True)
    )
    assert actions == ["job.started", "job.paused", "job.resumed", "job.cancelled"]


def test_a_paused_job_can_be_cancelled(start, people):
    job = start(**SHORT_RUN)
    job_pause(job=job, by=people.lea)
    job.refresh_from_db()
    assert job.state == JobState.PAUSED, "it had not begun"

    job_cancel(job=job, by=people.lea)

    job.refresh_from_db()
    assert (job.state, job.cancelled_by) == (JobState.CANCELLED, people.lea)
    with pytest.raises(ConflictError):
        job_resume(job=job, by=people.lea)


def test_the_adapters_of_the_kept_checkpoints_are_stored(start):
    job = start(**SHORT_RUN)
    run(job)

    kept = {each.step: each.artifact for each in job.checkpoints.all() if each.artifact is not None}

    # Validated every 4 of 12 steps, and the last three checkpoints are kept.
    assert set(kept) == {4, 8, 12}
    for artifact in kept.values():
        assert {"adapter_config.json", "adapter_model.safetensors"} <= names_in(artifact)
        assert not any(name.startswith("optimizer") for name in names_in(artifact))
    assert len({artifact.sha256 for artifact in kept.values()}) == 3
