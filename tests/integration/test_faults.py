"""What dies in the middle: each program of the whole product in turn, and what comes of the work it did."""

import time
from collections.abc import Iterator

import pytest

from tests.ftportal.running import wait_for
from tests.integration.holding import held, hold_trainer, release
from tests.integration.main_job import PATIENCE, Work, new_project
from tests.integration.rows import distinct_tickets, general_items, jsonl, many_rows
from tests.integration.stack import PROGRAMS, Apart

pytestmark = pytest.mark.integration

STEPS = 48
CHECKPOINT_EVERY = 8
SHORT = {"batch_size": "2", "max_steps": str(STEPS), "evaluation_steps": str(CHECKPOINT_EVERY)}
HANDED_ON = 120.0  # seconds until the reconciler has found silent work and a worker has taken it
ROWS = 100_000


@pytest.fixture(scope="module")
def work(apart: Apart) -> Work:
    return new_project(apart, "Faults")


@pytest.fixture(scope="module")
def version(work: Work) -> int:
    return work.version_of_tickets(120)


@pytest.fixture(autouse=True)
def all_programs_run(apart: Apart) -> Iterator[None]:
    """Whatever a test killed is up again for the next one."""
    yield
    for trainer in apart.trainers():
        release(trainer)
    if apart.redis_is_down():
        apart.start_redis()
    apart.ensure(*PROGRAMS)


def assert_every_step_once(work: Work, job: int) -> None:
    """One training point for every step, in order, though parts of it may have been trained twice."""
    points = work.stack.rows(
        "SELECT step FROM jobs_metricpoint WHERE job_id = %s AND kind = 'train' ORDER BY seq", job
    )
    assert [point["step"] for point in points] == list(range(1, STEPS + 1))
    evaluated = work.stack.rows(
        "SELECT step FROM jobs_metricpoint WHERE job_id = %s AND kind = 'validation' ORDER BY seq", job
    )
    assert [point["step"] for point in evaluated] == list(
        range(CHECKPOINT_EVERY, STEPS + 1, CHECKPOINT_EVERY)
    )


def test_a_killed_training_worker_is_replaced_and_the_trainer_found_again(
    work: Work, version: int, apart: Apart
):
    job = work.train(version, **SHORT)
    trainer = hold_trainer(apart, job, step=10)
    apart.kill("training")
    assert trainer.is_running(), "a trainer outlives its worker"
    apart.start("training")
    wait_for(lambda: work.operation("jobs.train", job)["attempts"] == 2, HANDED_ON, "a second attempt")
    wait_for(lambda: work.operation("jobs.train", job)["state"] == "running", HANDED_ON, "it to run")
    release(trainer)

    ended = work.wait_for_job(job, "succeeded")

    assert (ended["step"], ended["restarts"], ended["rewinds"]) == (STEPS, 0, 0)
    assert_every_step_once(work, job)
    assert ended["model_version_id"] is not None


def test_a_killed_trainer_goes_on_from_its_last_checkpoint(work: Work, version: int, apart: Apart):
    job = work.train(version, **SHORT)
    trainer = hold_trainer(apart, job, step=CHECKPOINT_EVERY + 3)
    wait_for(lambda: work.job(job)["step"] > CHECKPOINT_EVERY, PATIENCE, "its points in the database")
    trainer.kill()

    ended = work.wait_for_job(job, "succeeded")

    assert (ended["step"], ended["restarts"]) == (STEPS, 1)
    assert ended["plan"]["resumed_from_step"] == CHECKPOINT_EVERY
    assert_every_step_once(work, job)
    assert "started again 1 time from its last checkpoint" in work.job_page(job).text


def test_redis_away_in_the_middle_costs_nothing(work: Work, version: int, apart: Apart):
    job = work.train(version, **SHORT)
    trainer = hold_trainer(apart, job, step=5)
    apart.kill("redis")
    page = work.job_page(job)
    assert page.status == 200
    assert work.visitor.get(f"{work.base}train/{job}/metrics/").status == 200
    assert "Redis cannot be reached" in work.visitor.get(f"{work.base.split('/p/')[0]}/operations/").text
    release(trainer)
    wait_for(lambda: work.job(job)["step"] > 20, 2 * PATIENCE, "points that come without Redis")
    apart.start_redis()

    ended = work.wait_for_job(job, "succeeded")

    assert (ended["step"], ended["restarts"]) == (STEPS, 0)
    assert_every_step_once(work, job)
    following = work.import_number(work.upload(jsonl(distinct_tickets(5)), "after-redis.jsonl"))
    work.wait_for_import(following, "checked", limit=PATIENCE)


def test_a_cancelled_training_stops_within_seconds_and_keeps_its_checkpoint(
    work: Work, version: int, apart: Apart
):
    job = work.train(version, **{**SHORT, "max_steps": "", "epochs": "100", "evaluation_steps": "1000"})
    work.wait_for_step(job, 3)
    tabs = [work.job_page(job), work.job_page(job)]
    asked = time.monotonic()

    answers = [work.visitor.submit(tab, "Cancel training") for tab in tabs]

    assert answers[0].status == 200, answers[0].text
    assert answers[1].status in (200, 409), answers[1].text
    ended = work.wait_for_job(job, "cancelled")
    seconds = time.monotonic() - asked
    assert seconds < 30, f"it took {seconds:.0f} s"
    assert ended["last_checkpoint_id"] is not None
    assert ended["step"] >= 3
    assert apart.trainers() == []
    asked_for = "SELECT count(*) FROM audit_auditevent WHERE action = 'job.cancelled' AND target_id = %s"
    assert work.stack.value(asked_for, str(job)) == 1
    assert "Its last checkpoint is kept" in work.job_page(job).text


