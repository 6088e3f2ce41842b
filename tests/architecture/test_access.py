"""Walks every address as everybody: anonymous, another workspace's owner, and each role.

A route without an expectation fails, and so does an expectation without a route.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from django.urls import URLResolver, get_resolver, reverse

from apps.accounts.models import User, Workspace
from apps.accounts.services import api_key_create
from apps.projects.models import Project
from tests.architecture.routes import EXPECTED, PUBLIC, ROLES, SIGNED_IN
from tests.conftest import People, make_people
from tests.factories import things

ADMIN = "admin:"
API = "api:"


@dataclass(frozen=True)
class Route:
    name: str
    parameters: frozenset[str]


def all_routes() -> Iterator[Route]:
    def walk(patterns, namespaces: list[str], parameters: frozenset[str]) -> Iterator[Route]:
        for pattern in patterns:
            here = parameters | frozenset(pattern.pattern.regex.groupindex)
            if isinstance(pattern, URLResolver):
                inner = [*namespaces, pattern.namespace] if pattern.namespace else namespaces
                yield from walk(pattern.url_patterns, inner, here)
            else:
                yield Route(":".join([*namespaces, str(pattern.name)]), here)

    yield from walk(get_resolver().url_patterns, [], frozenset())


ROUTES = {route.name: route for route in all_routes() if not route.name.startswith(ADMIN)}
CASES = [
    pytest.param(name, method, id=f"{method} {name}")
    for name, expected in sorted(EXPECTED.items())
    for method in expected.methods
]


def test_every_route_has_an_expectation_and_every_expectation_a_route():
    assert set(ROUTES) - set(EXPECTED) == set(), "routes that tests/architecture/routes.py does not know"
    assert set(EXPECTED) - set(ROUTES) == set(), "expectations for routes that are gone"


@dataclass(frozen=True)
class World:
    people: People
    other_workspace: Workspace
    things: dict[str, Any]

    def address(self, name: str) -> str:
        """The URL of a route, its numbers filled in with things of the first workspace."""
        keys = {
            parameter: EXPECTED[name].pk if parameter == "pk" else parameter
            for parameter in ROUTES[name].parameters
        }
        return reverse(name, kwargs={parameter: self.things[key] for parameter, key in keys.items()})

    def body(self, name: str) -> str:
        """What is sent to a route: `<version>` stands for the number of the first workspace's version, and so on."""
        return re.sub(r"<(\w+)>", lambda found: str(self.things[found[1]]), EXPECTED[name].body)


@pytest.fixture(scope="module")
def world(django_db_setup, django_db_blocker) -> Iterator[World]:
    """Made once and committed; each test changes it in a transaction that is rolled back."""
    with django_db_blocker.unblock():
        workspace = Workspace.objects.create(name="Support team", slug="support-team")
        other_workspace = Workspace.objects.create(name="Other team", slug="other-team")
        people = make_people(workspace, other_workspace)
        project = Project.objects.create(
            workspace=workspace, name="Triage", slug="triage", created_by=people.lea
        )
        Project.objects.create(workspace=other_workspace, name="Mine", slug="triage", created_by=people.zoe)
        made = things(project=project, people=people)
        made |= {"workspace_slug": workspace.slug, "project_slug": project.slug}
        yield World(people, other_workspace, made)
        call_command("flush", verbosity=0, interactive=False)


@pytest.fixture(scope="module")
def keys(world, django_db_blocker) -> dict[int, str]:
    """An API key of everybody, by user."""
    found = {}
    with django_db_blocker.unblock():
        for person in vars(world.people).values():
            membership = person.memberships.get()
            _, found[person.pk] = api_key_create(workspace=membership.workspace, user=person, name="walk")
    return found


@pytest.fixture
def client_for(client_of, keys):
    """`client_for(user, route)`: signed in for a page, with an API key for the API."""

    def made(user: User, name: str) -> Client:
        if not name.startswith(API):
            browser: Client = client_of(user)
            return browser
        return Client(headers={"Authorization": f"Bearer {keys[user.pk]}"})

    return made


def ask(client: Client, method: str, url: str, body: str = "") -> int:
    client.raise_request_exception = False
    response = client.generic(method, url, body, "application/json" if body else "application/octet-stream")
    if response.status_code == 302 and "/sign-in/?next=" in response.headers["Location"]:
        return 401
    return response.status_code


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "method"), CASES)
def test_everybody_gets_what_the_table_says(name, method, world, client_for):
    people, url, least = world.people, world.address(name), EXPECTED[name].least_for(method)
    body = world.body(name)
    members = {
        "viewer": people.vic,
        "labeler": people.ben,
        "reviewer": people.rob,
        "lead": people.lea,
        "owner": people.ann,
    }

    anonymous = ask(Client(), method, url, body)
    if least == PUBLIC:
        assert anonymous < 400 or anonymous in (410, 422)
        return
    assert anonymous == 401, "an anonymous visitor is sent to the sign-in page"
    if least == SIGNED_IN:
        assert ask(client_for(people.zoe, name), method, url, body) < 500
        return
    assert ask(client_for(people.zoe, name), method, url, body) == 404, "another team's things do not exist"
    for role in ROLES:
        client = client_for(members[role], name)
        with transaction.atomic():
            status = ask(client, method, url, body)
            transaction.set_rollback(True)  # what one role deletes is there for the next
        if ROLES.index(role) < ROLES.index(least):
            assert status == 403, f"{role} gets {status}"
        else:
            assert status not in (401, 403, 404, 405), f"{role} gets {status}"
            assert status < 500, f"{role} gets {status}"
            assert status != 422 or not name.startswith(API) or name == "api:upload", "the input of the table"


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(name for name, route in ROUTES.items() if "pk" in route.parameters))
def test_a_foreign_number_inside_ones_own_workspace_is_not_found(name, world, client_for):
    """Zoe asks for the first team's row through her own workspace's address."""
    url = world.address(name).replace("/w/support-team/", f"/w/{world.other_workspace.slug}/")

    zoe = client_for(world.people.zoe, name)
    assert ask(zoe, EXPECTED[name].methods[0], url, EXPECTED[name].body) == 404


@pytest.mark.django_db
def test_admin_review_is_for_staff_only(world, client_of):
    for route in all_routes():
        if (
            not route.name.startswith(ADMIN)
            or route.parameters
            or route.name in ("admin:login", "admin:logout")
        ):
            continue
        status = client_of(world.people.ann).get(reverse(route.name)).status_code
        assert status in (302, 403, 404), f"{route.name}: {status}"


def test_every_model_can_be_reviewed():
    models = [model for model in apps.get_models() if model.__module__.startswith("apps.")]
    assert [model for model in models if model not in admin.site._registry] == []


@pytest.mark.django_db
def test_admin_review_shows_every_model(world, client_of):
    """Lists and one row of each, without an error, to a member of staff."""
    staff = world.people.ann
    staff.is_staff = staff.is_superuser = True
    staff.save()
    client = client_of(staff)
    for model in admin.site._registry:
        place = f"{model._meta.app_label}_{model._meta.model_name}"
        assert client.get(reverse(f"admin:{place}_changelist"), {"q": "a"}).status_code == 200, place
        row = model._default_manager.first()
        if row is not None:
            assert client.get(reverse(f"admin:{place}_change", args=[row.pk])).status_code == 200, place
