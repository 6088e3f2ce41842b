import csv
import io
from typing import Any

import openai
import pytest

from apps.audit.models import AuditEvent
from apps.gateway.models import FineTuningJob, ServedModel
from apps.gateway.tasks import advance
from apps.jobs.models import JobState, TrainingJob
from apps.jobs.services import job_operation
from apps.operations.models import OperationState
from apps.operations.services import operation_end
from tests.gateway.conftest import MODEL, chats, finish_training, jsonl, work
from tests.gateway.schemas import CHECKPOINTS, EVENTS, JOB, JOBS, check


@pytest.fixture
def start(client, upload):
    """`start(**options)`: a job on a file that is ready."""

    def make(**options):
        return client.fine_tuning.jobs.create(model=MODEL, training_file=upload(chats(12)).id, **options)

    return make


def test_a_job_is_the_one_that_the_pages_show(client, start, people, client_of):
    job = start(suffix="my colours", seed=7, metadata={"team": "blue"})

    assert job.id.startswith("ftjob-")
    assert (job.status, job.seed, job.metadata) == ("queued", 7, {"team": "blue"})
    training = TrainingJob.objects.get()
    assert (training.name, training.created_by, training.method) == ("my colours", people.ann, "lora")
    assert training.hyperparameters["seed"] == 7
    assert training.version.train_count == 12
    page = client_of(people.ann).get(training.get_absolute_url())
    assert page.status_code == 200
    assert "my colours" in page.content.decode()
    actions = set(AuditEvent.objects.values_list("action", flat=True))
    assert {"fine_tuning_job.created", "job.started"} <= actions


def test_a_job_waits_for_its_file_and_then_starts_by_itself(client):
    file = client.files.create(file=("rows.jsonl", jsonl(chats(12))), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model=MODEL, training_file=file.id)
    assert job.status == "validating_files"

    for _ in range(6):
        work()
        advance()  # the clock

    assert client.fine_tuning.jobs.retrieve(job.id).status == "queued"


def test_a_trained_job_has_a_model_events_checkpoints_and_a_result_file(client, start, http):
    job = start(suffix="colours")
    finish_training(job.id)

    done = client.fine_tuning.jobs.retrieve(job.id)

    assert (done.status, done.trained_tokens, done.error) == ("succeeded", 400, None)
    assert done.finished_at is not None
    name = done.fine_tuned_model
    assert name.startswith("ft:ftportal-tiny:support-team:colours:")
    check(http.get(f"/fine_tuning/jobs/{job.id}").json(), JOB)

    events = check(http.get(f"/fine_tuning/jobs/{job.id}/events").json(), EVENTS)["data"]
    # Messages as in the examples of the API's description, newest first.
    assert [event["message"] for event in events] == [
        "The job has successfully completed",
        f"New fine-tuned model created: {name}",
        f"Checkpoint created at step 4 with Snapshot ID: {name}:ckpt-step-4",
        f"Checkpoint created at step 3 with Snapshot ID: {name}:ckpt-step-3",
        "Step 4/4: training loss=0.25, validation loss=0.38, full validation loss=0.38",
        "Step 3/4: training loss=0.33",
        "Step 2/4: training loss=0.50",
        "Step 1/4: training loss=1.00",
        "Fine-tuning job started",
        "Files validated, moving job to queued state",
        f"Validating training file: {done.training_file}",
        f"Created fine-tuning job: {job.id}",
    ]
    assert events[4]["data"] == {
        "step": 4,
        "total_steps": 4,
        "train_loss": 0.25,
        "train_mean_token_accuracy": 0.5,
        "valid_loss": 0.375,
        "valid_mean_token_accuracy": 0.75,
        "full_valid_loss": 0.375,
        "full_valid_mean_token_accuracy": 0.75,
    }

    checkpoints = check(http.get(f"/fine_tuning/jobs/{job.id}/checkpoints").json(), CHECKPOINTS)["data"]
    assert [(each["step_number"], each["fine_tuned_model_checkpoint"]) for each in checkpoints] == [
        (4, f"{name}:ckpt-step-4"),
        (3, f"{name}:ckpt-step-3"),
    ]
    assert checkpoints[0]["metrics"]["full_valid_loss"] == 0.375

    (result,) = done.result_files
    assert client.files.retrieve(result).purpose == "fine-tune-results"
    rows = list(csv.DictReader(io.StringIO(client.files.content(result).text)))
    assert list(rows[0]) == [
        "step",
        "train_loss",
        "train_accuracy",
        "valid_loss",
        "valid_mean_token_accuracy",
    ]
    assert (rows[0]["train_loss"], rows[0]["valid_loss"]) == ("1.0", "")
    assert rows[3]["valid_loss"] == "0.375"


