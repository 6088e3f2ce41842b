"""What people see when something is wrong with the server itself."""

import socket

import pytest
from django.db import connection
from django.db.utils import ConnectionHandler, OperationalError
from django.test import Client, RequestFactory

from apps.core.views import server_error

pytestmark = pytest.mark.django_db


@pytest.fixture
def nobody_listens() -> int:
    """A port of this machine that answers with a refusal."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("path", ["/w/support-team/", "/api/support-team/projects"])
def test_a_database_that_is_away_is_named_and_no_bug(path: str, nobody_listens: int, settings):
    away = settings.DATABASES["default"] | {"HOST": "127.0.0.1", "PORT": nobody_listens, "OPTIONS": {}}
    try:
        ConnectionHandler({"default": away})["default"].ensure_connection()
    except OperationalError:
        answer = server_error(RequestFactory().get(path))

    assert answer.status_code == 503
    assert "The database cannot be reached" in answer.content.decode()


def test_an_error_that_the_database_tells_of_is_a_bug():
    try:
        with connection.cursor() as cursor:
            # 53100 is disk_full, which psycopg counts as operational, too (PostgreSQL, Appendix A).
            cursor.execute("DO $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$")
    except OperationalError:
        answer = server_error(RequestFactory().get("/"))

    assert answer.status_code == 500
    assert "Something broke" in answer.content.decode()


def test_a_name_that_is_not_listed_says_what_the_operator_does():
    page = Client(HTTP_HOST="gpu-box.example.org:8000").get("/sign-in/")

    assert page.status_code == 400
    assert "gpu-box.example.org, and it answers" in page.content.decode()
    assert "FTPORTAL_ALLOWED_HOSTS" in page.content.decode()
