"""From data to what came of it: the jobs and comparisons of a version and of a row."""

import pytest
from django.urls import reverse

from apps.datasets.models import VersionRow
from tests.evaluations.worlds import build_world, decide_with
from tests.labeling.worlds import make_session

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_version_and_its_rows_lead_to_jobs_and_comparisons(project, people, client_of):
    world = build_world(project, people.lea)
    comparison = decide_with(world.comparison(world.suite()), {})
    job = world.tuned.training_job
    vic = client_of(people.vic)

    def page(name: str, pk: int) -> str:
        address = reverse(f"overview:{name}", args=[project.workspace.slug, project.slug, pk])
        return str(vic.get(address).content.decode())

    of_version = page("version_uses", world.version.pk)
    assert job.get_absolute_url() in of_version
    assert comparison.get_absolute_url() in of_version
    rows = VersionRow.objects.filter(version=world.version)
    trained = rows.filter(split="train")[0]
    assert job.get_absolute_url() in page("row_uses", trained.example_id)
    assert comparison.get_absolute_url() not in page("row_uses", trained.example_id)
    tested = rows.filter(split="test")[0]
    assert comparison.get_absolute_url() in page("row_uses", tested.example_id)
    assert job.get_absolute_url() not in page("row_uses", tested.example_id)


def test_a_version_and_its_rows_lead_to_where_they_were_labeled(project, people, client_of):
    session = make_session(project, people.lea, rows=3, people=[people.ben])
    item = session.items.get(position=2)
    slugs = [project.workspace.slug, project.slug]
    place = reverse("overview:row_uses", args=[*slugs, item.example_id])
    of_row = client_of(people.rob).get(place).content.decode()
    assert reverse("labeling:item", args=[*slugs, item.pk]) in of_row
    assert f"0 of {item.wanted} label" in of_row
    assert (
        reverse("labeling:item", args=[*slugs, item.pk])
        not in client_of(people.vic).get(place).content.decode()
    )
    of_version = reverse("overview:version_uses", args=[*slugs, session.version_id])
    assert session.get_absolute_url() in client_of(people.rob).get(of_version).content.decode()
