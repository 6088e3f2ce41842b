"""Declaring what answers look like, on the page, and what reads them by it afterwards."""

import json

import pytest
from django.urls import reverse

from apps.audit.models import AuditEvent
from apps.evaluations.data_checks import form_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def lea(client_of, people):
    return client_of(people.lea)


@pytest.fixture
def place(project):
    return reverse("evaluations:answer_form", args=[project.workspace.slug, project.slug])


def declared(project):
    project.refresh_from_db()
    return project.answer_form


def test_each_kind_is_declared_shown_and_read_by(lea, place, project):
    schema = {
        "type": "object",
        "properties": {"intent": {"enum": ["card", "loan"]}, "note": {"type": "string"}},
    }
    cases = [
        ({"kind": "label", "labels": "card\nloan\n\ncard"}, "card", "Card account"),
        ({"kind": "key_value", "lines": "intent: card, loan\nnote"}, "intent: card\nnote: now", "card"),
        (
            {"kind": "json", "schema": json.dumps(schema)},
            '{"intent": "card", "note": "x"}',
            '{"intent": "x"}',
        ),
        ({"kind": "pattern", "pattern": r"[a-z]+ \(\d+\)"}, "card (4)", "card"),
    ]
    for fields, right, wrong in cases:
        assert lea.post(place, fields).status_code == 302
        assert declared(project)["kind"] == fields["kind"]
        form = form_of(project, [])
        assert form is not None
        assert form.declared
        assert (form.read(right), bool(form.read(wrong))) == ("", True), fields
        again = lea.get(place).context["form"].initial
        assert lea.post(place, again).status_code == 302
        assert declared(project)["kind"] == fields["kind"]
    assert AuditEvent.objects.filter(action="project.answer_form_declared").count() >= len(cases)
    assert lea.post(place, {"kind": "text"}).status_code == 302
    assert declared(project) == {"kind": "text"}
    assert form_of(project, []) is None
    assert lea.post(place, {"kind": "proposed"}).status_code == 302
    assert declared(project) is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "label", "labels": "one"}, "at least two labels"),
        ({"kind": "key_value", "lines": "a: x\nA: y"}, "same name"),
        ({"kind": "json", "schema": "{"}, "This is no JSON"),
        ({"kind": "json", "schema": "[]"}, "name its properties"),
        ({"kind": "json", "schema": '{"properties": {"a": {"type": "nothing"}}}'}, "no JSON Schema"),
        ({"kind": "json", "schema": '{"properties": {"a": {"$ref": "http://x/y"}}}'}, "other documents"),
        ({"kind": "json", "schema": '{"properties": {"a": {"pattern": "(?=b)"}}}'}, "Look-ahead"),
        ({"kind": "pattern", "pattern": "(a"}, "missing )"),
        ({"kind": "riddle"}, "Select a valid choice"),
    ],
)
def test_what_cannot_be_declared_is_refused_and_nothing_changes(lea, place, project, fields, said):
    response = lea.post(place, fields)
    assert response.status_code == 422
    assert said in response.content.decode().replace("&#x27;", "'")
    assert declared(project) is None
