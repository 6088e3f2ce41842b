"""The points for the chart: all, what is new, a stretch; few enough to draw, and no gap."""

import json
import math
import time

import pytest
from django.db import connection
from django.urls import reverse

from apps.jobs.curves import POINT, curve
from apps.jobs.models import JobState, MetricPoint, PointKind, TrainingJob

pytestmark = pytest.mark.django_db

STEP, LOSS, GRADIENT = POINT.index("step"), POINT.index("loss"), POINT.index("grad_norm")


def report(job, steps, *, loss=lambda step: 5 / step, every=0, validation=lambda step: 6 / step) -> None:
    """One event a step, and an evaluation each `every` steps."""
    seq = job.events_seen
    with (
        connection.cursor() as cursor,
        cursor.copy(
            "COPY jobs_metricpoint (job_id, seq, kind, step, epoch, tokens, seconds, loss, grad_norm) FROM STDIN"
        ) as copy,
    ):
        for step in steps:
            copy.write_row((job.pk, seq, "train", step, step / 100, step * 50, step * 0.5, loss(step), 1.0))
            seq += 1
            if every and step % every == 0:
                copy.write_row(
                    (
                        job.pk,
                        seq,
                        "validation",
                        step,
                        step / 100,
                        step * 50,
                        step * 0.5,
                        validation(step),
                        None,
                    )
                )
                seq += 1
    TrainingJob.objects.filter(pk=job.pk).update(events_seen=seq, step=max(steps), state=JobState.RUNNING)
    job.refresh_from_db()


def test_the_answer_is_what_the_chart_reads(client_of, people, project, start):
    job = start()
    report(job, range(1, 6), every=5)
    TrainingJob.objects.filter(pk=job.pk).update(best_step=5, total_steps=20)
    address = reverse("jobs:metrics", args=[project.workspace.slug, project.slug, job.pk])
    answer = json.loads(client_of(people.vic).get(address).content)
    assert answer["points"][0] == [1, 0.01, 50, 0.5, 5.0, None, 1.0, None, None, None, None]
    assert answer["evaluations"] == [[5, 0.05, 250, 2.5, 1.2, None, None, None]]
    assert answer["last_id"] == 5
    assert (answer["best_step"], answer["total_steps"], answer["finished"]) == (5, 20, False)
    assert (answer["downsampled"], answer["overfitting"]) == (False, None)


def test_increments_join_without_gap_or_double(start):
    job = start()
    report(job, range(1, 31), every=10)
    first = curve(job)
    assert curve(job, after=first["last_id"])["points"] == []
    report(job, range(31, 51), every=10)
    second = curve(job, after=first["last_id"])
    steps = [point[STEP] for point in first["points"] + second["points"]]
    assert steps == list(range(1, 51))
    assert [row[0] for row in first["evaluations"] + second["evaluations"]] == [10, 20, 30, 40, 50]
    assert "downsampled" not in second


def test_nothing_newer_than_the_job_as_read_is_told(start):
    job = start()
    report(job, range(1, 11))
    MetricPoint.objects.create(job=job, seq=10, kind=PointKind.TRAIN, step=11, loss=1.0)
    assert [point[STEP] for point in curve(job)["points"]] == list(range(1, 11))
    assert curve(job)["last_id"] == 9


def test_a_long_curve_is_thinned_and_a_stretch_of_it_is_not(start):
    job = start()
    peak = {43_210: 99.0, 70_001: -3.0}
    report(job, range(1, 100_001), loss=lambda step: peak.get(step, 2 + math.sin(step / 3000)))
    whole = curve(job)
    assert whole["downsampled"]
    assert len(whole["points"]) <= 2000
    by_step = {point[STEP]: point[LOSS] for point in whole["points"]}
    assert {1, 43_210, 70_001, 100_000} <= set(by_step)
    assert by_step[43_210] == 99.0
    part = curve(job, start=43_000, end=43_999)
    assert [point[STEP] for point in part["points"]] == list(range(43_000, 44_000))
    assert part["downsampled"] is False


def test_a_long_curve_takes_no_longer_than_reading_its_numbers_twice(start):
    """The bound is a ratio: a plain read of step and loss of all points on the same machine."""
    job = start()
    report(job, range(1, 100_001), every=10_000)
    curve(job)

    def seconds(work) -> float:
        started = time.perf_counter()
        work()
        return time.perf_counter() - started

    plain = min(
        seconds(
            lambda: list(
                MetricPoint.objects.filter(job=job).order_by("seq").values_list("seq", "step", "loss")
            )
        )
        for _ in range(3)
    )
    assert min(seconds(lambda: json.dumps(curve(job))) for _ in range(3)) < 2.5 * plain


def test_overfitting_is_found_and_told_where_it_starts(start):
    """A parabola with its minimum at step 100 while the training loss goes on falling."""
    job = start()
    report(job, range(1, 301), every=20, validation=lambda step: 1 + ((step - 100) / 100) ** 2)
    answer = curve(job)
    assert answer["overfitting"] is not None
    assert 100 < answer["overfitting"]["from_step"] <= 140
    assert "checkpoint of step 100" in answer["overfitting"]["advice"]


def test_a_finished_job_says_so(start):
    job = start()
    report(job, range(1, 4))
    TrainingJob.objects.filter(pk=job.pk).update(state=JobState.FAILED)
    job.refresh_from_db()
    assert curve(job)["finished"] is True


def test_before_the_first_step_there_is_nothing(start):
    answer = curve(start())
    assert (answer["points"], answer["evaluations"], answer["last_id"]) == ([], [], -1)
