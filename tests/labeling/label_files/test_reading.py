"""Files of other tools, in the shapes that their documentation shows; named in each test."""

import io
import json
import zipfile
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from apps.labeling.label_files import UnknownFormat, read_labels


def lines(*records):
    return b"\n".join(json.dumps(record).encode() for record in records)


# labelstud.io/guide/task_format, with the results of the tags Choices, Labels, TextArea, Rating and Pairwise.
TASK = {
    "id": 1,
    "created_at": "2021-03-09T21:52:49.513742Z",
    "project": 83,
    "data": {"text": "To have faith is to trust yourself to the water"},
    "annotations": [
        {
            "id": 1001,
            "result": [
                {
                    "from_name": "sentiment",
                    "id": "Dx_aB91ISN",
                    "to_name": "text",
                    "type": "choices",
                    "value": {"choices": ["Positive"]},
                },
                {
                    "from_name": "part",
                    "id": "q1",
                    "to_name": "text",
                    "type": "labels",
                    "value": {"start": 8, "end": 13, "text": "faith", "labels": ["Noun"]},
                },
                {
                    "from_name": "note",
                    "to_name": "text",
                    "type": "textarea",
                    "value": {"text": ["one", "two"]},
                },
                {"from_name": "stars", "to_name": "text", "type": "rating", "value": {"rating": 4}},
                {"from_name": "pw", "to_name": "a,b", "type": "pairwise", "value": {"selected": "right"}},
            ],
            "was_cancelled": False,
            "ground_truth": False,
            "created_at": "2021-03-09T22:16:08.728353Z",
            "lead_time": 4.288,
            "completed_by": {"id": 10, "email": "ann@example.org", "first_name": "Ann"},
        },
        {"id": 1002, "result": [], "was_cancelled": True, "completed_by": 11},
    ],
    "predictions": [
        {
            "model_version": "model 1",
            "result": [
                {
                    "from_name": "sentiment",
                    "to_name": "text",
                    "type": "choices",
                    "value": {"choices": ["Neutral"]},
                }
            ],
        }
    ],
}


def test_label_studio_export():
    found = read_labels(json.dumps([TASK]).encode(), "export.json")
    assert found.format == "Label Studio JSON"
    person, model = found.labels
    assert person.texts == ("To have faith is to trust yourself to the water",)
    assert (person.key, person.labeler, person.seconds) == ("1", "ann@example.org", 4.288)
    assert person.answers == {
        "sentiment": ["Positive"],
        "part": [{"start": 8, "end": 13, "label": "Noun"}],
        "note": "one\ntwo",
        "stars": 4,
        "pw": "2",
    }
    assert (model.is_draft, model.labeler, model.answers) == (True, "model 1", {"sentiment": ["Neutral"]})
    assert found.left_out == 1
    assert found.labelers == ("ann@example.org",)


def test_label_studio_bad_records_are_named_and_the_good_ones_kept():
    image = {
        **TASK,
        "annotations": [{"result": [{"from_name": "b", "type": "rectanglelabels", "value": {"x": 1}}]}],
    }
    broken = {"id": 3, "data": {"text": "x"}, "annotations": "none"}
    found = read_labels(json.dumps([TASK, image, broken, 7]).encode())
    assert len(found.labels) == 2
    assert [problem.record for problem in found.problems] == [2, 3, 4]
    assert "'rectanglelabels' is not read" in found.problems[0].message
    assert "`annotations` should be a list" in found.problems[1].message
    assert "no object" in found.problems[2].message


def test_argilla_nested_records():
    # docs.argilla.io/latest/how_to_guides/import_export: Record.to_dict() as `to_json` writes it.
    record = {
        "id": "a1",
        "fields": {"text": "Hello World, how are you?"},
        "metadata": {},
        "suggestions": {"label": {"value": "positive", "score": None, "agent": "m1"}},
        "responses": {
            "label": [{"value": "negative", "user_id": "u1"}, {"value": "positive", "user_id": "u2"}],
            "rank": [{"value": [{"value": "2", "rank": 1}, {"value": "1", "rank": 2}], "user_id": "u1"}],
        },
        "vectors": {},
    }
    found = read_labels(json.dumps([record]).encode())
    first, second, draft = found.labels
    assert (first.labeler, first.answers) == ("u1", {"label": "negative", "rank": [["2"], ["1"]]})
    assert (second.labeler, second.answers) == ("u2", {"label": "positive"})
    assert (draft.is_draft, draft.labeler) == (True, "m1")


