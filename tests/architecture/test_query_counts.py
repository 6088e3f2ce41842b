"""Pages that list ask the database as often for many things as for few."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from apps.projects.models import Project
from tests.architecture.routes import EXPECTED, PUBLIC
from tests.architecture.test_access import API, ROUTES
from tests.factories import things

OF_A_WORKSPACE = {"workspace_slug", "project_slug"}
LISTS = sorted(
    name
    for name, route in ROUTES.items()
    if "GET" in EXPECTED[name].methods
    and EXPECTED[name].least != PUBLIC
    and route.parameters <= OF_A_WORKSPACE
    and not name.startswith(API)
    and not name.endswith(("stream", "running"))
)


def addresses(project: Project) -> dict[str, str]:
    slugs = {"workspace_slug": project.workspace.slug, "project_slug": project.slug}
    return {
        name: reverse(name, kwargs={key: slugs[key] for key in ROUTES[name].parameters}) for name in LISTS
    }


def counted(client: Client, project: Project) -> dict[str, int]:
    """Queries of each list at the second look: what the first one makes or keeps does not count."""
    found = {}
    for name, url in addresses(project).items():
        client.get(url)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(url).status_code in (200, 302), name
        found[name] = len(captured.captured_queries)
    return found


@pytest.mark.timeout(900)
@pytest.mark.django_db(transaction=True)
def test_lists_take_the_same_number_of_queries_however_long_they_are(client_of, people, project):
    client = client_of(people.ann)
    things(project=project, people=people)
    few = counted(client, project)
    for mark in (" b", " c"):
        things(project=project, people=people, mark=mark)

    many = counted(client, project)

    assert {name: (few[name], many[name]) for name in LISTS if many[name] > few[name]} == {}
