"""What the admin review lets people see and change, of accounts above all."""

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User, Workspace
from apps.audit.models import AuditEvent
from apps.core.admin import ReadOnlyAdmin
from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db


@pytest.fixture
def root(people, client_of) -> Client:
    client: Client = client_of(User.objects.create_superuser("root@example.org", PASSWORD))
    return client


@pytest.fixture
def reviewer(people, client_of) -> Client:
    """Staff without further rights: somebody who reviews."""
    client: Client = client_of(User.objects.create_user("audit@example.org", PASSWORD, is_staff=True))
    return client


def test_an_account_made_here_can_sign_in_however_its_address_was_typed(root: Client):
    given = {
        "email": "New.Person@Example.org",
        "name": "New",
        "usable_password": "true",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }
    response = root.post(reverse("admin:accounts_user_add"), given | inline())

    assert response.status_code == 302, response.context["adminform"].form.errors
    assert User.objects.get(name="New").email == "new.person@example.org"
    signed_in = Client().post("/sign-in/", {"username": "New.Person@Example.org", "password": PASSWORD})
    assert signed_in.status_code == 302


def inline() -> dict[str, str]:
    return {"memberships-TOTAL_FORMS": "0", "memberships-INITIAL_FORMS": "0"}


def test_an_address_that_differs_by_capitals_alone_is_refused_in_words(root: Client, people):
    given = {
        "email": "ANN@example.org",
        "name": "Twin",
        "usable_password": "true",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }
    response = root.post(reverse("admin:accounts_user_add"), given | inline())

    assert response.status_code == 200
    assert not User.objects.filter(name="Twin").exists()
    assert "already exists" in response.content.decode()


def test_switching_an_account_off_is_recorded_and_ends_its_sessions(root: Client, people, client_of):
    theirs = client_of(people.ben)
    url = reverse("admin:accounts_user_change", args=[people.ben.pk])
    response = root.post(url, {"email": people.ben.email, "name": "Ben"} | inline())  # is_active unticked

    assert response.status_code == 302, response.context["adminform"].form.errors
    event = AuditEvent.objects.get(action="user.changed")
    assert (event.actor_label, event.target_id) == ("root@example.org", str(people.ben.pk))
    assert (event.before, event.after) == ({"is_active": True}, {"is_active": False})
    assert theirs.get("/w/support-team/").status_code == 302


def test_a_new_password_is_recorded_without_a_trace_of_it(root: Client, people):
    url = reverse("admin:auth_user_password_change", args=[people.ben.pk])
    new = "a rather different phrase"
    given = {"usable_password": "true", "password1": new, "password2": new}

    assert root.post(url, given).status_code == 302
    event = AuditEvent.objects.get(action="user.password_changed")
    assert (event.actor_label, event.target_id) == ("root@example.org", str(people.ben.pk))
    assert new not in str([event.before, event.after, event.data])


def test_workspaces_are_made_on_their_own_page_where_somebody_owns_them(root: Client):
    assert root.get(reverse("admin:accounts_workspace_add")).status_code == 403
    assert not Workspace.objects.filter(slug="").exists()


def test_a_workspace_is_renamed_with_a_record_and_keeps_its_address(root: Client, people, workspace):
    url = reverse("admin:accounts_workspace_change", args=[workspace.pk])

    assert root.post(url, {"name": "Care team"}).status_code == 302
    workspace.refresh_from_db()
    assert (workspace.name, workspace.slug) == ("Care team", "support-team")
    event = AuditEvent.objects.get(action="workspace.renamed")
    assert (event.before, event.after) == ({"name": "Support team"}, {"name": "Care team"})


def test_who_reviews_sees_everything_and_changes_nothing(reviewer: Client, people, workspace):
    index = reviewer.get(reverse("admin:index")).content.decode()
    for model, model_admin in admin.site._registry.items():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        if isinstance(model_admin, ReadOnlyAdmin):
            assert reviewer.get(reverse(f"{name}_changelist")).status_code == 200, name
            assert str(reverse(f"{name}_changelist")) in index
    url = reverse("admin:accounts_user_change", args=[people.ben.pk])
    assert reviewer.get(url).status_code == 200
    assert reviewer.post(url, {"email": "x@example.org"} | inline()).status_code == 403
    assert reviewer.get(reverse("admin:accounts_user_add")).status_code == 403
    assert reviewer.get(reverse("admin:auth_user_password_change", args=[people.ben.pk])).status_code == 403


def test_members_who_are_not_staff_have_no_business_here(people, client_of):
    assert client_of(people.ann).get(reverse("admin:index")).status_code == 302