FLAT = {
    # The columns of huggingface.co/datasets/richardbeamdata/test_v3, made with `dataset.to_hub`.
    "id": "82be83a5-809c-4d60-8b02-12f6d83e5ed8",
    "status": "completed",
    "_server_id": "e0ba74e8-bcd8-4b92-a291-aa1abb3792f7",
    "text": "Do you need oxygen to breathe?",
    "label.responses": ["yes", "no"],
    "label.responses.users": ["59f7bf7b-b818-4b6f-8f80-e7cce9c25ee6", "other"],
    "label.responses.status": ["submitted", "discarded"],
    "label.suggestion": "yes",
    "label.suggestion.agent": None,
    "label.suggestion.score": None,
}


def test_argilla_hugging_face_rows_as_lines_and_as_parquet():
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([FLAT]), file)
    for data in (lines(FLAT), file.getvalue()):
        found = read_labels(data)
        person, draft = found.labels
        assert found.format == "Argilla records"
        assert person.texts == ("Do you need oxygen to breathe?",)
        assert person.labeler == "59f7bf7b-b818-4b6f-8f80-e7cce9c25ee6"
        assert person.answers == {"label": "yes"}
        assert draft.is_draft
        assert found.left_out == 1


def test_argilla_columns_of_different_lengths_are_refused():
    found = read_labels(lines(FLAT, {**FLAT, "label.responses.users": ["one"]}))
    assert [problem.record for problem in found.problems] == [2]
    assert "different lengths" in found.problems[0].message


def test_doccano_zip_with_a_file_a_person():
    # doccano's examples of text classification, sequence labeling and relation extraction; members named after users.
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(
            "ann.jsonl",
            lines(
                {"id": 1, "text": "Terrible customer service.", "label": ["negative"], "Comments": []},
                {"id": 2, "text": "Unseen", "label": [], "Comments": []},
            ),
        )
        archive.writestr(
            "bob.jsonl",
            lines(
                {"id": 3, "text": "EU rejects German call", "label": [[0, 2, "ORG"], [11, 17, "MISC"]]},
                {
                    "id": 4,
                    "text": "Google was founded on September 4, 1998.",
                    "entities": [{"id": 0, "start_offset": 0, "end_offset": 6, "label": "ORG"}],
                    "relations": [],
                },
            ),
        )
    found = read_labels(file.getvalue(), "export.zip")
    assert found.format == "doccano JSONL"
    ann, first, second = found.labels
    assert (ann.labeler, ann.answers) == ("ann", {"label": ["negative"]})
    assert first.labeler == "bob"
    assert first.answers["label"][1] == {"start": 11, "end": 17, "label": "MISC"}
    assert second.answers == {"entities": [{"start": 0, "end": 6, "label": "ORG"}]}
    assert found.left_out == 1


def test_doccano_intents_and_bad_spans():
    found = read_labels(
        lines(
            {"id": 1, "text": "Find a flight", "entities": [], "cats": ["flight"]},
            {"id": 2, "text": "x", "label": [[0, 1]]},
            {"id": 3, "text": "x", "label": [[3, 1, "A"]]},
        ),
        "ann.jsonl",
    )
    assert [label.answers for label in found.labels] == [{"cats": ["flight"]}]
    assert [problem.record for problem in found.problems] == [2, 3]


# prodi.gy/docs/api-interfaces, the tasks of `choice`, `ner_manual`, `classification` and `text_input`, with `answer`.
PRODIGY = (
    {
        "text": "Pick the odd one out.",
        "options": [{"id": "BANANA", "text": "banana"}, {"id": "BROCCOLI", "text": "broccoli"}],
        "accept": ["BROCCOLI"],
        "answer": "accept",
        "_input_hash": -1,
        "_task_hash": 5,
        "_session_id": "food-alex",
        "_view_id": "choice",
        "_timestamp": 1615320000,
    },
    {
        "text": "First look at the new MacBook Pro",
        "spans": [{"start": 22, "end": 33, "label": "PRODUCT", "token_start": 5, "token_end": 6}],
        "answer": "accept",
        "_input_hash": 1,
        "_task_hash": 6,
        "_annotator_id": "sam",
        "_session_id": "food-sam",
    },
    {"text": "Apple updates", "label": "TECHNOLOGY", "answer": "reject", "_input_hash": 2, "_task_hash": 7},
    {"text": "Apple", "label": "TECHNOLOGY", "answer": "accept", "_input_hash": 3, "_task_hash": 8},
    {"text": "Skipped", "label": "TECHNOLOGY", "answer": "ignore", "_input_hash": 4, "_task_hash": 9},
)