def test_checkpoints_keep_their_names_when_the_model_is_deleted(client, start):
    job = start()
    finish_training(job.id)
    name = client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model
    client.models.delete(name)

    told = [each.fine_tuned_model_checkpoint for each in client.fine_tuning.jobs.checkpoints.list(job.id)]

    assert told == [f"{name}:ckpt-step-4", f"{name}:ckpt-step-3"]


def test_events_and_checkpoints_are_paged_without_gaps(client, start):
    job = start()
    finish_training(job.id, steps=30)
    whole = [event.id for event in client.fine_tuning.jobs.list_events(job.id, limit=100)]

    assert len(whole) == len(set(whole)) == 38
    assert [event.id for event in client.fine_tuning.jobs.list_events(job.id, limit=7)] == whole
    assert client.fine_tuning.jobs.list_events(job.id, after="ftevent-nothing").data == []
    steps = [each.step_number for each in client.fine_tuning.jobs.checkpoints.list(job.id, limit=1)]
    assert steps == [30, 29]


def test_auto_is_replaced_by_what_is_used(client, upload):
    file = upload(chats(12))
    auto = client.fine_tuning.jobs.create(model=MODEL, training_file=file.id)
    told = client.fine_tuning.jobs.create(
        model=MODEL,
        training_file=file.id,
        method={
            "type": "supervised",
            "supervised": {
                "hyperparameters": {"n_epochs": 2, "batch_size": 4, "learning_rate_multiplier": 0.5}
            },
        },
    )

    used = {job.fine_tuning_job.public_id: job.hyperparameters for job in TrainingJob.objects.all()}
    assert auto.hyperparameters.n_epochs == used[auto.id]["epochs"]
    assert auto.hyperparameters.learning_rate_multiplier == 1
    assert (told.hyperparameters.n_epochs, told.hyperparameters.batch_size) == (2, 4)
    assert (used[told.id]["epochs"], used[told.id]["batch_size"]) == (2, 4)
    assert used[told.id]["learning_rate"] == used[auto.id]["learning_rate"] / 2


def test_a_validation_file_is_validated_on_and_not_trained_on(client, upload):
    training, validation = upload(chats(12)), upload(chats(20)[12:], "validation.jsonl")
    job = client.fine_tuning.jobs.create(
        model=MODEL, training_file=training.id, validation_file=validation.id
    )
    for _ in range(6):
        work()
        advance()

    assert client.fine_tuning.jobs.retrieve(job.id).status == "queued"
    version = TrainingJob.objects.get().version
    assert (version.train_count, version.validation_count, version.test_count) == (12, 8, 0)
    asked: dict[str, list[Any]] = {"train": [], "validation": []}
    for row in version.rows.select_related("example"):
        asked[row.split].append(row.example.payload)
    assert asked == {"train": chats(12), "validation": chats(20)[12:]}


def test_too_few_examples_fail_the_job(client, upload):
    job = client.fine_tuning.jobs.create(model=MODEL, training_file=upload(chats(9)).id)

    assert job.status == "failed"
    assert (job.error.code, job.error.param) == ("invalid_training_file", "training_file")
    # OpenAI's own words for it.
    assert "Training file has 9 example(s), but must have at least 10 examples" in job.error.message
    assert not TrainingJob.objects.exists()


def test_a_failed_training_fails_the_job_with_its_reason(client, start):
    job = start()
    operation = job_operation(TrainingJob.objects.get())
    assert operation is not None
    operation_end(operation=operation, state=OperationState.FAILED, error="The machine ran out of memory.")

    failed = client.fine_tuning.jobs.retrieve(job.id)

    assert failed.status == "failed"
    assert failed.error.message == "The machine ran out of memory."
    assert failed.fine_tuned_model is None
    assert client.fine_tuning.jobs.list_events(job.id).data[0].level == "error"


