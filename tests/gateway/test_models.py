import openai
import pytest

from apps.gateway.models import ServedModel
from apps.gateway.services.served_models import model_alias_set
from apps.registry.services import base_model_ensure
from tests.evaluations.inference_server import say
from tests.evaluations.worlds import build_world
from tests.gateway.conftest import MODEL
from tests.gateway.schemas import DELETED_MODEL, MODELS, check
from tests.gateway.schemas import MODEL as MODEL_SCHEMA


def test_the_model_that_ships_is_always_there(client, http):
    body = check(http.get("/models").json(), MODELS)

    assert [model["id"] for model in body["data"]] == [MODEL]
    check(http.get(f"/models/{MODEL}").json(), MODEL_SCHEMA)


def test_a_model_that_was_trained_on_the_pages_has_a_name_and_answers(client, inference, project, people):
    world = build_world(project, people.lea)
    inference.script = lambda body: say("From the pages")

    (name,) = [model.id for model in client.models.list() if model.id.startswith("ft:")]

    assert name.split(":")[2] == "support-team"
    assert world.tuned.artifact is not None
    answer = client.chat.completions.create(model=name, messages=[{"role": "user", "content": "Hi"}])
    assert answer.choices[0].message.content == "From the pages"
    assert inference.bodies[-1]["model"] == world.tuned.artifact.sha256


def test_a_hub_id_with_a_slash_is_one_name(client, workspace, people):
    base_model_ensure(workspace=workspace, reference="acme/small-chat", actor=people.ann)

    # The client sends the slash as %2F.
    assert client.models.retrieve("acme/small-chat").id == "acme/small-chat"


def test_a_slash_may_also_be_sent_as_it_is(http, workspace, people):
    base_model_ensure(workspace=workspace, reference="acme/small-chat", actor=people.ann)

    assert http.get("/models/acme/small-chat").json()["id"] == "acme/small-chat"


def test_code_that_names_a_model_of_elsewhere_runs_unchanged(client, inference, workspace, people):
    base = base_model_ensure(workspace=workspace, reference=MODEL, actor=people.ann)
    model_alias_set(workspace=workspace, name="gpt-4o-mini-2024-07-18", base_model=base, by=people.ann)
    inference.script = lambda body: say("Hello")

    answer = client.chat.completions.create(
        model="gpt-4o-mini-2024-07-18", messages=[{"role": "user", "content": "Hi"}]
    )

    assert answer.model == "gpt-4o-mini-2024-07-18"
    assert "gpt-4o-mini-2024-07-18" in [model.id for model in client.models.list()]


def test_a_deleted_model_is_not_served_and_stays_in_its_project(client, http, project, people):
    world = build_world(project, people.lea)
    (name,) = [model.id for model in client.models.list() if model.id.startswith("ft:")]

    check(http.delete(f"/models/{name}").json(), DELETED_MODEL)

    with pytest.raises(openai.NotFoundError) as refused:
        client.models.retrieve(name)
    assert refused.value.code == "model_not_found"
    assert name not in [model.id for model in client.models.list()]
    world.tuned.refresh_from_db()
    assert ServedModel.objects.get(name=name).model_version == world.tuned


def test_a_base_model_is_not_deleted(client):
    with pytest.raises(openai.PermissionDeniedError):
        client.models.delete(MODEL)


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model="gpt-unknown", messages=[{"role": "user", "content": "Hi"}])
    # OpenAI's own words for it.
    assert "The model `gpt-unknown` does not exist or you do not have access to it." in refused.value.message
