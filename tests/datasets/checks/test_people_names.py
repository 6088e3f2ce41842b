"""Names of people by lists. The names are invented, or those of people in history; the texts are made for the test."""

from types import SimpleNamespace
from typing import Any

import pytest

from apps.datasets.checks.personal.detection import hits_in, look_for_names
from apps.datasets.checks.personal.findings import personal_findings
from apps.datasets.checks.personal.people_names import lists_of, names, packaged_lists
from apps.datasets.checks.personal.redaction import mask, placeholder_with, redacted

LISTS = lists_of(
    ["Ada", "Grace", "Will", "Maria", "José", "Jean-Luc", "Paris", "Mark", "Bo"],
    ["Lovelace", "Hopper", "Young", "Price", "García", "Picard", "O'Neill", "Gogh", "Page"],
)


def found(text):
    return [text[hit.start : hit.end] for hit in names(text, LISTS)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ask Ada Lovelace about it.", ["Ada Lovelace"]),
        ("Ada M. Lovelace and Grace Hopper met.", ["Ada M. Lovelace", "Grace Hopper"]),
        ("Regards,\nMaria García", ["Maria García"]),
        ("José García;Jean-Luc Picard", ["José García", "Jean-Luc Picard"]),
        ("Maria O'Neill wrote", ["Maria O'Neill"]),
        ("Mark van Gogh called", ["Mark van Gogh"]),
        ("Dear Mr. Smythe, hello", ["Smythe"]),
        ("Frau Lovelace fragt", ["Lovelace"]),
        ("My name is Xanthe Quill and", ["Xanthe Quill"]),
        ("ich heiße Özlem", ["Özlem"]),
    ],
)
def test_a_name_is_found(text, expected):
    assert found(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Will Young people buy it?",  # both are ordinary words
        "Mark Price as paid",
        "Open Page Two",
        "ada lovelace",  # small letters
        "Grace alone",
        "Ada\nLovelace",  # two lines
        "mail to Ada.Lovelace@example.org",
        "https://example.org/Ada Lovelace"[:23],
        "my name is unknown",
        "the mr is missing",
        "",
    ],
)
def test_what_is_none_is_left_alone(text):
    assert found(text) == []


@pytest.fixture
def looking():
    look_for_names(True)
    yield
    look_for_names(False)


def test_they_are_looked_for_only_where_it_is_switched_on():
    assert hits_in("Ask Albert Schweitzer about it.") == []


def test_with_the_lists_of_the_package_they_are_found_and_taken_out(looking):
    text = "Write to Maria García at maria.garcia@firma.de."

    assert [hit.kind for hit in hits_in(text)] == ["name", "email"]
    assert redacted(text, {"name"}, mask) == "Write to [NAME] at maria.garcia@firma.de."
    twice = redacted("Maria García, maria, Maria  García; Maria García", {"name"}, placeholder_with(b"key"))
    assert twice.split(",")[0] == twice.split("; ")[1], "the same name gets the same placeholder"


def test_the_package_has_names_of_many_languages():
    lists = packaged_lists()
    for first, last in (("Maria", "García"), ("Hans", "Müller"), ("Jean", "Dubois"), ("Giulia", "Rossi")):
        assert first in lists.first
        assert last in lists.last
    assert "" not in lists.first


def test_the_finding_says_how_they_were_found():
    facts: Any = SimpleNamespace(personal=(["name"], [], ["email", "name"]), content=(b"a", b"b", b"c"))

    email, name = sorted(personal_findings(facts), key=lambda one: one.code)
    assert name.title == "Names of people in 2 rows"
    assert "lists of first and last names" in name.detail
    assert "check digits" in email.detail