def test_prodigy_lines():
    found = read_labels(lines(*PRODIGY), "all.jsonl")
    choice, spans, rejected, accepted = found.labels
    assert found.format == "Prodigy JSONL"
    assert (choice.labeler, choice.answers) == ("food-alex", {"answer": "accept", "accept": ["BROCCOLI"]})
    assert choice.made_at == "2021-03-09T20:00:00+00:00"
    assert spans.labeler == "sam"
    assert spans.answers["spans"] == [{"start": 22, "end": 33, "label": "PRODUCT"}]
    assert rejected.answers == {"answer": "reject"}
    assert accepted.answers["label"] == "TECHNOLOGY"
    assert found.left_out == 1


def test_broken_lines_are_named_and_the_others_read():
    data = (
        lines(PRODIGY[0])
        + b'\n{"text": "cut\n\xff\xfe\n'
        + lines({**PRODIGY[3], "text": "nul \x00"}, {**PRODIGY[3], "answer": "maybe"})
    )
    found = read_labels(data)
    assert len(found.labels) == 1
    assert [problem.record for problem in found.problems] == [2, 3, 4, 5]
    assert "no valid JSON" in found.problems[0].message
    assert "not UTF-8" in found.problems[1].message
    assert "cannot be stored" in found.problems[2].message
    assert "accept, reject or ignore" in found.problems[3].message


def test_a_byte_order_mark_is_no_matter():
    assert len(read_labels(b"\xef\xbb\xbf" + json.dumps([TASK]).encode()).labels) == 2
    assert len(read_labels(b"\xef\xbb\xbf" + lines(PRODIGY[0])).labels) == 1


@pytest.mark.parametrize("data", [b"", b"hello", b"[]", b'{"a": 1}', b"PK\x03\x04broken", b"[1, 2", b"PAR1"])
def test_anything_else_is_refused_with_the_formats_that_are_known(data):
    with pytest.raises(UnknownFormat):
        read_labels(data)


# --- Odd, but legal ------------------------------------------------------------------------------------------------


def test_one_record_may_stand_alone_and_over_several_lines():
    assert len(read_labels(json.dumps(TASK, indent=2).encode()).labels) == 2
    broken_first = b'{"text": "cut\n' + lines(PRODIGY[0])
    assert len(read_labels(broken_first).labels) == 1


@pytest.mark.parametrize(
    "odd",
    [
        {"spans": [{"start": float("inf"), "end": 3, "label": "A"}]},
        {"_timestamp": 1e300},
        {"accept": [{"id": 1}], "options": [{"id": 1, "text": "A"}]},
    ],
)
def test_a_record_with_an_odd_field_is_named_and_the_others_read(odd):
    found = read_labels(lines(PRODIGY[0], PRODIGY[1] | odd, PRODIGY[3]))

    assert len(found.labels) == 2
    assert [problem.record for problem in found.problems] == [2]


def test_options_that_are_only_counted_are_known_by_their_text():
    """prodi.gy/docs/api-interfaces#choice: an option has an id, a number or a word, and the text that is shown."""
    counted = PRODIGY[0] | {
        "options": [{"id": 1, "text": "GOOD"}, {"id": 2, "text": "BAD"}],
        "accept": [2],
        "spans": None,
    }
    assert read_labels(lines(counted)).labels[0].answers == {"answer": "accept", "accept": ["BAD"]}


@pytest.mark.parametrize("as_columns", [False, True])
def test_argilla_1(as_columns):
    """docs.v1.argilla.io, "Export a feedback dataset": a column a question, in the Hub as a dict of lists."""
    given: list[dict[str, Any]] = [
        {"user_id": "u1", "value": "refund", "status": "submitted"},
        {"user_id": "u2", "value": None, "status": "discarded"},
    ]
    column = {name: [one[name] for one in given] for name in given[0]} if as_columns else given
    record = {"text": "Where is it?", "intent": column, "intent-suggestion": "other", "metadata": "{}"}

    found = read_labels(lines(record))

    assert found.format == "Argilla records"
    person, model = found.labels
    assert (person.labeler, person.answers, person.texts[0]) == ("u1", {"intent": "refund"}, "Where is it?")
    assert (model.is_draft, model.answers) == (True, {"intent": "other"})
    assert found.left_out == 1


def test_what_a_mac_puts_beside_packed_files_is_passed_by():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("ben.jsonl", lines({"id": 1, "text": "x", "label": ["A"]}))
        archive.writestr("__MACOSX/._ben.jsonl", b"\x00\x05\x16\x07")

    found = read_labels(packed.getvalue())

    assert (found.labelers, found.problems) == (("ben",), [])


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"a":' * 100_000])
def test_what_is_nested_too_deeply_is_refused(data):
    with pytest.raises(UnknownFormat):
        read_labels(data)
