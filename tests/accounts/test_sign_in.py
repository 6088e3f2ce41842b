"""Signing in, from outside."""

import pytest
from django.test import Client
from django.urls import reverse

from tests.conftest import PASSWORD

pytestmark = pytest.mark.django_db
SIGN_IN = "/sign-in/"


def sign_in(client: Client, email: str, password: str):
    return client.post(SIGN_IN, {"username": email, "password": password})


def test_e_mail_and_password_open_the_workspace(people):
    client = Client()

    response = sign_in(client, "ANN@example.org", PASSWORD)

    assert response.status_code == 302
    assert client.get("/", follow=True).request["PATH_INFO"] == "/w/support-team/"


def test_a_wrong_password_says_so_without_saying_which_part_was_wrong(people):
    known = sign_in(Client(), "ann@example.org", "wrong")
    unknown = sign_in(Client(), "nobody@example.org", "wrong")

    for response in (known, unknown):
        assert "do not belong together" in response.content.decode()
        assert "_auth_user_id" not in response.client.session


def test_guessing_is_throttled_for_that_person_and_address_only(people, settings):
    guesser, colleague = Client(REMOTE_ADDR="203.0.113.7"), Client(REMOTE_ADDR="203.0.113.8")
    for _ in range(settings.AXES_FAILURE_LIMIT):
        sign_in(guesser, "ann@example.org", "guess")

    locked_out = sign_in(guesser, "ann@example.org", PASSWORD)

    assert locked_out.status_code == 429
    assert "_auth_user_id" not in guesser.session
    assert sign_in(colleague, "ann@example.org", PASSWORD).status_code == 302
    assert sign_in(guesser, "lea@example.org", PASSWORD).status_code == 302


def test_other_capitals_are_no_other_person_to_guess_at(people, settings):
    guesser = Client(REMOTE_ADDR="203.0.113.7")
    for number in range(settings.AXES_FAILURE_LIMIT):
        address = "ann@example.org"
        sign_in(guesser, address[:number].upper() + address[number:], "guess")

    assert sign_in(guesser, "Ann@Example.org", PASSWORD).status_code == 429


def test_the_next_page_must_be_on_this_site(people):
    response = Client().post(
        f"{SIGN_IN}?next=https://evil.example/", {"username": "ann@example.org", "password": PASSWORD}
    )

    assert response.status_code == 302
    assert response.headers["Location"] == "/"


def test_signing_out_takes_a_post(people, client_of):
    client = client_of(people.ann)

    assert client.get(reverse("accounts:sign_out")).status_code == 405
    client.post(reverse("accounts:sign_out"))
    assert "_auth_user_id" not in client.session


def test_pages_forbid_foreign_scripts_and_frames():
    response = Client().get(SIGN_IN)

    policy = response.headers["Content-Security-Policy"]
    directives = {part.split()[0]: part.split()[1:] for part in policy.split(";") if part.strip()}
    assert directives["script-src"] == ["'self'"]
    assert directives["frame-ancestors"] == ["'none'"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["X-Request-ID"]


def test_passwords_are_kept_as_argon2(people, settings, client_of):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
    client = client_of(people.ann)
    new = {
        "old_password": PASSWORD,
        "new_password1": "a longer secret 9",
        "new_password2": "a longer secret 9",
    }
    people.ann.set_password(PASSWORD)
    people.ann.save()
    client = client_of(people.ann)

    client.post(reverse("accounts:account"), new)

    people.ann.refresh_from_db()
    assert people.ann.password.startswith("argon2$argon2id$")
    assert people.ann.check_password("a longer secret 9")
