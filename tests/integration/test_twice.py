"""The same button in two tabs: one effect, and a sentence for whoever was second."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration.main_job import PATIENCE, Work, last_number, new_project
from tests.integration.pages import Page, Visitor
from tests.integration.rows import distinct_tickets, jsonl, many_rows
from tests.integration.stack import Together

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def work(together: Together) -> Work:
    return new_project(together, "Two tabs")


def in_two_tabs(work: Work, path: str, button: str) -> list[Page]:
    """Open a page twice, then press its button in both tabs at once."""
    visitors = [work.stack.visitor(), work.stack.visitor()]
    pages = [visitor.get(path) for visitor in visitors]

    def press(visitor: Visitor, page: Page) -> Page:
        return visitor.submit(page, button)

    with ThreadPoolExecutor(max_workers=2) as threads:
        return list(threads.map(press, visitors, pages))


def first_and_second(answers: list[Page]) -> tuple[Page, Page]:
    """Sorted by what they got: the one that was first got a page, the second an explanation."""
    first, second = sorted(answers, key=lambda page: page.status)
    assert (first.status, second.status) == (200, 409), [page.text[:800] for page in answers]
    return first, second


def test_committing_twice_adds_the_rows_once(work: Work):
    number = work.import_number(work.upload(jsonl(distinct_tickets(40)), "commit.jsonl"))
    dataset = work.wait_for_import(number, "checked")["dataset_id"]

    _, second = first_and_second(in_two_tabs(work, f"{work.base}data/imports/{number}/", "Commit"))

    assert "can't be committed now" in second.text or "changed in the meantime" in second.text
    work.wait_for_import(number, "committed")
    assert work.stack.value("SELECT count(*) FROM datasets_example WHERE dataset_id = %s", dataset) == 40
    assert work.stack.value("SELECT example_count FROM datasets_dataset WHERE id = %s", dataset) == 40


def test_freezing_twice_makes_one_version(work: Work):
    dataset = work.imported(jsonl(distinct_tickets(40)), "freeze.jsonl")

    _, second = first_and_second(in_two_tabs(work, f"{work.base}data/datasets/{dataset}/freeze/", "Freeze"))

    assert "Version 1 of “freeze” was made while this page was open" in second.text
    versions = work.stack.rows("SELECT number FROM datasets_version WHERE dataset_id = %s", dataset)
    assert [version["number"] for version in versions] == [1]


def test_cancelling_twice_stops_the_work_once(work: Work):
    number = work.import_number(work.upload(many_rows(100_000), "large.jsonl"))
    operation = work.operation("datasets.check_import", number)
    path = f"{work.base.split('/p/')[0]}/operations/{operation['id']}/cancel/"
    visitors = [work.stack.visitor(), work.stack.visitor()]
    press: Callable[[Visitor], Page] = lambda visitor: visitor.post(path)  # noqa: E731

    answers = [press(visitor) for visitor in visitors]

    assert answers[0].status == 200, answers[0].text
    assert answers[1].status in (200, 409), answers[1].text
    if answers[1].status == 409:
        assert "has ended already" in answers[1].text
    work.wait_for_import(number, "failed", limit=PATIENCE)
    ended = work.operation("datasets.check_import", number)
    assert ended["state"] == "cancelled"
    asked = work.stack.value(
        "SELECT count(*) FROM audit_auditevent WHERE action = 'operation.cancel_requested' AND target_id = %s",
        str(operation["id"]),
    )
    assert asked == 1
    assert "It can go on where it stopped" in work.import_page(number).text


@pytest.fixture(scope="module")
def started_twice(work: Work) -> list[Page]:
    """What two presses of the same "Start training" led to."""
    version = work.version_of_tickets(40)
    page = work.visitor.get(f"{work.base}train/new/", version=str(version), accept_few="on")
    form = next(form for form in page.forms if any(name == "submission_key" for name, _ in form.fields))
    settings: dict[str, Any] = {"version": version, "epochs": "1", "max_steps": "2", "accept_few": "on"}
    return [work.visitor.send(page, form, **settings) for _ in range(2)]


def test_starting_the_same_training_twice_starts_one_job(work: Work, started_twice: list[Page]):
    first, second = started_twice

    assert (first.status, second.status) == (200, 200)
    assert first.path == second.path
    job = last_number(first)
    same_version = "SELECT id FROM jobs_trainingjob WHERE version_id = %s"
    assert [row["id"] for row in work.stack.rows(same_version, work.job(job)["version_id"])] == [job]


def test_starting_the_same_comparison_twice_is_one_look_at_the_items(work: Work, started_twice: list[Page]):
    job = work.wait_for_job(last_number(started_twice[0]), "succeeded")
    form = f"{work.base}evaluate/new/?model={job['model_version_id']}"

    first, second = in_two_tabs(work, form, "Start comparison")

    assert (first.status, second.status) == (200, 200), second.text
    assert first.path == second.path
    comparison = last_number(first)
    assert work.comparison(comparison)["look"] == 1
    every = work.stack.rows("SELECT id FROM evaluations_comparison WHERE project_id = %s", job["project_id"])
    assert [row["id"] for row in every] == [comparison]
    operation = work.operation("evaluations.compare", comparison)["id"]
    work.visitor.post(f"{work.base.split('/p/')[0]}/operations/{operation}/cancel/")
    work.wait_for_comparison(comparison, "cancelled")
