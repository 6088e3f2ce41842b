import pytest
from django.urls import reverse

from apps.artifacts.storage import blob_open, blob_store
from apps.registry.models import BaseModel
from apps.registry.services import base_model_ensure, model_version_create, variant_ensure

pytestmark = pytest.mark.django_db


def url(name, project, *args):
    return reverse(f"registry:{name}", args=[project.workspace.slug, project.slug, *args])


@pytest.fixture
def model(project, people):
    base = base_model_ensure(workspace=project.workspace, reference="acme/tiny", actor=None)
    return model_version_create(
        project=project,
        base_model=base,
        kind="adapter",
        artifact=blob_store(content=[b"w" * 1_500_000, b"end"]),
        name="Triage <b>1</b>",
        validation_loss=0.4213,
        best_step=30,
        actor=people.lea,
    )


def test_the_stage_lists_models_and_bases(model, client_of, people, project):
    text = client_of(people.vic).get(url("index", project)).content.decode()
    assert "Triage &lt;b&gt;1&lt;/b&gt;" in text
    assert "0.4213" in text
    assert "acme/tiny" in text
    assert "unknown" in text  # a hub id does not say how many parameters it has


def test_a_model_shows_its_lineage_and_what_is_unknown(model, client_of, people, project):
    text = client_of(people.vic).get(url("model", project, model.pk)).content.decode()
    assert model.artifact.sha256 in text
    assert "Not compared with anything yet" in text
    assert "unknown" in text


def test_the_artifact_is_downloaded_as_it_is_stored(model, client_of, people, project):
    response = client_of(people.vic).get(url("download", project, model.pk))
    assert b"".join(response) == b"w" * 1_500_000 + b"end"
    assert response.headers["Content-Length"] == "1500003"
    assert response.headers["Content-Disposition"].endswith('.tar"')


def test_a_blob_is_read_as_a_file(model):
    with blob_open(model.artifact) as file:
        assert file.read(10) == b"w" * 10
        assert len(file.read()) == 1_499_993
        assert file.read() == b""


def test_a_base_model_is_added_by_those_who_train(client_of, people, project, tmp_path):
    address = url("add_base_model", project)
    assert client_of(people.rob).post(address, {"reference": "acme/small"}).status_code == 403
    lead = client_of(people.lea)
    assert lead.post(address, {"reference": "acme/small", "revision": "abc"}).status_code == 302
    assert BaseModel.objects.get().revision == "abc"
    response = lead.post(address, {"reference": str(tmp_path)})
    assert response.status_code == 422
    assert "no config.json" in response.content.decode()
    assert BaseModel.objects.count() == 1


def test_variants_are_shown(model, client_of, people, project):
    variant = variant_ensure(
        project=project,
        name="Prompted",
        base_model=model.base_model,
        system_prompt="<i>Sort</i> it.",
        few_shot=[{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}],
        actor=people.lea,
    )
    client = client_of(people.vic)
    assert "Prompted" in client.get(url("variants", project)).content.decode()
    text = client.get(url("variant", project, variant.pk)).content.decode()
    assert variant.hash in text
    assert "&lt;i&gt;Sort&lt;/i&gt; it." in text


def test_foreign_models_are_not_found(model, client_of, people, project, other_workspace):
    from apps.projects.models import Project

    theirs = Project.objects.create(workspace=other_workspace, name="Theirs", slug="theirs")
    for name in ("model", "download"):
        assert client_of(people.zoe).get(url(name, project, model.pk)).status_code == 404
        assert client_of(people.zoe).get(url(name, theirs, model.pk)).status_code == 404
