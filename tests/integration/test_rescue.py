"""A team whose models are served by another ftportal brings one in and makes it anew, over the real pages and /v1."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from openai import OpenAI

from tests.ftportal.running import wait_for
from tests.integration.main_job import PATIENCE, Work, last_number
from tests.integration.pages import Page
from tests.integration.rows import distinct_tickets, jsonl
from tests.integration.stack import Together, running_together
from tests.integration.test_openai_client import new_key

pytestmark = pytest.mark.integration
BASE = "ftportal-tiny"
TRAINING_SECONDS = 420.0
ROWS, HELD_OUT = 60, 20


@pytest.fixture(scope="module")
def stack() -> Iterator[Together]:
    """One of its own: the account of the others has one workspace, and calls nothing in its own network."""
    with running_together(FTPORTAL_ALLOW_PRIVATE_URLS="1") as stack:
        yield stack


@dataclass(frozen=True)
class OldModel:
    """What the first team has: a job that ended at its own /v1."""

    key: str
    handle: str
    name: str
    checkpoints: list[str]


@pytest.fixture(scope="module")
def old_model(stack: Together) -> OldModel:
    key = new_key(stack)
    tickets = distinct_tickets(ROWS + HELD_OUT)
    with OpenAI(base_url=f"{stack.url}/v1", api_key=key) as client:
        training, held_out = (
            client.files.create(file=(name, jsonl(rows)), purpose="fine-tune").id
            for name, rows in (("tickets.jsonl", tickets[:ROWS]), ("held_out.jsonl", tickets[ROWS:]))
        )
        job = client.fine_tuning.jobs.create(
            model=BASE,
            training_file=training,
            validation_file=held_out,
            suffix="tickets",
            seed=7,
            metadata={"run": "spring"},
            hyperparameters={"n_epochs": 1, "batch_size": 8},
        )
        wait_for(
            lambda: client.fine_tuning.jobs.retrieve(job.id).finished_at is not None,
            TRAINING_SECONDS,
            "the end of the first training",
        )
        job = client.fine_tuning.jobs.retrieve(job.id)
        assert job.status == "succeeded", job.error
        assert job.fine_tuned_model
        names = [
            each.fine_tuned_model_checkpoint for each in client.fine_tuning.jobs.checkpoints.list(job.id)
        ]
    return OldModel(key=key, handle=job.id, name=job.fine_tuned_model, checkpoints=names)


@pytest.fixture(scope="module")
def second_team(stack: Together, old_model: OldModel) -> Work:
    """Another workspace's project, connected to the /v1 of the first."""
    visitor = stack.visitor()
    page = visitor.submit(visitor.get("/workspaces/"), "Create workspace", name="Second team")
    workspace = page.path
    form = visitor.get(f"{workspace}settings/connections/new/", provider="openai")
    settings: dict[str, Any] = {"setting-base_url": f"{stack.url}/v1", "setting-api_key": old_model.key}
    made = visitor.submit(form, "Store and check", name="First team", **settings)
    assert made.status == 200, made.text
    page = visitor.submit(visitor.get(f"{workspace}new/"), "Create project", name="Rescue")
    return Work(stack, visitor, page.path)


@pytest.fixture(scope="module")
def imported(stack: Together, second_team: Work, old_model: OldModel) -> int:
    """The number of the job that was brought in."""
    visitor = second_team.visitor
    listing = visitor.submit(
        visitor.get(f"{second_team.base}train/from-provider/"), "List what is there"
    ).path
    wait_for(lambda: old_model.name in visitor.get(listing).text, PATIENCE, "the listing")
    visitor.submit(visitor.get(listing), "Bring in", job=old_model.handle)

    def here() -> bool:
        (row,) = stack.rows("SELECT state, error FROM jobs_recoveredjob WHERE handle = %s", old_model.handle)
        assert row["state"] != "failed", row["error"]
        return bool(row["state"] == "done")

    wait_for(here, PATIENCE, "the job here")
    number: int = stack.value(
        "SELECT id FROM jobs_trainingjob WHERE handle = %s AND imported_at IS NOT NULL", old_model.handle
    )
    return number


