"""The people of the tests. Ann owns, Lea leads, Rob reviews, Ben labels, Vic views; Zoe belongs to another team."""

from dataclasses import dataclass

import pytest
from django.test import Client

from apps.accounts.models import Membership, User, Workspace
from apps.accounts.permissions import Role
from apps.projects.models import Project
from apps.providers.models import Connection
from apps.providers.registry import PROVIDERS
from apps.providers.services import connection_check, connection_create
from tests.providers.sketch import GOOD_KEY

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class People:
    ann: User
    lea: User
    rob: User
    ben: User
    vic: User
    zoe: User


@pytest.fixture(autouse=True)
def fast_password_hashing(settings):
    """Argon2 costs a third of a second a sign-in by design; the tests of sign-in itself switch it on again."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def plain_static_files(settings):
    """Pages name their files without the hash that only a collected directory knows."""
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}


@pytest.fixture(autouse=True)
def icons_must_exist(settings):
    """A page that names an icon which the set lacks fails its test."""
    settings.FTPORTAL_STRICT_ICONS = True


@pytest.fixture
def workspace(db) -> Workspace:
    return Workspace.objects.create(name="Support team", slug="support-team")


@pytest.fixture
def other_workspace(db) -> Workspace:
    return Workspace.objects.create(name="Other team", slug="other-team")


def make_people(workspace: Workspace, other_workspace: Workspace) -> People:
    def member(name: str, role: Role, where: Workspace) -> User:
        user = User.objects.create_user(f"{name}@example.org", PASSWORD, name=name.capitalize())
        Membership.objects.create(workspace=where, user=user, role=role)
        return user

    return People(
        ann=member("ann", Role.OWNER, workspace),
        lea=member("lea", Role.LEAD, workspace),
        rob=member("rob", Role.REVIEWER, workspace),
        ben=member("ben", Role.LABELER, workspace),
        vic=member("vic", Role.VIEWER, workspace),
        zoe=member("zoe", Role.OWNER, other_workspace),
    )


@pytest.fixture
def people(workspace: Workspace, other_workspace: Workspace) -> People:
    return make_people(workspace, other_workspace)


@pytest.fixture
def project(workspace: Workspace, people: People) -> Project:
    return Project.objects.create(
        workspace=workspace, name="Ticket triage", slug="ticket-triage", created_by=people.lea
    )


@pytest.fixture
def client_of():
    """`client_of(user)`: a browser's worth of cookies of somebody who signed in."""

    def signed_in(user: User) -> Client:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return signed_in


@pytest.fixture
def sketch(monkeypatch) -> str:
    """The name of a provider that is registered for this test alone."""
    monkeypatch.setitem(PROVIDERS, "sketch", "tests.providers.sketch:SketchProvider")
    return "sketch"


@pytest.fixture
def sketch_connection(sketch, workspace, people) -> Connection:
    """Connected and looked at: it works."""
    made = connection_create(
        workspace=workspace,
        provider=sketch,
        name="Our sketches",
        settings={},
        secrets={"api_key": GOOD_KEY},
        by=people.ann,
    )
    connection_check(connection=made)
    made.refresh_from_db()
    return made
