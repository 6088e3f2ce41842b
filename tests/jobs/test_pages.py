"""The pages: who may see and do what, what the form says, and that it starts one job only."""

import csv
import json
import re
import uuid

import pytest
from django.urls import reverse

from apps.jobs.models import JobState, MetricPoint, PointKind, TrainingJob
from apps.operations.models import Operation, OperationState
from apps.registry.models import ModelKind
from apps.registry.services import model_version_create
from tests.jobs.conftest import freeze, operation_of

pytestmark = pytest.mark.django_db


def url(project, page: str, *arguments) -> str:
    return reverse(f"jobs:{page}", args=[project.workspace.slug, project.slug, *arguments])


@pytest.fixture
def filled(version, base_model) -> dict[str, object]:
    return {"version": version.pk, "base_model": base_model.pk, "method": "lora", "accept_few": "on"}


@pytest.fixture(autouse=True)
def project_base_model(project, base_model):
    project.base_model = base_model.reference
    project.save()


def text_of(response) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", response.content.decode()))


# --- Starting ------------------------------------------------------------------------------------------------------


def test_a_lead_starts_a_job(client_of, people, project, filled, version, base_model):
    page = url(project, "create")
    response = client_of(people.lea).post(
        page, {**filled, "epochs": "2", "lora_rank": "8", "name": "First try"}
    )
    job = TrainingJob.objects.get()
    assert response.status_code == 302
    assert response["Location"] == job.get_absolute_url()
    assert (job.name, job.number, job.method, job.state) == ("First try", 1, "lora", JobState.QUEUED)
    assert (job.version, job.base_model, job.created_by) == (version, base_model, people.lea)
    settings = job.configuration["hyperparameters"]
    # 24 rows: 1 row a batch still gives about 20 steps an epoch; alpha is twice the rank.
    assert (settings["epochs"], settings["lora_rank"], settings["lora_alpha"], settings["batch_size"]) == (
        2,
        8,
        16,
        1,
    )
    assert settings["learning_rate"] == 2e-3
    assert job.configuration["data"]["manifest_hash"] == version.manifest_hash
    operation = operation_of(job)
    assert (operation.kind, operation.queue, operation.state) == (
        "jobs.train",
        "training",
        OperationState.QUEUED,
    )


def test_the_same_form_sent_twice_starts_one_job(client_of, people, project, filled):
    client = client_of(people.lea)
    sent = {**filled, "submission_key": str(uuid.uuid4())}
    first, second = client.post(url(project, "create"), sent), client.post(url(project, "create"), sent)
    assert first["Location"] == second["Location"]
    assert TrainingJob.objects.count() == 1
    assert Operation.objects.count() == 1


def test_the_same_settings_have_the_same_hash(client_of, people, project, filled):
    client = client_of(people.lea)
    for epochs in ("2", "2", "3"):
        client.post(url(project, "create"), {**filled, "epochs": epochs, "name": f"epochs {epochs}"})
    hashes = list(TrainingJob.objects.order_by("number").values_list("configuration_hash", flat=True))
    assert hashes[0] == hashes[1] != hashes[2]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epochs": "0"}, "Epochs must be between 0.01 and 100"),
        ({"learning_rate": "fast"}, "Enter a number"),
        ({"max_length": "4"}, "Maximum length must be between 8"),
        ({"accept_few": ""}, "Confirm that you want to train on so few rows"),
        ({"version": "999999"}, "Select a valid choice"),
        ({"method": "magic"}, "magic is not one of the available choices"),
    ],
)
def test_what_cannot_work_keeps_the_form_and_starts_nothing(
    client_of, people, project, filled, changes, words
):
    response = client_of(people.lea).post(url(project, "create"), {**filled, "name": "Kept", **changes})
    assert response.status_code == 422
    assert words in text_of(response)
    assert 'value="Kept"' in response.content.decode()
    assert not TrainingJob.objects.exists()


def test_a_version_of_another_project_is_no_choice(client_of, people, project, other_project, filled):
    foreign = freeze(other_project)
    response = client_of(people.lea).post(url(project, "create"), {**filled, "version": foreign.pk})
    assert response.status_code == 422
    assert not TrainingJob.objects.exists()


@pytest.mark.parametrize("who", ["vic", "ben", "rob"])
def test_only_leads_and_owners_start_and_cancel(client_of, people, project, filled, start, who):
    job = start()
    client = client_of(getattr(people, who))
    assert client.post(url(project, "create"), filled).status_code == 403
    assert client.get(url(project, "create")).status_code == 403
    assert client.post(url(project, "cancel", job.pk)).status_code == 403
    assert TrainingJob.objects.count() == 1
    assert client.get(url(project, "detail", job.pk)).status_code == 200
    assert client.get(url(project, "index")).status_code == 200


