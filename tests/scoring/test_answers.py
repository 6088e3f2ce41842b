"""Reading answers. Expected values follow from the rules stated in `apps.scoring.answers`, by hand."""

import json

import pytest

from apps.scoring.answers import (
    Field,
    FreeText,
    JsonObject,
    KeyValueLines,
    SingleLabel,
    describe_form,
    form_from_dict,
    form_to_dict,
    parse_answer,
)

TICKET = KeyValueLines(
    (Field("category", ("billing", "bug", "other")), Field("priority", ("P1", "P2", "P3")))
)
TICKET_JSON = JsonObject(TICKET.fields)


def test_key_value_lines_in_the_declared_form():
    answer = parse_answer(TICKET, "category: billing\npriority: P2")
    assert answer.fields == {"category": "billing", "priority": "P2"}
    assert answer.problems == ()
    assert answer.format_ok


@pytest.mark.parametrize(
    "text",
    [
        "Category: Billing\nPriority: p2",
        "priority: P2\ncategory: billing",
        "```\ncategory: billing\npriority: P2\n```",
        "```yaml\ncategory: billing\n\npriority: P2\n```\n",
        "  category :  billing \n\n priority: P2",
        "category: **billing**\npriority: `P2`.",
        "**category:** billing\n**priority**: P2",
    ],
)
def test_tolerated_but_not_in_the_form(text):
    answer = parse_answer(TICKET, text)
    assert answer.fields == {"category": "billing", "priority": "P2"}
    assert answer.problems == ()
    assert not answer.format_ok


def test_white_space_at_the_very_end_is_in_the_form():
    assert parse_answer(TICKET, "category: billing\npriority: P2\n").format_ok


def test_an_invalid_label_loses_only_its_own_field():
    answer = parse_answer(TICKET, "category: refunds\npriority: P2")
    assert answer.fields == {"priority": "P2"}
    assert answer.value("category") is None
    assert answer.problems == ("'category' is 'refunds', which is not one of its labels.",)
    assert not answer.format_ok


def test_missing_repeated_and_unknown_lines_are_problems():
    answer = parse_answer(TICKET, "Sure! Here it is\ncategory: bug\ncategory: billing")
    assert answer.fields == {"category": "bug"}
    assert answer.problems == (
        "Line 1 names no declared field.",
        "'category' is given twice; the first one counts.",
        "'priority' is missing.",
    )


def test_lines_after_a_free_field_belong_to_it():
    form = KeyValueLines((Field("category", ("billing", "bug")), Field("reply")))
    answer = parse_answer(form, "category: bug\nreply: Dear customer,\n\nthank you: we are on it.")
    assert answer.fields == {"category": "bug", "reply": "Dear customer,\n\nthank you: we are on it."}
    assert answer.format_ok


def test_text_that_says_nothing():
    for form in (TICKET, TICKET_JSON, SingleLabel(("a", "b")), FreeText()):
        answer = parse_answer(form, " \n ")
        assert answer.fields is None
        assert answer.problems == ("The answer is empty.",)
        assert not answer.format_ok


@pytest.mark.parametrize(
    "text", ["billing", "Billing", ' "billing" ', "**billing**", "billing.", "```\nbilling\n```"]
)
def test_a_single_label_is_read_tolerantly(text):
    answer = parse_answer(SingleLabel(("billing", "bug")), text)
    assert answer.fields == {"label": "billing"}
    assert answer.format_ok == (text == "billing")


def test_words_around_a_label_are_not_searched():
    answer = parse_answer(SingleLabel(("billing", "bug")), "It is billing, I think")
    assert answer.fields is None
    assert not answer.format_ok


def test_labels_that_differ_only_in_case_stay_apart():
    form = SingleLabel(("us", "US"))
    assert parse_answer(form, "US").fields == {"label": "US"}
    assert parse_answer(form, "us").fields == {"label": "us"}


def test_json_object():
    answer = parse_answer(TICKET_JSON, '{"category": "bug", "priority": "P1"}')
    assert answer.fields == {"category": "bug", "priority": "P1"}
    assert answer.format_ok
    fenced = parse_answer(TICKET_JSON, '```json\n{"Priority": "p1", "category": "bug"}\n```')
    assert fenced.fields == answer.fields
    assert fenced.problems == ()
    assert not fenced.format_ok


@pytest.mark.parametrize(
    ("text", "fields", "problem"),
    [
        ("category: bug", None, "not valid JSON"),
        ('["bug"]', None, "not an object"),
        ('{"category": "bug"}', {"category": "bug"}, "'priority' is missing"),
        ('{"category": "bug", "priority": 1}', {"category": "bug"}, "'priority' is '1'"),
        (
            '{"category": "bug", "priority": "P1", "why": "?"}',
            {"category": "bug", "priority": "P1"},
            "'why' is not a declared field",
        ),
    ],
)
def test_json_problems(text, fields, problem):
    answer = parse_answer(TICKET_JSON, text)
    assert answer.fields == fields
    assert problem in " ".join(answer.problems)
    assert not answer.format_ok


def test_json_schema_is_checked():
    schema = {"type": "object", "properties": {"amount": {"type": "number", "minimum": 0}}}
    form = JsonObject((Field("amount"),), json.dumps(schema))
    assert parse_answer(form, '{"amount": 12.5}').format_ok
    refused = parse_answer(form, '{"amount": -1}')
    assert refused.problems == ("$.amount: -1 is less than the minimum of 0.",)
    assert refused.fields == {"amount": "-1"}
    assert not refused.format_ok


@pytest.mark.parametrize(
    "form",
    [
        FreeText(),
        SingleLabel(("a", "b")),
        TICKET,
        TICKET_JSON,
        JsonObject((Field("x"),), '{"type": "object"}'),
    ],
)
def test_forms_survive_json(form):
    assert form_from_dict(json.loads(json.dumps(form_to_dict(form)))) == form
    assert hash(form) == hash(form_from_dict(form_to_dict(form)))
    assert describe_form(form).endswith(".")


def test_an_unknown_form_is_refused():
    with pytest.raises(ValueError, match="'table'"):
        form_from_dict({"kind": "table"})
