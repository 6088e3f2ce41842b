"""The method dpo: files with preference pairs, its hyperparameters, and what is refused."""

from typing import Any

import openai
import pytest

from apps.gateway.tasks import advance
from apps.jobs.models import TrainingJob
from tests.gateway.conftest import MODEL, chats, finish_training, work
from tests.gateway.schemas import JOB, check


def pairs(count: int, *, preferred: str = "preferred_output") -> list[dict[str, Any]]:
    """As the API's guide on direct preference optimization writes them."""
    return [
        {
            "input": {"messages": [{"role": "user", "content": f"What is {number} plus one?"}]},
            preferred: [{"role": "assistant", "content": str(number + 1)}],
            f"non_{preferred}": [{"role": "assistant", "content": "I do not know."}],
        }
        for number in range(count)
    ]


def dpo(**hyperparameters) -> Any:
    return {"type": "dpo", "dpo": {"hyperparameters": hyperparameters}}


# The keys of the former description of the API are known, too.
@pytest.mark.parametrize("preferred", ["preferred_output", "preferred_completion"])
def test_a_job_learns_from_pairs(client, upload, http, preferred):
    file = upload(pairs(12, preferred=preferred))
    assert (file.status, file.status_details) == ("processed", None)

    job = client.fine_tuning.jobs.create(
        model=MODEL, training_file=file.id, method=dpo(beta=0.3, n_epochs=2), seed=5
    )

    training = TrainingJob.objects.get()
    assert (training.objective, training.method) == ("dpo", "lora")
    assert (training.hyperparameters["beta"], training.hyperparameters["epochs"]) == (0.3, 2.0)
    assert job.status == "queued"
    assert (job.method.type, job.method.dpo.hyperparameters.beta) == ("dpo", 0.3)
    # "This value will only be returned when running supervised jobs" (the API's description of a job).
    assert job.hyperparameters.n_epochs is None
    shape = check(http.get(f"/fine_tuning/jobs/{job.id}").json(), JOB)
    assert set(shape["method"]) == {"type", "dpo"}
    finish_training(job.id)
    assert client.fine_tuning.jobs.retrieve(job.id).fine_tuned_model.startswith("ft:ftportal-tiny:")


def test_auto_takes_what_is_recommended_for_dpo(client, upload):
    job = client.fine_tuning.jobs.create(
        model=MODEL, training_file=upload(pairs(12)).id, method=dpo(beta="auto", learning_rate_multiplier=0.5)
    )

    training = TrainingJob.objects.get()
    assert job.method.dpo.hyperparameters.beta == training.hyperparameters["beta"] == 0.1
    # Half of 2e-4, which docs/training.md recommends for DPO with LoRA on a model of this size.
    assert training.hyperparameters["learning_rate"] == pytest.approx(1e-4)


def test_a_method_without_settings_takes_all_of_them_by_itself(client, upload):
    job = client.fine_tuning.jobs.create(
        model=MODEL, training_file=upload(pairs(12)).id, method={"type": "dpo"}
    )

    assert (job.status, job.method.dpo.hyperparameters.beta) == ("queued", 0.1)


@pytest.mark.parametrize("beta", [0, -1, 2.1, "strong", True])
def test_beta_has_the_bounds_of_the_protocol(client, upload, beta):
    with pytest.raises(openai.BadRequestError) as refused:
        client.fine_tuning.jobs.create(model=MODEL, training_file=upload(pairs(12)).id, method=dpo(beta=beta))

    assert refused.value.param == "method.dpo.hyperparameters.beta"
    assert "above 0 and up to 2" in refused.value.message


def test_a_file_must_fit_its_method(client, upload):
    chat_file, pair_file = upload(chats(12)), upload(pairs(12))

    plain = client.fine_tuning.jobs.create(model=MODEL, training_file=pair_file.id)
    preferring = client.fine_tuning.jobs.create(model=MODEL, training_file=chat_file.id, method=dpo())

    assert (plain.status, preferring.status) == ("failed", "failed")
    assert plain.error.code == preferring.error.code == "invalid_training_file"
    assert "preference pairs, which are for the method 'dpo'" in plain.error.message
    assert "12 of its 12 examples are no preference pairs" in preferring.error.message
    assert not TrainingJob.objects.exists()


def test_the_validation_file_must_fit_too(client, upload):
    job = client.fine_tuning.jobs.create(
        model=MODEL,
        training_file=upload(pairs(12)).id,
        validation_file=upload(chats(20)[12:], "validation.jsonl").id,
        method=dpo(),
    )
    for _ in range(6):
        work()
        advance()

    failed = client.fine_tuning.jobs.retrieve(job.id)
    assert (failed.status, failed.error.param) == ("failed", "validation_file")
    assert "8 of its 8 examples are no preference pairs" in failed.error.message


def test_a_broken_pair_is_named_by_its_line(client, upload):
    rows = pairs(12)
    rows[3]["non_preferred_output"] = [{"role": "assistant", "content": ""}]

    file = upload(rows)

    assert file.status == "error"
    assert file.status_details.startswith("Line 4: The rejected answer is empty.")
