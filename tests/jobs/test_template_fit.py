"""Tools that a chat template does not write, said before the start. The templates are the tests' own."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from apps.jobs.models import TrainingJob
from apps.jobs.places.finding import places_for
from apps.jobs.services import JobRefusedError, job_start
from apps.registry.services import base_model_ensure
from tests.jobs.conftest import freeze
from tests.jobs.test_pages import text_of, url
from tests.jobs.test_places import TODAY
from tests.providers.tiny import CHATML_TOOLS

pytestmark = pytest.mark.django_db

TOOL = {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}
CALL = {"type": "function", "function": {"name": "now", "arguments": "{}"}}
ASKED = {"role": "user", "content": "What time is it?"}
NOON = {"role": "assistant", "content": "Noon."}
LISTED: dict[str, Any] = {"messages": [ASKED, NOON], "tools": [TOOL]}
RESULT = {"role": "tool", "content": "12:00"}
SPOKEN = {
    "messages": [ASKED, {"role": "assistant", "content": "Let me see.", "tool_calls": [CALL]}, RESULT, NOON]
}
SILENT = {"messages": [ASKED, {"role": "assistant", "content": None, "tool_calls": [CALL]}, RESULT, NOON]}


@pytest.fixture
def knowing(workspace, tiny_model: Path, people, tmp_path: Path):
    """The same model with a template that writes tools."""
    directory = tmp_path / "knowing"
    shutil.copytree(tiny_model, directory)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    tokenizer.chat_template = CHATML_TOOLS
    tokenizer.save_pretrained(directory)
    return base_model_ensure(workspace=workspace, reference=str(directory), actor=people.lea)


@pytest.fixture
def card(client_of, people, project):
    """The text of the card beside the form."""

    def show(version, base_model, **changes) -> str:
        given = {
            "version": version.pk,
            "base_model": base_model.pk,
            "method": "lora",
            "accept_few": "on",
            **changes,
        }
        return text_of(
            client_of(people.lea).get(url(project, "create"), given, headers={"HX-Request": "true"})
        )

    return show


def test_rows_whose_tools_the_template_does_not_write_are_counted(card, project, base_model):
    page = card(freeze(project, first=[LISTED, LISTED, LISTED]), base_model)

    assert (
        f"3 rows list tools, and the chat template of {base_model} does not write them: the model is trained as if they"
        " were not listed." in page
    )
    assert "Start training" in page


def test_calls_that_the_template_does_not_write_are_counted(card, project, base_model):
    page = card(freeze(project, first=[SPOKEN]), base_model)

    assert f"1 row calls tools, and the chat template of {base_model} does not write them" in page


def test_nothing_is_said_of_a_template_that_writes_them(card, project, knowing):
    page = card(freeze(project, first=[LISTED, SPOKEN, SILENT]), knowing)

    assert "chat template" not in page
    assert "Start training" in page


def test_only_pairs_count_for_dpo(card, project, base_model):
    pair = {**LISTED, "rejected": [{"role": "assistant", "content": "No idea."}]}
    version = freeze(project, pairs=3, first=[pair, LISTED])

    assert "1 row lists tools" in card(version, base_model, objective="dpo")
    assert "2 rows list tools" in card(version, base_model, objective="supervised")


def test_rows_that_the_template_refuses_start_no_job(card, project, base_model, people):
    """A call without a text: the template of the tests' model joins texts, and there is none."""
    version = freeze(project, first=[SILENT])

    assert "chat template refuses this conversation" in card(version, base_model)
    assert "Start training" not in card(version, base_model)
    with pytest.raises(JobRefusedError, match="chat template refuses"):
        job_start(
            project=project, version=version, base_model=base_model, name="", method="lora",
            hyperparameters={}, by=people.lea,
        )  # fmt: skip
    assert TrainingJob.objects.count() == 0


def test_a_model_that_is_not_on_this_machine_is_not_guessed_about(card, project, workspace, people):
    elsewhere = base_model_ensure(workspace=workspace, reference="someone/some-model", actor=people.lea)

    page = card(freeze(project, first=[LISTED]), elsewhere)

    assert "1 row lists tools. Whether the chat template of" in page
    assert "be looked up here; the page of the job says it once it runs" in page


def test_places_name_the_tools_only_where_they_are_lost(project, base_model, knowing):
    version = freeze(project, first=[LISTED, LISTED])

    found = places_for(version, objective="supervised", epochs=1.0, today=TODAY)

    lost = {place.base_model.pk: place.losses for place in found.places if place.base_model}
    assert lost[base_model.pk] == ["a list of tools: 2 rows"]
    assert lost[knowing.pk] == []
