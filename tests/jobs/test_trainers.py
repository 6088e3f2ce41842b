"""Other trainers of this machine in the form: offered where they are set up, their limits said before the start.

Features of rows as in apps/datasets/provider_formats.py; what LLaMA-Factory and Axolotl can't carry is described in
docs/providers/llama-factory.md and docs/providers/axolotl.md.
"""

import io
import json
import re
import zipfile
from typing import Any

import pytest
import yaml
from django.urls import reverse

from apps.datasets.models import Version
from apps.jobs.job_files import data_files_write
from apps.jobs.models import TrainingJob
from apps.jobs.services import JobRefusedError, job_start
from apps.jobs.trainers import offered_trainers
from tests.jobs.conftest import freeze
from tests.jobs.test_pages import text_of, url

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def project_base_model(project, base_model):
    project.base_model = base_model.reference
    project.save()


@pytest.fixture
def filled(version, base_model) -> dict[str, object]:
    return {"version": version.pk, "base_model": base_model.pk, "method": "lora", "accept_few": "on"}


@pytest.fixture
def factory(settings):
    settings.FTPORTAL_LLAMA_FACTORY = "/opt/llama/bin/llamafactory-cli"


CALL = {"id": "1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
ASKED = {"role": "user", "content": "What time is it?"}
NOON = {"role": "assistant", "content": "Noon."}
ROWS: dict[str, dict[str, Any]] = {
    "calls": {
        "messages": [
            ASKED,
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "1", "content": "12:00"},
            NOON,
        ],
    },
    "weights": {"messages": [ASKED, NOON | {"weight": 0}, ASKED, NOON]},
    "names": {"messages": [ASKED | {"name": "Ada"}, NOON]},
}


@pytest.fixture
def start_with(project, version, base_model, people):
    def begin(*, trained_by: str, of: Version | None = None, **hyperparameters) -> TrainingJob:
        return job_start(
            project=project,
            version=of or version,
            base_model=base_model,
            name="",
            method="lora",
            hyperparameters=hyperparameters,
            by=people.lea,
            trained_by=trained_by,
        )

    return begin


def test_without_a_command_there_is_no_choice(client_of, people, project, filled):
    assert [trainer.name for trainer in offered_trainers()] == ["local"]
    page = text_of(client_of(people.lea).get(url(project, "create")))
    assert "Trained by" not in page
    client_of(people.lea).post(url(project, "create"), {**filled, "trained_by": "custom"})
    assert TrainingJob.objects.get().provider == "local"


def test_a_command_of_the_operator_can_be_chosen(client_of, people, project, filled, factory):
    page = text_of(client_of(people.lea).get(url(project, "create")))
    assert "Trained by" in page
    assert "LLaMA-Factory" in page
    assert "/opt/llama" not in page
    client_of(people.lea).post(url(project, "create"), {**filled, "trained_by": "llama_factory"})
    job = TrainingJob.objects.get()
    assert job.provider == "llama_factory"
    assert job.configuration["trained_by"] == "llama_factory"
    detail = text_of(client_of(people.lea).get(job.get_absolute_url()))
    assert "Trained by LLaMA-Factory" in detail


def test_the_trainer_is_part_of_the_hash_and_our_own_keeps_its_hash(start_with, factory):
    own, other = start_with(trained_by="local"), start_with(trained_by="llama_factory")
    assert own.configuration_hash != other.configuration_hash
    assert "trained_by" not in own.configuration


def test_a_trainer_that_is_not_set_up_is_refused(start_with):
    with pytest.raises(JobRefusedError, match="Axolotl is not set up"):
        start_with(trained_by="axolotl")
    assert TrainingJob.objects.count() == 0


def test_what_is_lost_is_said_in_the_card(client_of, people, project, filled, factory):
    rows = [*[ROWS["calls"]] * 3, *[ROWS["weights"]] * 2, ROWS["names"]]
    filled["version"] = freeze(project, first=rows).pk
    page = text_of(
        client_of(people.lea).get(
            url(project, "create"),
            {**filled, "trained_by": "llama_factory", "too_long": "truncate"},
            headers={"HX-Request": "true"},
        )
    )
    assert "3 of 32 rows are left out for LLaMA-Factory: rows with calls of tools." in page
    assert "LLaMA-Factory knows no weights: 2 rows are trained on in full." in page
    assert "1 row loses names of speakers." in page
    assert "cuts a row that is too long in its question and its answer alike" in page
    own = text_of(client_of(people.lea).get(url(project, "create"), filled, headers={"HX-Request": "true"}))
    assert "left out for" not in own