@pytest.fixture
def other_project(other_workspace, people):
    from apps.projects.models import Project

    return Project.objects.create(workspace=other_workspace, name="Other", slug="ticket-triage")


@pytest.mark.parametrize("page", ["detail", "metrics", "csv", "log", "stream"])
def test_jobs_of_others_do_not_exist(client_of, people, project, other_project, start, page):
    job = start()
    assert client_of(people.zoe).get(url(project, page, job.pk)).status_code == 404
    assert client_of(people.zoe).get(url(other_project, page, job.pk)).status_code == 404
    assert client_of(people.zoe).post(url(other_project, "cancel", job.pk)).status_code == 404
    job.refresh_from_db()
    assert job.state == JobState.QUEUED


def test_comparing_leaves_out_the_jobs_of_others(client_of, people, other_project, start):
    job = start(name="Secret name")
    response = client_of(people.zoe).get(url(other_project, "compare") + f"?job={job.pk}")
    assert response.status_code == 200
    assert "Secret name" not in response.content.decode()


# --- The card beside the form ----------------------------------------------------------------------------------------


def preview(client, project, **fields) -> str:
    headers = {"HX-Request": "true", "HX-Target": "section#job-preview"}
    response = client.get(url(project, "create"), fields, headers=headers)
    assert response.status_code == 200
    assert b"<html" not in response.content
    return text_of(response)


def test_the_card_counts_what_would_run(client_of, people, project, filled):
    words = preview(client_of(people.lea), project, **{**filled, "epochs": "2", "batch_size": "4"})
    # 24 rows of 40 tokens in batches of 4: 6 steps an epoch.
    assert "Steps 12 (6 an epoch)" in words
    assert "Tokens 1 920 " in words
    assert "unknown until the first run" in words
    assert "too few" in words
    assert "Start training" in words


def test_the_time_comes_from_earlier_jobs(client_of, people, project, filled, start):
    earlier = start()
    TrainingJob.objects.filter(pk=earlier.pk).update(
        state=JobState.SUCCEEDED,
        measured_tokens_per_second=96.0,
        environment={"device": "cpu", "threads": 2},
    )
    words = preview(client_of(people.lea), project, **{**filled, "epochs": "2"})
    assert "about 20 s" in words
    assert "1 earlier job (cpu, 2 threads)" in words


@pytest.mark.parametrize(
    ("changes", "button"),
    [
        ({}, "Start training"),
        ({"version": ""}, "Choose a dataset version"),
        ({"base_model": ""}, "Choose a base model"),
        ({"accept_few": ""}, "Confirm the small dataset"),
        ({"epochs": "0", "batch_size": "x"}, "Mend 2 settings"),
    ],
)
def test_the_button_says_what_is_missing(client_of, people, project, filled, changes, button):
    words = preview(client_of(people.lea), project, **{**filled, **changes})
    assert words.strip().endswith(button) or f"{button} " in words


def test_without_a_version_there_is_a_way_to_one(client_of, people, project):
    page = client_of(people.lea).get(url(project, "create"))
    assert "Freeze a version first" in text_of(page)
    assert "Freeze a version first" in text_of(client_of(people.lea).get(url(project, "index")))


def test_recommendations_follow_the_method(client_of, people, project, filled):
    client = client_of(people.lea)
    assert "Recommended: 5e-4 , for full fine-tuning" in preview(
        client, project, **{**filled, "method": "full"}
    )
    assert "Recommended: 0.002 , for LoRA" in preview(client, project, **filled)


def test_a_new_job_starts_from_an_earlier_one(client_of, people, project, start):
    earlier = start(epochs=7.0, lora_rank=4, method="lora")
    page = client_of(people.lea).get(url(project, "create") + f"?from={earlier.pk}").content.decode()
    assert re.search(r'name="epochs"[^>]*value="7.0"|value="7.0"[^>]*name="epochs"', page)
    assert client_of(people.lea).get(url(project, "create") + "?from=999").status_code == 404


# --- One job ---------------------------------------------------------------------------------------------------------


def test_the_page_shows_state_settings_and_log(client_of, people, project, start):
    job = start(name="Colours")
    TrainingJob.objects.filter(pk=job.pk).update(
        state=JobState.RUNNING,
        log_tail="loss <b>2.5</b>",
        step=10,
        total_steps=40,
        train_loss=1.25,
        environment={"packages": {"torch": "2.13.0"}, "device": "cpu", "threads": 2, "seed": 7},
    )
    page = client_of(people.vic).get(url(project, "detail", job.pk))
    words, source = text_of(page), page.content.decode()
    assert "step 10 of 40" in words
    assert "torch 2.13.0" in words
    assert job.configuration_hash in source
    assert "loss &lt;b&gt;2.5&lt;/b&gt;" in source
    assert "hx-sse:connect" in source
    assert "Cancel training" not in words
    assert "Cancel training" in text_of(client_of(people.lea).get(url(project, "detail", job.pk)))


