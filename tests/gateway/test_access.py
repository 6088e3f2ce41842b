"""Walks every address under /v1 as nobody, with a withdrawn key, as another team, and as each role.

What is expected is written down apart from the routes, so that one which asks for too little disagrees.
"""

from urllib.parse import quote

import httpx
import pytest
from django.utils import timezone

from apps.accounts.models import ApiKey, Membership
from apps.gateway.models import CheckpointPermission, ServedModel
from apps.gateway.routes import ROUTES
from apps.gateway.services.stored_completions import stored_completion_create
from apps.gateway.services.webhooks import webhook_create
from tests.evaluations.worlds import build_world
from tests.gateway.conftest import MODEL, chats

VIEWER, REVIEWER, LEAD, OWNER = "viewer", "reviewer", "lead", "owner"
ROLES = ("viewer", "labeler", "reviewer", "lead", "owner")
JOBS, CHATS, HOOKS = "/fine_tuning/jobs", "/chat/completions", "/webhook_endpoints"
SHARING = "/fine_tuning/checkpoints/{model}/permissions"
EXPECTED = {
    ("POST", "/files"): REVIEWER,
    ("GET", "/files"): VIEWER,
    ("GET", "/files/{file_id}"): VIEWER,
    ("DELETE", "/files/{file_id}"): REVIEWER,
    ("GET", "/files/{file_id}/content"): VIEWER,
    ("POST", JOBS): LEAD,
    ("GET", JOBS): VIEWER,
    ("GET", JOBS + "/{job_id}"): VIEWER,
    ("POST", JOBS + "/{job_id}/cancel"): LEAD,
    ("POST", JOBS + "/{job_id}/pause"): LEAD,
    ("POST", JOBS + "/{job_id}/resume"): LEAD,
    ("GET", JOBS + "/{job_id}/events"): VIEWER,
    ("GET", JOBS + "/{job_id}/checkpoints"): VIEWER,
    ("POST", SHARING): LEAD,
    ("GET", SHARING): VIEWER,
    ("DELETE", SHARING + "/{permission_id}"): LEAD,
    ("POST", "/fine_tuning/alpha/graders/run"): VIEWER,
    ("POST", "/fine_tuning/alpha/graders/validate"): VIEWER,
    ("GET", "/models"): VIEWER,
    ("GET", "/models/{model}"): VIEWER,
    ("DELETE", "/models/{model}"): LEAD,
    ("POST", CHATS): VIEWER,
    ("GET", CHATS): VIEWER,
    ("GET", CHATS + "/{completion_id}"): VIEWER,
    ("POST", CHATS + "/{completion_id}"): LEAD,
    ("DELETE", CHATS + "/{completion_id}"): LEAD,
    ("GET", CHATS + "/{completion_id}/messages"): VIEWER,
    ("POST", HOOKS): OWNER,
    ("GET", HOOKS): VIEWER,
    ("GET", HOOKS + "/{endpoint_id}"): VIEWER,
    ("POST", HOOKS + "/{endpoint_id}"): OWNER,
    ("DELETE", HOOKS + "/{endpoint_id}"): OWNER,
    ("POST", HOOKS + "/{endpoint_id}/rotate_secret"): OWNER,
    ("POST", HOOKS + "/{endpoint_id}/test"): OWNER,
}

BODIES = {"permissions": {"project_ids": ["x"]}, "test": {"event_type": "fine_tuning.job.failed"}}
"""By the end of the address: what a request needs to come as far as the thing that it names."""


def test_every_route_has_an_expectation_and_every_expectation_a_route():
    assert {(route.method, route.path) for route in ROUTES} == set(EXPECTED)


@pytest.fixture
def things(client, upload, workspace, project, people) -> dict[str, str]:
    """One of everything in the first workspace."""
    file = upload(chats(12))
    job = client.fine_tuning.jobs.create(model=MODEL, training_file=file.id)
    build_world(project, people.lea)
    (model,) = [each.id for each in client.models.list() if each.id.startswith("ft:")]
    permission = CheckpointPermission.objects.create(
        workspace=workspace, public_id="cp_1", model=model, project_id_text="x"
    )
    stored = stored_completion_create(
        workspace=workspace,
        completion={"id": "chatcmpl-1", "model": MODEL, "object": "chat.completion"},
        request={"messages": []},
        metadata={},
        by=people.ann,
    )
    endpoint, _ = webhook_create(
        workspace=workspace,
        name="hook",
        url="https://example.org/hook",
        event_types=["fine_tuning.job.failed"],
        by=people.ann,
    )
    return {
        "file_id": file.id,
        "job_id": job.id,
        "model": model,
        "permission_id": permission.public_id,
        "completion_id": stored.public_id,
        "endpoint_id": endpoint.public_id,
    }


def test_everybody_gets_what_the_table_says(base_url, things, people, key_of, workspace, other_workspace):
    withdrawn = key_of(people.ann)
    ApiKey.objects.filter(pk=ApiKey.objects.latest("pk").pk).update(revoked_at=timezone.now())
    foreign = key_of(people.zoe, other_workspace)
    by_role = {
        "viewer": key_of(people.vic), "labeler": key_of(people.ben), "reviewer": key_of(people.rob),
        "lead": key_of(people.lea), "owner": key_of(people.ann),
    }  # fmt: skip
    wrong: list[tuple[str, ...]] = []
    with httpx.Client(base_url=base_url, timeout=30) as client:

        def ask(method: str, path: str, key: str | None) -> int:
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            body = BODIES.get(path.rpartition("/")[2], {})
            return client.request(method, path, headers=headers, json=body).status_code

        for (method, path), least in EXPECTED.items():
            address = path.format_map({name: quote(value, safe=":") for name, value in things.items()})
            if ask(method, address, None) != 401 or ask(method, address, withdrawn) != 401:
                wrong.append((method, path, "without a key"))
            if "{" in path and ask(method, address, foreign) != 404:
                wrong.append((method, path, "another team"))
            for role in ROLES:
                allowed = ROLES.index(role) >= ROLES.index(least)
                if allowed and method == "DELETE":
                    continue  # it would be gone for the next
                status = ask(method, address, by_role[role])
                if (status == 403) == allowed or status >= 500 or status == 401:
                    wrong.append((method, path, role, str(status)))
    assert wrong == []


def test_a_key_follows_its_member(base_url, people, key_of, workspace):
    """A key of somebody who left opens nothing. It may still be known for moments, so a key that was never used."""
    key = key_of(people.lea)
    Membership.objects.filter(workspace=workspace, user=people.lea).delete()

    response = httpx.get(f"{base_url}/models", headers={"Authorization": f"Bearer {key}"})

    assert response.status_code == 401
    assert response.json()["error"]["code"] == "invalid_api_key"


def test_a_name_of_another_team_means_nothing(client, things, people, key_of, other_workspace, base_url):
    key = key_of(people.zoe, other_workspace)
    assert ServedModel.objects.filter(name=things["model"]).exists()

    response = httpx.post(
        f"{base_url}/chat/completions",
        headers={"Authorization": f"Bearer {key}"},
        json={"model": things["model"], "messages": [{"role": "user", "content": "Hi"}]},
    )

    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")


def test_the_use_of_a_key_is_noted(client):
    client.models.list()

    assert ApiKey.objects.get().last_used_at is not None
