import json

from apps.scoring.answers import Field, FreeText, JsonObject, KeyValueLines, SingleLabel
from apps.scoring.proposal import propose_form


def test_key_value_lines_with_their_label_sets():
    gold = [f"category: {'billing' if i % 3 else 'bug'}\npriority: P{i % 2 + 1}" for i in range(24)]
    proposal = propose_form(gold)
    assert proposal.form == KeyValueLines(
        (Field("category", ("billing", "bug")), Field("priority", ("P1", "P2")))
    )
    assert (proposal.conforming, proposal.total) == (24, 24)


def test_a_field_with_many_values_is_free():
    gold = [f"category: bug\nreply: We looked into case {i}." for i in range(20)]
    assert propose_form(gold).form == KeyValueLines((Field("category", ("bug",)), Field("reply")))


def test_json_objects():
    gold = [json.dumps({"category": ("a", "b")[i % 2], "amount": i}) for i in range(20)]
    assert propose_form(gold).form == JsonObject((Field("category", ("a", "b")), Field("amount")))


def test_one_label():
    gold = ["refund"] * 10 + ["cancel"] * 6 + ["other"] * 4
    assert propose_form(gold).form == SingleLabel(("refund", "cancel", "other"))


def test_prose_is_free_text():
    gold = [f"Dear customer {i}, your parcel is on its way." for i in range(40)]
    assert propose_form(gold).form == FreeText()
    assert propose_form([]).form == FreeText()
    assert propose_form(["yes", "no"]).form == FreeText()


def test_one_broken_gold_answer_in_forty_does_not_change_the_form():
    gold = [f"category: {'billing' if i % 2 else 'bug'}" for i in range(39)] + ["billing"]
    proposal = propose_form(gold)
    assert proposal.form == KeyValueLines((Field("category", ("bug", "billing")),))
    assert (proposal.conforming, proposal.total) == (39, 40)
