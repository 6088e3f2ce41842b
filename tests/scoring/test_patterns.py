"""Answers that are declared as a regular expression. What matches is known from the syntax page of RE2."""

import json
import time

import pytest

from apps.scoring.answers import Field as AnswerField
from apps.scoring.answers import JsonObject, TextPattern, form_from_dict, form_to_dict, parse_answer
from apps.scoring.metrics import score_answer
from apps.scoring.patterns import pattern_problem

TICKET = TextPattern(r"(?P<category>\pL+) / (?P<priority>low|high)")


def test_named_groups_are_fields():
    parsed = parse_answer(TICKET, "Zürich / low")
    assert parsed.fields == {"category": "Zürich", "priority": "low"}
    assert parsed.format_ok
    assert [field.name for field in TICKET.fields] == ["category", "priority"]


def test_without_groups_the_text_is_the_field():
    form = TextPattern(r"[A-Z]{2}-\d{2}")
    assert parse_answer(form, "AB-12").fields == {"text": "AB-12"}
    wrong = parse_answer(form, "The code is AB-12")
    assert wrong.fields is None
    assert wrong.problems == (r"It does not match [A-Z]{2}-\d{2}",)


def test_a_fence_is_read_but_is_not_the_form():
    parsed = parse_answer(TICKET, "```\nbilling / high\n```")
    assert parsed.fields == {"category": "billing", "priority": "high"}
    assert not parsed.format_ok


def test_it_is_stored_and_read_back():
    assert form_from_dict(json.loads(json.dumps(form_to_dict(TICKET)))) == TICKET


def test_fields_are_scored_one_by_one():
    scores = score_answer(TICKET, "billing / low", "billing / high")
    assert scores.fields == {"category": True, "priority": False}
    assert scores.exact.value == 0.0


@pytest.mark.parametrize("pattern", [r"(a+)+b", r"(a|aa)*b", r"(.*)*x"])
def test_no_pattern_takes_for_ever(pattern):
    # Each takes time exponential in the length where matching goes back and forth (Cox, "Regular Expression
    # Matching Can Be Simple And Fast", 2007): 50,000 letters would never end.
    start = time.perf_counter()
    assert parse_answer(TextPattern(pattern), "a" * 50_000).fields is None
    schema = json.dumps(
        {"type": "object", "properties": {"a": {"type": "string", "pattern": f"^{pattern}$"}}}
    )
    answer = json.dumps({"a": "a" * 50_000})
    assert parse_answer(JsonObject((AnswerField("a"),), schema), answer).problems
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", "Write a pattern"),
        ("(a", "missing )"),
        ("(?=a)b", "Look-ahead"),
        (r"(a)\1", "back-references"),
        ("a*", "empty answer"),
        ("a" * 1001, "at most 1\u202f000"),
    ],
)
def test_what_cannot_be_declared_says_why(pattern, said):
    assert said in pattern_problem(pattern)