def test_a_failed_job_says_why_and_what_next(client_of, people, project, start):
    job = start()
    TrainingJob.objects.filter(pk=job.pk).update(
        state=JobState.FAILED, error="The loss diverged.", log_tail="last words"
    )
    page = client_of(people.lea).get(url(project, "detail", job.pk))
    words = text_of(page)
    assert "The loss diverged." in words
    assert "last words" in words
    assert "Start a new job from this one" in words
    assert "hx-sse:connect" not in page.content.decode()


def test_a_finished_job_leads_to_the_comparison(client_of, people, project, start, base_model):
    from apps.artifacts.storage import blob_store

    job = start(name="Colours")
    model = model_version_create(
        project=project, base_model=base_model, kind=ModelKind.ADAPTER, artifact=blob_store(content=[b"x"]),
        name="Colours", validation_loss=0.5, best_step=8, actor=None,
    )  # fmt: skip
    TrainingJob.objects.filter(pk=job.pk).update(state=JobState.SUCCEEDED, model_version=model, best_step=8)
    page = client_of(people.vic).get(url(project, "detail", job.pk))
    assert "Compare with the best prompt" in text_of(page)
    assert f"?model={model.pk}" in page.content.decode()
    assert model.get_absolute_url() in page.content.decode()


def test_cancelling_a_waiting_job(client_of, people, project, start):
    job = start()
    response = client_of(people.ann).post(url(project, "cancel", job.pk))
    assert response.status_code == 302
    job.refresh_from_db()
    assert (job.state, job.cancelled_by) == (JobState.CANCELLED, people.ann)
    assert client_of(people.ann).post(url(project, "cancel", job.pk)).status_code == 409
    assert client_of(people.ann).get(url(project, "cancel", job.pk)).status_code == 405


def test_numbers_as_csv(client_of, people, project, start):
    job = start()
    MetricPoint.objects.create(job=job, seq=5, kind=PointKind.TRAIN, step=1, loss=2.5, learning_rate=1e-4)
    MetricPoint.objects.create(job=job, seq=6, kind=PointKind.VALIDATION, step=1, loss=2.25)
    file = client_of(people.vic).get(url(project, "csv", job.pk)).getvalue().decode()
    rows = list(csv.DictReader(file.splitlines()))
    assert [(row["seq"], row["kind"], row["step"], row["loss"], row["learning_rate"]) for row in rows] == [
        ("5", "train", "1", "2.5", "0.0001"),
        ("6", "validation", "1", "2.25", ""),
    ]


def test_the_log_is_a_file_of_plain_text(client_of, people, project, start):
    job = start()
    TrainingJob.objects.filter(pk=job.pk).update(log_tail="<script>alert(1)</script>")
    response = client_of(people.vic).get(url(project, "log", job.pk))
    assert response["Content-Type"].startswith("text/plain")
    assert response["Content-Disposition"].startswith("attachment")
    assert response.getvalue() == b"<script>alert(1)</script>"


# --- Several jobs ----------------------------------------------------------------------------------------------------


def test_comparing_shows_only_what_differs(client_of, people, project, start):
    one, two = start(name="Low", lora_rank=4, seed=1), start(name="High", lora_rank=64, seed=1)
    page = client_of(people.vic).get(url(project, "compare") + f"?job={one.pk}&job={two.pk}")
    words = text_of(page)
    assert "LoRA rank 4 64" in words
    assert "LoRA alpha 8 128" in words
    assert "Seed" not in words
    assert "Low" in words
    runs = json.loads(page.content.decode().split('data-runs="')[1].split('"')[0].replace("&quot;", '"'))
    assert [run["name"] for run in runs] == ["Low", "High"]


def test_the_list_is_paged_and_never_reads_points(
    client_of, people, project, start, django_assert_max_num_queries
):
    jobs = [start(name=f"Job number {n}") for n in range(3)]
    client = client_of(people.vic)
    with django_assert_max_num_queries(40) as few:
        client.get(url(project, "index"))
    TrainingJob.objects.bulk_create(
        TrainingJob(
            project=project, number=n, name=f"Job number {n}", version=jobs[0].version,
            base_model=jobs[0].base_model, method="lora", configuration={}, configuration_hash="x",
        )
        for n in range(10, 60)
    )  # fmt: skip
    with django_assert_max_num_queries(40) as many:
        first = client.get(url(project, "index"))
    assert len(many) <= len(few)
    assert not any("jobs_metricpoint" in query["sql"] for query in many.captured_queries)
    assert "Job number 59" in text_of(first)
    assert "Job number 34" not in text_of(first)
    after = re.search(r"after=(\d+)", first.content.decode())
    assert after is not None
    second = text_of(client.get(url(project, "index") + f"?after={after[1]}"))
    assert "Job number 34" in second
    assert "Job number 59" not in second
