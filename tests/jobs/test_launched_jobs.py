"""Jobs of other trainers from the queue to the model, under the real supervisor; the tool stands in for a real one."""

import os
import signal
import stat
import sys
from pathlib import Path

import pytest

from apps.jobs.directories import job_directory, machine_trainer
from apps.jobs.job_files import data_files_write, training_request
from apps.jobs.models import JobState, PointKind
from apps.jobs.orphans import orphans_stop
from apps.jobs.services import job_cancel, job_start
from apps.providers.launching.processes import tool_processes
from tests.jobs.conftest import operation_of
from tests.jobs.test_supervision import in_background, names_in, reached, run, steps_of, text_of
from tests.jobs.trainers import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.integration]

FAKE = Path(__file__).resolve().parents[1] / "providers" / "fake_tool.py"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def launched(project, version, base_model, people, settings, tmp_path):
    """`launched("hang")`: a queued job for LLaMA-Factory, which ends in this way."""

    def begin(how: str):
        tool = tmp_path / "llamafactory-cli"
        source = FAKE.read_text().replace("Path(__file__).resolve().parent", f"Path({str(FAKE.parent)!r})")
        tool.write_text(f"#!/usr/bin/env -S {sys.executable} -I\n{source}")
        tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
        settings.FTPORTAL_LLAMA_FACTORY = f"'{tool}' --ends {how}"
        return job_start(
            project=project,
            version=version,
            base_model=base_model,
            name="Colours, elsewhere",
            method="lora",
            hyperparameters={"epochs": 2.0, "batch_size": 4, "evaluation_steps": 4, "seed": 7},
            by=people.lea,
            trained_by="llama_factory",
        )

    return begin


def test_a_job_of_another_trainer_leaves_a_model_like_any_other(launched):
    job = launched("well")
    run(job)
    assert job.state == JobState.SUCCEEDED, job.error
    assert steps_of(job) == list(range(1, 13))
    assert (job.step, job.total_steps, job.best_step) == (12, 12, 12)
    # As LLaMA-Factory wrote it.
    assert job.best_validation_loss == pytest.approx(2.7489209175109863)
    assert list(job.points.filter(kind=PointKind.VALIDATION).values_list("step", flat=True)) == [4, 8, 12]
    assert [entry["phase"] for entry in job.phases] == [
        "loading", "preparing", "training", "saving", "finished",
    ]  # fmt: skip
    assert job.model_version is not None
    assert names_in(job.model_version.artifact) == {"adapter_config.json", "adapter_model.safetensors"}
    assert [checkpoint.step for checkpoint in job.checkpoints.all() if checkpoint.artifact_id] == [4, 8, 12]
    assert "Running training" in text_of(job.log)
    assert not job_directory(job.pk).exists()


def test_cancelling_ends_the_tool_and_keeps_its_last_checkpoint(launched, people):
    job = launched("children")
    thread = in_background(job)
    wait_until(lambda: reached(job, 8) and job.checkpoints.filter(step=8).exists(), "the second checkpoint")
    job_cancel(job=job, by=people.lea)
    thread.join()
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED
    assert job.last_checkpoint is not None
    assert "adapter_model.safetensors" in names_in(job.last_checkpoint)
    assert tool_processes(job_directory(job.pk)) == []


def test_a_killed_tool_is_started_again_from_its_checkpoint(launched, people):
    job = launched("hang")
    thread = in_background(job)
    hanging = job_directory(job.pk) / "hanging"
    wait_until(hanging.is_file, "the tool at work")
    wait_until(lambda: job.checkpoints.filter(step=8).exists(), "the second checkpoint")
    first = int(hanging.read_text())
    hanging.unlink()
    os.kill(first, signal.SIGKILL)
    wait_until(hanging.is_file, "the tool once more")
    wait_until(lambda: resumed_from(job) == 8, "the plan of the second start")
    assert job.restarts == 1
    job_cancel(job=job, by=people.lea)
    thread.join()
    job.refresh_from_db()
    assert (job.state, steps_of(job)) == (JobState.CANCELLED, list(range(1, 9)))


def resumed_from(job) -> int | None:
    job.refresh_from_db()
    step: int | None = job.plan.get("resumed_from_step")
    return step


def test_a_tool_that_fails_says_why(launched):
    job = launched("crash")
    run(job)
    assert job.state == JobState.FAILED
    assert job.error == "LLaMA-Factory ended with exit code 1: ValueError: Template nosuch does not exist."


def test_the_tool_of_an_ended_job_is_found_and_ended(launched):
    job = launched("children")
    directory = job_directory(job.pk)
    data_files_write(job=job, directory=directory, check=lambda: None)
    machine_trainer(job.provider).submit(training_request(job=job, directory=directory, resume=False))
    wait_until((directory / "hanging").is_file, "the tool at work")
    type(job).objects.filter(pk=job.pk).update(state=JobState.FAILED)
    assert orphans_stop() == 1
    assert tool_processes(directory) == []
    assert not directory.exists()


def test_the_example_of_a_custom_trainer_makes_a_model(project, version, people, settings, workspace):
    from apps.registry.services import base_model_ensure

    settings.FTPORTAL_CUSTOM_TRAINER = f"{sys.executable} {ROOT / 'examples' / 'custom_trainer.py'}"
    job = job_start(
        project=project,
        version=version,
        base_model=base_model_ensure(
            workspace=workspace, reference=str(settings.FTPORTAL_BASE_MODEL), actor=people.lea
        ),
        name="",
        method="lora",
        hyperparameters={"epochs": 2.0, "batch_size": 4, "evaluation_steps": 4},
        by=people.lea,
        trained_by="custom",
    )
    run(job)
    assert job.state == JobState.SUCCEEDED, job.error
    assert (steps_of(job), job.provider) == (list(range(1, 13)), "custom")
    assert job.model_version is not None
    assert job.model_version.kind == "adapter"
    assert operation_of(job).total == 12
