from datetime import date

import pytest
from django.urls import reverse

from apps.audit.models import AuditEvent
from apps.providers.models import Connection
from apps.registry.models import BaseModel
from apps.registry.selectors import life_left
from apps.registry.services import NotOfferedError, model_version_create, remote_base_model_ensure

pytestmark = pytest.mark.django_db
TODAY = date(2026, 11, 22)


def ensure(connection, reference, actor=None):
    return remote_base_model_ensure(connection=connection, reference=reference, actor=actor)


def test_a_listed_model_brings_what_the_listing_says(sketch_connection, people):
    added = ensure(sketch_connection, " draw-small ", people.lea)
    assert (added.reference, added.name, added.context_length) == ("draw-small", "draw-small", 2048)
    assert added.end_of_life == date(2027, 3, 1)
    assert ensure(sketch_connection, "draw-small") == added
    event = AuditEvent.objects.get(action="base_model.added")
    assert event.data == {
        "reference": "draw-small",
        "connection": sketch_connection.pk,
        "provider": "sketch",
    }


def test_a_model_that_is_trained_but_not_listed_is_taken(sketch_connection):
    Connection.objects.update(offered={})
    sketch_connection.refresh_from_db()
    assert ensure(sketch_connection, "draw-large").context_length is None


@pytest.mark.parametrize("reference", ["of-nobody", "", " "])
def test_what_is_not_offered_is_refused(sketch_connection, reference):
    with pytest.raises(NotOfferedError):
        ensure(sketch_connection, reference)
    assert not BaseModel.objects.exists()


def test_the_newest_listing_decides_how_long_a_model_goes_on(sketch_connection):
    added = ensure(sketch_connection, "draw-small")
    left = life_left(added, TODAY)
    assert left is not None
    assert (left.end_of_life, left.days, left.tone) == (date(2027, 3, 1), 99, "attention")
    Connection.objects.update(
        offered={"trainable": [{"id": "draw-small", "end_of_life": "2028-03-01"}, {"id": "draw-large"}]}
    )
    moved = life_left(BaseModel.objects.select_related("connection").get(), TODAY)
    assert moved is not None
    assert moved.end_of_life == date(2028, 3, 1)
    Connection.objects.update(offered={})
    noted = life_left(BaseModel.objects.select_related("connection").get(), TODAY)
    assert noted is not None
    assert noted.end_of_life == date(2027, 3, 1), "as it was announced when the model was added"


def test_a_model_of_this_installation_has_no_announced_end(workspace):
    own = BaseModel.objects.create(workspace=workspace, reference="acme/tiny", name="tiny")
    assert life_left(own, TODAY) is None


def test_the_pages_of_models_warn(sketch_connection, project, people, client_of):
    Connection.objects.update(offered={"trainable": [{"id": "draw-small", "end_of_life": "2026-09-10"}]})
    sketch_connection.refresh_from_db()
    base = ensure(sketch_connection, "draw-small")
    made = model_version_create(
        project=project,
        base_model=base,
        kind="remote",
        artifact=None,
        provider_model="ft:draw-small:ours",
        name="Triage 1",
        validation_loss=None,
        best_step=None,
        actor=people.lea,
    )
    viewer = client_of(people.vic)
    slugs = [project.workspace.slug, project.slug]
    index = viewer.get(reverse("registry:index", args=slugs)).content.decode()
    assert "ended 10 Sep 2026" in index
    assert "Our sketches" in index
    page = viewer.get(reverse("registry:model", args=[*slugs, made.pk])).content.decode()
    assert "Its provider shut it down on 10 Sep 2026." in page
