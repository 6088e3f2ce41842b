"""Walks every address as everybody: anonymous, another workspace's owner, and each role.

A route without an expectation fails, and so does an expectation without a route.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from django.test import Client
from django.urls import URLResolver, get_resolver, reverse

from tests.architecture.routes import EXPECTED, PUBLIC, ROLES, SIGNED_IN
from tests.factories import things

ADMIN = "admin:"


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


@pytest.fixture
def address(people, project):
    """`address(name)`: the URL of a route, its numbers filled in with things of the first workspace."""
    made = things(project=project, people=people)
    made |= {"workspace_slug": project.workspace.slug, "project_slug": project.slug}

    def build(name: str) -> str:
        names = {
            parameter: EXPECTED[name].pk if parameter == "pk" else parameter
            for parameter in ROUTES[name].parameters
        }
        return reverse(name, kwargs={parameter: made[key] for parameter, key in names.items()})

    return build


def ask(client: Client, method: str, url: str, name: str) -> int:
    client.raise_request_exception = False
    response = client.generic(method, url)
    if response.status_code == 302 and "/sign-in/?next=" in response.headers["Location"]:
        return 401
    return response.status_code


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "method"), CASES)
def test_everybody_gets_what_the_table_says(name, method, address, people, client_of):
    url, least = address(name), EXPECTED[name].least_for(method)
    members = {
        "viewer": people.vic,
        "labeler": people.ben,
        "reviewer": people.rob,
        "lead": people.lea,
        "owner": people.ann,
    }

    anonymous = ask(Client(), method, url, name)
    if least == PUBLIC:
        assert anonymous < 400 or anonymous in (410, 422)
        return
    assert anonymous == 401, "an anonymous visitor is sent to the sign-in page"
    if least == SIGNED_IN:
        assert ask(client_of(people.zoe), method, url, name) < 500
        return
    assert ask(client_of(people.zoe), method, url, name) == 404, "another team's things do not exist"
    for role in ROLES:
        status = ask(client_of(members[role]), method, url, name)
        if ROLES.index(role) < ROLES.index(least):
            assert status == 403, f"{role} gets {status}"
        else:
            assert status not in (401, 403, 404, 405) and status < 500, f"{role} gets {status}"


@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(name for name, route in ROUTES.items() if "pk" in route.parameters))
def test_a_foreign_number_inside_ones_own_workspace_is_not_found(
    name, address, people, other_workspace, client_of
):
    """Zoe asks for the first team's row through her own workspace's address."""
    from apps.projects.models import Project

    own = Project.objects.create(
        workspace=other_workspace, name="Mine", slug="ticket-triage", created_by=people.zoe
    )
    assert own.slug == "ticket-triage"
    url = address(name).replace("/w/support-team/", f"/w/{other_workspace.slug}/")

    assert ask(client_of(people.zoe), EXPECTED[name].methods[0], url, name) == 404


@pytest.mark.django_db
def test_admin_review_is_for_staff_only(people, client_of):
    for route in all_routes():
        if (
            not route.name.startswith(ADMIN)
            or route.parameters
            or route.name in ("admin:login", "admin:logout")
        ):
            continue
        for user in (people.ann, people.zoe):
            status = client_of(user).get(reverse(route.name)).status_code
            assert status in (302, 403, 404), f"{route.name}: {status}"