def test_a_job_comes_with_its_data_curve_and_checkpoints(stack: Together, imported: int, old_model: OldModel):
    job = stack.row("SELECT * FROM jobs_trainingjob WHERE id = %s", imported)
    original = stack.row(
        "SELECT t.* FROM jobs_trainingjob t JOIN gateway_finetuningjob f ON f.training_job_id = t.id"
        " WHERE f.public_id = %s",
        old_model.handle,
    )

    assert (job["state"], job["name"]) == ("succeeded", "tickets")
    assert (
        job["configuration"]["hyperparameters"] | {"epochs": 1, "batch_size": 8}
        == (job["configuration"]["hyperparameters"])
    )
    assert job["configuration"]["at_provider"]["metadata"] == {"run": "spring"}
    curves = [
        stack.rows(
            "SELECT kind, step, loss, token_accuracy FROM jobs_metricpoint WHERE job_id = %s ORDER BY kind, step",
            each["id"],
        )
        for each in (job, original)
    ]
    assert len(curves[0]) > 5
    assert curves[0] == curves[1]
    version = stack.row("SELECT * FROM datasets_version WHERE id = %s", job["version_id"])
    assert (version["train_count"], version["validation_count"], version["test_count"]) == (ROWS, 0, HELD_OUT)
    model = stack.row("SELECT * FROM registry_modelversion WHERE id = %s", job["model_version_id"])
    assert model["provider_model"] == old_model.name
    kept = stack.rows("SELECT provider_model FROM jobs_checkpoint WHERE job_id = %s", imported)
    assert {each["provider_model"] for each in kept} == set(old_model.checkpoints)


def words_of_step(page: Page, number: int) -> str:
    """What the card Rescue says at one of its four steps."""
    _, _, rest = page.text.partition(f" {number}. ")
    return rest.partition(f" {number + 1}. ")[0]


@pytest.mark.timeout(900)
def test_it_is_made_anew_and_judged_by_the_old_ones_answers(
    stack: Together, second_team: Work, imported: int, old_model: OldModel
):
    visitor = second_team.visitor
    form = visitor.get(second_team.job_page(imported).link("Record its answers"))
    visitor.submit(form, "Record the answers")
    wait_for(
        lambda: f"{HELD_OUT} of {HELD_OUT} answers" in words_of_step(second_team.job_page(imported), 2),
        PATIENCE,
        "its answers",
    )
    with OpenAI(base_url=f"{stack.url}/v1", api_key=old_model.key) as client:
        assert client.models.delete(old_model.name).deleted  # from here on it answers no more

    page = visitor.get(second_team.job_page(imported).link("Train here"))
    recipe = next(form for form in page.forms if any(name == "submission_key" for name, _ in form.fields))
    given = dict(recipe.fields)
    assert (float(given["epochs"]), given["batch_size"], given["seed"]) == (1.0, "8", "7")
    quick: dict[str, Any] = {"lora_rank": "4", "accept_few": "on"}
    new = last_number(visitor.send(page, recipe, **quick))
    trained = second_team.wait_for_job(new, "succeeded", limit=TRAINING_SECONDS)
    assert trained["version_id"] == second_team.job(imported)["version_id"]

    found = re.search(r'href="([^"]*/evaluate/new/[^"]*recorded=[^"]*)"', second_team.job_page(imported).html)
    assert found, "no way on from the card"
    page = visitor.get(html.unescape(found[1]))
    number = last_number(visitor.submit(page, "Start comparison", general_suite=""))
    comparison = second_team.wait_for_comparison(number, "done", limit=TRAINING_SECONDS)
    assert comparison["sentence"]
    labels = stack.rows("SELECT label FROM evaluations_comparisonbaseline WHERE comparison_id = %s", number)
    assert "the model it replaces" in {each["label"] for each in labels}
    assert " ".join(comparison["sentence"].split()) in words_of_step(second_team.job_page(imported), 4)
