"""The record: append-only, filtered, exported."""

import csv
import io

import pytest
from django.core.management import call_command
from django.db import DatabaseError, transaction
from django.urls import reverse

from apps.audit.models import AuditEvent
from apps.audit.services import record

pytestmark = pytest.mark.django_db


@pytest.fixture
def events(workspace, other_workspace, people, project):
    record(workspace=workspace, actor=people.lea, action="project.created", target=project)
    record(
        workspace=workspace,
        actor=people.ann,
        action="project.changed",
        target=project,
        before={"goal": "a"},
        after={"goal": "=HYPERLINK(1)"},
    )
    record(workspace=other_workspace, actor=people.zoe, action="secret.thing")


def test_the_database_itself_refuses_change_and_deletion(events):
    for change in (
        lambda: AuditEvent.objects.update(action="nothing.happened"),
        lambda: AuditEvent.objects.all()._raw_delete("default"),
    ):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()
    assert AuditEvent.objects.filter(action="project.changed").exists()


def test_owners_read_their_own_record_newest_first(events, people, client_of):
    page = client_of(people.ann).get(reverse("audit:events", args=["support-team"])).content.decode()

    assert page.index("project.changed") < page.index("project.created")
    assert "secret.thing" not in page
    assert "ann@example.org" in page


@pytest.mark.parametrize(
    ("query", "seen", "unseen"),
    [
        ("actor=lea", "lea@example.org", "ann@example.org</td>"),
        ("since=2999-01-01", "Nothing matches", "ann@example.org</td>"),
        ("action=project.created", "lea@example.org", "ann@example.org</td>"),
    ],
)
def test_filters_narrow_the_record(query, seen, unseen, events, people, client_of):
    url = reverse("audit:events", args=["support-team"])
    page = client_of(people.ann).get(f"{url}?{query}").content.decode()

    assert seen in page
    assert unseen not in page


def test_csv_holds_all_columns_and_disarms_formulas(events, people, client_of):
    response = client_of(people.ann).get(
        reverse("audit:events_csv", args=["support-team"]) + "?action=project.changed"
    )

    [row] = list(csv.DictReader(io.StringIO(b"".join(response).decode())))
    assert row["actor"] == "ann@example.org"
    assert row["before"] == '{"goal": "a"}'
    assert row["after"] == '{"goal": "=HYPERLINK(1)"}', "JSON begins with a brace, so it is no formula"


def test_a_cell_that_looks_like_a_formula_is_disarmed(workspace, people, project, client_of):
    project.name = "=cmd|' /C calc'!A0"
    project.save()
    record(workspace=workspace, actor=people.lea, action="project.created", target=project)

    response = client_of(people.ann).get(reverse("audit:events_csv", args=["support-team"]))

    [row] = list(csv.DictReader(io.StringIO(b"".join(response).decode())))
    assert row["target"] == "'=cmd|' /C calc'!A0"


def test_the_record_tells_a_command_from_a_page(workspace, people, capsys):
    call_command("apikey_create", "nightly import", workspace=workspace.slug)

    assert AuditEvent.objects.get(action="api_key.created").source == "command"
    assert capsys.readouterr().out.startswith("ftp-")
