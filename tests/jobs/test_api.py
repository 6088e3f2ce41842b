"""Training jobs over the API: what the pages can do, with a key."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.accounts.services import api_key_create
from apps.jobs.models import JobState, MetricPoint, TrainingJob
from apps.operations.models import OperationState
from tests.jobs.conftest import SHORT_RUN, operation_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def call(project, workspace):
    """`call(person, "get", "jobs/")`: status and body of the answer."""

    def ask(person: User, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        _, key = api_key_create(workspace=workspace, user=person, name="script")
        answer = getattr(Client(), method)(
            f"/api/w/{workspace.slug}/p/{project.slug}/{path}",
            **({"data": body, "content_type": "application/json"} if body is not None else {}),
            headers={"Authorization": f"Bearer {key}"},
        )
        return answer.status_code, answer.json()

    return ask


def test_a_job_is_started_followed_and_cancelled(call, people, version, base_model):
    wanted = {
        "version": version.pk,
        "base_model": base_model.pk,
        "name": "By API",
        "hyperparameters": SHORT_RUN,
    }
    status, job = call(people.lea, "post", "jobs/", wanted)
    assert status == 201, job
    assert (job["state"], job["name"], job["method"]) == ("queued", "By API", "lora")
    MetricPoint.objects.create(job_id=job["id"], seq=0, kind="train", step=1, loss=2.5)
    assert [point["loss"] for point in call(people.vic, "get", f"jobs/{job['id']}/points/")[1]] == [2.5]
    assert call(people.vic, "get", f"jobs/{job['id']}/points/?after=0")[1] == []
    assert [each["id"] for each in call(people.vic, "get", "jobs/")[1]] == [job["id"]]
    assert call(people.lea, "post", f"jobs/{job['id']}/cancel/")[0] == 202
    assert call(people.vic, "get", f"jobs/{job['id']}/")[1]["state"] == "cancelled"


def test_who_may_only_look_starts_nothing(call, people, version, base_model):
    wanted = {"version": version.pk, "base_model": base_model.pk}
    assert call(people.vic, "post", "jobs/", wanted)[0] == 403
    assert not TrainingJob.objects.exists()


def test_a_wrong_value_is_refused_in_a_sentence(call, people, version, base_model):
    wanted = {"version": version.pk, "base_model": base_model.pk, "hyperparameters": {"epochs": 1000}}
    status, body = call(people.lea, "post", "jobs/", wanted)
    assert (status, body["error"]["code"]) == (400, "invalid_hyperparameter")
    assert body["error"]["message"] == "Epochs must be between 0.01 and 100, not 1000."


def test_models_of_providers_are_listed_and_an_unknown_cost_must_be_accepted(
    call,
    people,
    version,
    model,
):
    listed = {each["id"]: each for each in call(people.vic, "get", "base-models/")[1]}
    assert listed[model.pk]["connection"] == "Our account"
    wanted = {"version": version.pk, "base_model": model.pk, "hyperparameters": {"epochs": 2}}
    status, body = call(people.lea, "post", "jobs/", wanted)
    assert (status, body["error"]["code"]) == (400, "unknown_cost")
    status, job = call(people.lea, "post", "jobs/", wanted | {"accept_unknown_cost": True})
    assert status == 201, job
    assert (job["method"], job["provider"], job["estimated_cost"]) == ("managed", "openai", None)
    found = TrainingJob.objects.get(pk=job["id"])
    assert found.state == JobState.QUEUED
    assert operation_of(found).state == OperationState.QUEUED
    assert found.created_at <= timezone.now()
