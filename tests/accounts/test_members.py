"""Invitations, roles and keys, from outside."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import ApiKey, Invitation, Membership, User
from apps.accounts.services import invitation_create
from apps.audit.models import AuditEvent

pytestmark = pytest.mark.django_db
MEMBERS = "/w/support-team/settings/members/"


def join_link(page: str) -> str:
    found = re.search(r"/join/[\w-]+/", page)
    assert found, "the page shows no link"
    return found[0]


def test_an_owner_invites_by_link_and_the_guest_joins_with_the_role(people, client_of, workspace):
    page = (
        client_of(people.ann).post(MEMBERS, {"email": "new@example.org", "role": "reviewer"}).content.decode()
    )
    guest = Client()

    response = guest.post(
        join_link(page), {"email": "other@example.org", "name": "Nell", "password": "a fine long secret"}
    )

    assert response.status_code == 302
    assert guest.get("/w/support-team/").status_code == 200
    membership = Membership.objects.get(user__email="new@example.org")
    assert membership.role == "reviewer", "the address is the invited one, whatever the form says"
    actions = set(AuditEvent.objects.filter(workspace=workspace).values_list("action", flat=True))
    assert {"invitation.created", "membership.created"} <= actions


def test_a_link_works_once(people, client_of):
    page = client_of(people.ann).post(MEMBERS, {"email": "", "role": "viewer"}).content.decode()
    link = join_link(page)
    Client().post(link, {"email": "one@example.org", "name": "One", "password": "a fine long secret"})

    second = Client().post(
        link, {"email": "two@example.org", "name": "Two", "password": "a fine long secret"}
    )

    assert second.status_code == 410
    assert "used already" in second.content.decode()
    assert not User.objects.filter(email="two@example.org").exists()


def test_only_the_hash_of_a_link_is_kept(people, client_of):
    page = client_of(people.ann).post(MEMBERS, {"email": "", "role": "viewer"}).content.decode()
    token = join_link(page).split("/")[2]

    assert token not in str(Invitation.objects.values().get())
    assert token not in client_of(people.ann).get(MEMBERS).content.decode()


def test_an_expired_or_withdrawn_link_says_so(people, workspace, client_of):
    expired, expired_token = invitation_create(workspace=workspace, email="", role="viewer", by=people.ann)
    Invitation.objects.filter(pk=expired.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    withdrawn, withdrawn_token = invitation_create(
        workspace=workspace, email="", role="viewer", by=people.ann
    )
    client_of(people.ann).post(reverse("workspace:invitation_withdraw", args=["support-team", withdrawn.pk]))

    assert "has expired" in Client().get(f"/join/{expired_token}/").content.decode()
    assert "was withdrawn" in Client().get(f"/join/{withdrawn_token}/").content.decode()
    assert Client().get("/join/made-up/").status_code == 404


def test_an_invitation_to_an_address_is_for_that_person_only(people, workspace, client_of):
    _, token = invitation_create(workspace=workspace, email="new@example.org", role="owner", by=people.ann)

    response = client_of(people.zoe).post(f"/join/{token}/")

    assert response.status_code == 410
    assert not Membership.objects.filter(workspace=workspace, user=people.zoe).exists()


def test_a_weak_password_is_refused_and_the_input_kept(people, workspace):
    _, token = invitation_create(workspace=workspace, email="", role="viewer", by=people.ann)

    response = Client().post(
        f"/join/{token}/", {"email": "n@example.org", "name": "Nell", "password": "12345678"}
    )

    assert response.status_code == 422
    assert "Nell" in response.content.decode()
    assert not User.objects.filter(email="n@example.org").exists()
    assert Client().get(f"/join/{token}/").status_code == 200, "the link still works"


def test_a_role_is_changed_and_recorded_with_before_and_after(people, client_of, workspace):
    membership = Membership.objects.get(user=people.vic)

    client_of(people.ann).post(
        reverse("workspace:member_change_role", args=["support-team", membership.pk]), {"role": "lead"}
    )

    membership.refresh_from_db()
    assert membership.role == "lead"
    event = AuditEvent.objects.get(action="membership.role_changed")
    assert (event.before, event.after) == ({"role": "viewer"}, {"role": "lead"})
    assert (event.actor, event.source, event.address) == (people.ann, "page", "127.0.0.1")


@pytest.mark.parametrize("action", ["member_change_role", "member_remove"])
def test_the_last_owner_stays(action, people, client_of):
    membership = Membership.objects.get(user=people.ann)

    response = client_of(people.ann).post(
        reverse(f"workspace:{action}", args=["support-team", membership.pk]), {"role": "viewer"}
    )

    assert response.status_code == 409
    assert "needs an owner" in response.content.decode()
    membership.refresh_from_db()
    assert membership.role == "owner"


def test_a_removed_member_is_out_and_so_are_their_keys(people, client_of, workspace):
    key = ApiKey.objects.create(
        workspace=workspace, user=people.lea, name="script", prefix="ftp-", key_hash="0" * 64
    )
    membership = Membership.objects.get(user=people.lea)

    client_of(people.ann).post(reverse("workspace:member_remove", args=["support-team", membership.pk]))

    assert client_of(people.lea).get("/w/support-team/").status_code == 404
    key.refresh_from_db()
    assert key.revoked_at is not None


def test_a_key_is_shown_once_and_kept_as_a_hash(people, client_of):
    client = client_of(people.ann)
    url = reverse("workspace:api_keys", args=["support-team"])

    first = client.post(url, {"name": "nightly import"})

    shown = re.search(r"ftp-[\w-]{20,}", first.content.decode())
    assert shown
    assert first.headers["Cache-Control"] == "no-store"
    assert shown[0] not in client.get(url).content.decode()
    assert shown[0] not in str(ApiKey.objects.values().get())
    assert shown[0] not in str(list(AuditEvent.objects.values()))


def test_an_owner_renames_the_workspace_and_its_address_stays(people, client_of, workspace):
    ann = client_of(people.ann)

    for name in ("Help desk", "Help desk", " "):
        ann.post("/w/support-team/settings/name/", {"name": name})

    workspace.refresh_from_db()
    assert (workspace.name, workspace.slug) == ("Help desk", "support-team")
    assert "Help desk" in ann.get(MEMBERS).content.decode()
    (event,) = AuditEvent.objects.filter(action="workspace.renamed")
    assert (event.actor, event.before, event.after) == (
        people.ann,
        {"name": "Support team"},
        {"name": "Help desk"},
    )