def test_weights_are_no_loss_for_axolotl(client_of, people, project, filled, settings):
    settings.FTPORTAL_AXOLOTL = "axolotl"
    filled["version"] = freeze(project, first=[ROWS["weights"]] * 2).pk
    page = text_of(
        client_of(people.lea).get(
            url(project, "create"), {**filled, "trained_by": "axolotl"}, headers={"HX-Request": "true"}
        )
    )
    assert not re.search(r"rows? loses? |knows no weights", page)


def test_rows_that_none_can_carry_start_no_job(start_with, project, factory):
    version = freeze(project, train=3, validation=0, first=[ROWS["calls"]] * 3)
    with pytest.raises(JobRefusedError, match="can't be given any of this version's rows"):
        start_with(trained_by="llama_factory", of=version)


def test_long_rows_that_were_never_counted_are_no_guess(start_with, project, factory):
    """LLaMA-Factory cuts rows that are too long; leaving them out takes their token counts."""
    version = freeze(project, tokens={1: None})
    with pytest.raises(JobRefusedError, match="were not counted"):
        start_with(trained_by="llama_factory", of=version, too_long="drop")
    start_with(trained_by="llama_factory", of=version, too_long="truncate")
    assert TrainingJob.objects.count() == 1


def test_rows_that_must_not_be_too_long_stop_the_job(start_with, project, factory):
    version = freeze(project, tokens={2: 900})
    with pytest.raises(JobRefusedError, match="1 row is longer than 512 tokens"):
        start_with(trained_by="llama_factory", of=version, too_long="refuse", max_length=512)


def test_long_rows_are_left_out_before_llama_factory_cuts_them(start_with, project, factory, tmp_path):
    version = freeze(project, tokens={2: 900, 3: 900})
    job = start_with(trained_by="llama_factory", of=version, too_long="drop", max_length=512)
    data_files_write(job=job, directory=tmp_path, check=lambda: None)
    lines = [json.loads(line) for line in (tmp_path / "train.jsonl").read_bytes().splitlines()]
    assert len(lines) == 22  # of 24
    assert all(set(message) == {"role", "content"} for line in lines for message in line["messages"])
    own = start_with(trained_by="local", of=version, too_long="drop", max_length=512)
    data_files_write(job=own, directory=tmp_path, check=lambda: None)
    assert len((tmp_path / "train.jsonl").read_bytes().splitlines()) == 24


def taken(client_of, people, project, filled, trainer: str, **changes):
    address = reverse("jobs:recipe", args=[project.workspace.slug, project.slug, trainer])
    return client_of(people.lea).post(address, {**filled, **changes})


def unpacked(response) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(b"".join(response.streaming_content))) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_a_training_can_be_taken_away_for_llama_factory(
    client_of, people, project, version, filled, base_model
):
    del filled["accept_few"]
    response = taken(
        client_of, people, project, filled, "llama_factory", epochs="2", batch_size="4", seed="7"
    )
    assert response.status_code == 200
    assert response["Content-Disposition"] == 'attachment; filename="Colours-v1-llama-factory.zip"'
    files = unpacked(response)
    assert set(files) == {
        "train.jsonl", "validation.jsonl", "llama-factory.yaml", "dataset_info.json", "README.txt",
    }  # fmt: skip
    assert "llamafactory-cli train llama-factory.yaml" in files["README.txt"]
    config = yaml.safe_load(files["llama-factory.yaml"])
    # 24 rows in batches of 4 for 2 epochs are 12 steps; validated ten times: every 2.
    assert (config["num_train_epochs"], config["per_device_train_batch_size"]) == (2, 4)
    assert (config["eval_steps"], config["save_steps"], config["seed"]) == (2, 2, 7)
    assert config["model_name_or_path"] == base_model.reference
    assert len(files["train.jsonl"].splitlines()) == 24
    assert len(files["validation.jsonl"].splitlines()) == 8
    assert TrainingJob.objects.count() == 0


def test_a_training_can_be_taken_away_for_axolotl(client_of, people, project, filled):
    files = unpacked(taken(client_of, people, project, filled, "axolotl"))
    assert set(files) == {"train.jsonl", "validation.jsonl", "axolotl.yaml", "README.txt"}
    first = json.loads(files["train.jsonl"].splitlines()[0])
    assert [message["train"] for message in first["messages"]][-1] is True


def test_nothing_is_taken_away_of_a_form_with_errors(client_of, people, project, filled):
    response = taken(client_of, people, project, filled, "llama_factory", epochs="-1")
    assert response.status_code == 422
    assert "Epochs must be between" in text_of(response)
    assert taken(client_of, people, project, filled, "custom").status_code == 404
