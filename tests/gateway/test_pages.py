import pytest
from django.urls import reverse
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.gateway.models import ModelAlias, WebhookDelivery
from apps.gateway.services.served_models import model_alias_set
from apps.gateway.services.webhooks import webhook_create
from apps.registry.services import base_model_ensure
from tests.evaluations.worlds import build_world

pytestmark = pytest.mark.django_db


@pytest.fixture
def address(workspace) -> str:
    return reverse("gateway:api", args=[workspace.slug])


@pytest.fixture
def base(workspace, people):
    return base_model_ensure(workspace=workspace, reference="ftportal-tiny", actor=people.ann)


def test_the_page_says_where_the_api_is_and_what_it_serves(client_of, people, project, address):
    world = build_world(project, people.lea)

    page = client_of(people.vic).get(address).content.decode()

    assert "OPENAI_BASE_URL=http://testserver/v1" in page
    assert "ftportal-tiny" in page
    assert world.tuned.get_absolute_url() in page
    assert "Add name" not in page, "a viewer changes nothing"


def test_a_name_is_added_and_removed(client_of, people, address, base, workspace):
    client = client_of(people.lea)

    added = client.post(address, {"name": "gpt-4o-mini-2024-07-18", "base_model": base.pk})

    assert added.status_code == 302
    alias = ModelAlias.objects.get(workspace=workspace)
    assert (alias.name, alias.base_model) == ("gpt-4o-mini-2024-07-18", base)
    assert "gpt-4o-mini-2024-07-18" in client.get(address).content.decode()
    client.post(reverse("gateway:alias_remove", args=[workspace.slug, alias.pk]))
    assert not ModelAlias.objects.exists()
    actions = list(
        AuditEvent.objects.filter(action__startswith="model_alias").values_list("action", flat=True)
    )
    assert sorted(actions) == ["model_alias.removed", "model_alias.set"]


@pytest.mark.parametrize("name", ["", "with space", "taken"])
def test_a_name_that_can_not_be_used_is_said_to_be_so(client_of, people, address, base, workspace, name):
    model_alias_set(workspace=workspace, name="taken", base_model=base, by=people.ann)

    answer = client_of(people.lea).post(address, {"name": name, "base_model": base.pk})

    assert answer.status_code == 422
    assert "is-invalid" in answer.content.decode()


def test_webhooks_are_shown_with_their_last_message(client_of, people, address, workspace):
    endpoint, secret = webhook_create(
        workspace=workspace,
        name="Release bot",
        url="https://example.org/hook",
        event_types=["fine_tuning.job.failed"],
        by=people.ann,
    )
    client = client_of(people.vic)
    assert "none yet" in client.get(address).content.decode()
    for number, error in enumerate(["first", "example.org did not answer in time."]):
        WebhookDelivery.objects.create(
            endpoint=endpoint,
            event_id=f"evt_{number}",
            event_type="fine_tuning.job.failed",
            body="{}",
            next_at=timezone.now(),
            error=error,
        )

    page = client.get(address).content.decode()

    assert "example.org did not answer in time." in page
    assert "first" not in page
    assert secret not in page