def test_cancelling_a_job_cancels_the_training(client, start, people):
    job = start()

    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"

    training = TrainingJob.objects.get()
    assert (training.state, training.cancelled_by) == (JobState.CANCELLED, people.ann)
    ended = client.fine_tuning.jobs.retrieve(job.id)
    assert (ended.status, ended.finished_at is not None) == ("cancelled", True)
    with pytest.raises(openai.BadRequestError) as refused:
        client.fine_tuning.jobs.cancel(job.id)
    assert refused.value.code == "invalid_job_status"


def test_a_job_can_be_cancelled_while_its_files_are_checked(client):
    file = client.files.create(file=("rows.jsonl", jsonl(chats(12))), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model=MODEL, training_file=file.id)

    assert client.fine_tuning.jobs.cancel(job.id).status == "cancelled"

    for _ in range(6):
        work()
        advance()
    assert client.fine_tuning.jobs.retrieve(job.id).status == "cancelled"
    assert not TrainingJob.objects.exists()


def test_a_paused_job_waits_until_it_is_resumed(client, start):
    job = start()

    assert client.fine_tuning.jobs.pause(job.id).status == "queued"
    assert TrainingJob.objects.get().state == JobState.PAUSED
    assert client.fine_tuning.jobs.resume(job.id).status == "queued"
    assert TrainingJob.objects.get().state == JobState.QUEUED
    finish_training(job.id)
    assert client.fine_tuning.jobs.retrieve(job.id).status == "succeeded"


def test_jobs_are_listed_and_found_by_their_metadata(client, upload, http):
    file = upload(chats(12))

    def make(**metadata):
        return client.fine_tuning.jobs.create(
            model=MODEL, training_file=file.id, metadata=metadata or openai.omit
        ).id

    plain, blue, red = make(), make(team="blue", run="1"), make(team="red", run="1")

    check(http.get("/fine_tuning/jobs").json(), JOBS)
    assert [job.id for job in client.fine_tuning.jobs.list(limit=1)] == [red, blue, plain]
    assert [job.id for job in client.fine_tuning.jobs.list(metadata={"run": "1"})] == [red, blue]
    assert [job.id for job in client.fine_tuning.jobs.list(metadata={"run": "1", "team": "blue"})] == [blue]
    found = http.get("/fine_tuning/jobs", params={"metadata": "null"}).json()["data"]
    assert [job["id"] for job in found] == [plain]


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"model": "gpt-unknown"}, "model"),
        ({"training_file": "file-unknown"}, "training_file"),
        ({"suffix": "x" * 65}, "suffix"),
        ({"seed": -1}, "seed"),
        ({"metadata": {str(number): "x" for number in range(17)}}, "metadata"),
        ({"hyperparameters": {"n_epochs": 51}}, "hyperparameters.n_epochs"),
        ({"hyperparameters": {"batch_size": 0}}, "hyperparameters.batch_size"),
        ({"method": {"type": "reinforcement"}}, "method.type"),
    ],
)
def test_what_is_wrong_with_a_request_is_named(client, upload, options, param):
    asked = {"model": MODEL, "training_file": upload(chats(12)).id, **options}

    with pytest.raises(openai.APIStatusError) as refused:
        client.fine_tuning.jobs.create(**asked)

    assert refused.value.param == param
    assert not FineTuningJob.objects.exists()


def test_two_jobs_on_one_file_share_its_version(client, upload):
    file = upload(chats(12))
    for _ in range(2):
        client.fine_tuning.jobs.create(model=MODEL, training_file=file.id)

    versions = {job.version_id for job in TrainingJob.objects.all()}
    assert (TrainingJob.objects.count(), len(versions)) == (2, 1)


def test_the_name_of_a_model_is_made_once(client, start):
    job = start()
    finish_training(job.id)
    names = {client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model for _ in range(3)}
    advance()

    assert len(names) == 1
    assert ServedModel.objects.count() == 3  # the model and two checkpoints