def test_a_killed_evaluation_worker_loses_no_answer(work: Work, version: int, apart: Apart):
    model = newest_model(work, version)
    suite = general_suite(work)
    (inference,) = apart.processes("local.inference")
    comparison = work.compare(
        model,
        suite=f"version:{version}",
        general_suite=f"suite:{suite}",
        written_prompt="Sort the ticket. Answer with its category and its priority.",
        few_shot="2",
    )
    wait_for(lambda: len(answers_of(work, comparison)) > 0, 2 * PATIENCE, "the first answers")
    with held(inference):
        before = answers_of(work, comparison)
        assert work.comparison(comparison)["state"] == "running", "the worker dies in the middle"
        apart.kill("training")  # which also asks the questions of comparisons
        apart.start("training")
        wait_for(
            lambda: work.operation("evaluations.compare", comparison)["attempts"] == 2,
            HANDED_ON,
            "a second attempt",
        )

    ended = work.wait_for_comparison(comparison, "done")

    assert ended["sentence"]
    after = answers_of(work, comparison)
    assert before.items() <= after.items(), "answers given before are kept as they were"
    runs = work.stack.rows(
        "SELECT run.answered, suite.item_count, count(answer.id) AS stored FROM evaluations_run run"
        " JOIN evaluations_suite suite ON suite.id = run.suite_id"
        " JOIN evaluations_answer answer ON answer.run_id = run.id"
        " WHERE suite.project_id = %s GROUP BY run.id, suite.item_count",
        ended["project_id"],
    )
    assert len(runs) == 6, "four contenders on the task, two on general skills"
    assert {(run["answered"] - run["item_count"], run["stored"] - run["item_count"]) for run in runs} == {
        (0, 0)
    }


def newest_model(work: Work, version: int) -> int:
    """One of those that other tests have trained, else a quick one."""
    query = (
        "SELECT model_version_id AS model FROM jobs_trainingjob WHERE version_id = %s AND state = 'succeeded'"
    )
    found = work.stack.rows(query, version)
    if not found:
        work.wait_for_job(work.train(version, max_steps="2"), "succeeded")
        found = work.stack.rows(query, version)
    return int(found[0]["model"])


def general_suite(work: Work) -> int:
    form = work.visitor.get(f"{work.base}evaluate/suites/new/")
    page = work.visitor.submit(
        form, "Freeze the suite", files={"file": ("general.jsonl", general_items(120))}, name="Many skills"
    )
    assert page.status == 200, page.text
    return int(page.path.rstrip("/").rsplit("/", 1)[-1])


def answers_of(work: Work, comparison: int) -> dict[int, str]:
    rows = work.stack.rows(
        "SELECT answer.id, answer.text FROM evaluations_answer answer"
        " JOIN evaluations_run run ON run.id = answer.run_id"
        " JOIN evaluations_comparison comparison"
        "   ON run.suite_id IN (comparison.suite_id, comparison.general_suite_id)"
        " WHERE comparison.id = %s AND answer.error = ''",
        comparison,
    )
    return {row["id"]: row["text"] for row in rows}


def test_a_killed_import_worker_neither_loses_nor_doubles_rows(work: Work, apart: Apart):
    number = work.import_number(work.upload(many_rows(ROWS), "many.jsonl"))
    wait_for(lambda: work.import_row(number)["row_count"] > 0, PATIENCE, "the first batch")
    apart.kill("default")
    staged = work.import_row(number)["row_count"]
    assert 0 < staged < ROWS, "the worker died in the middle"
    apart.start("default")

    checked = work.wait_for_import(number, "checked", limit=2 * PATIENCE)

    assert (checked["row_count"], checked["problem_count"], checked["line_count"]) == (ROWS, 0, ROWS)
    lines = work.stack.row(
        "SELECT count(*) AS rows, count(DISTINCT line) AS lines FROM datasets_importrow WHERE import_id = %s",
        number,
    )
    assert lines == {"rows": ROWS, "lines": ROWS}

    work.commit(number)
    wait_for(
        lambda: work.operation("datasets.commit_import", number)["state"] == "running", PATIENCE, "the commit"
    )
    apart.kill("default")
    apart.start("default")
    committed = work.wait_for_import(number, "committed", limit=2 * PATIENCE)

    assert committed["added_count"] == ROWS
    dataset = committed["dataset_id"]
    assert work.stack.value("SELECT count(*) FROM datasets_example WHERE dataset_id = %s", dataset) == ROWS
    assert work.stack.value("SELECT example_count FROM datasets_dataset WHERE id = %s", dataset) == ROWS
    assert work.stack.value("SELECT count(*) FROM datasets_importrow WHERE import_id = %s", number) == 0


def test_a_missing_worker_is_shown_within_half_a_minute(work: Work, apart: Apart):
    operations = f"{work.base.split('/p/')[0]}/operations/"
    assert "No worker is running" not in work.visitor.get(operations).text
    apart.kill("default")
    number = work.import_number(work.upload(jsonl(distinct_tickets(5)), "waiting.jsonl"))

    wait_for(lambda: "No worker is running" in work.visitor.get(operations).text, 30, "the warning")

    assert "Nobody serves the queue: default" in work.visitor.get(operations).text
    assert work.import_row(number)["state"] == "received"
    apart.start("default")
    work.wait_for_import(number, "checked", limit=PATIENCE)
    assert "No worker is running" not in work.visitor.get(operations).text
