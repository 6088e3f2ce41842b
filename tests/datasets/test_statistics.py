"""Statistics of a version against rows that were counted by hand."""

import pytest

from apps.datasets.statistics import duplicate_groups, frequent_ngrams
from tests.datasets.conftest import lines, row, url


def test_runs_of_words_are_counted_by_rows():
    found = frequent_ngrams({"Thank you for calling": 3, "Thank you, thank you!": 2, "No": 1})
    assert found["rows_seen"] == 6
    # In the second answer "thank you" stands twice and is one row's all the same.
    assert found["ngrams"]["1"][:2] == [{"text": "thank", "rows": 5}, {"text": "you", "rows": 5}]
    assert found["ngrams"]["2"][0] == {"text": "thank you", "rows": 5}
    assert {"text": "thank you for", "rows": 3} in found["ngrams"]["3"]
    assert {"text": "you thank", "rows": 2} in found["ngrams"]["2"]
    assert [each["text"] for each in found["ngrams"]["4"]] == ["thank you for calling", "thank you thank you"]
    assert all(each["text"] != "no" for each in found["ngrams"]["1"])  # once is not again


def test_groups_of_duplicates_are_counted_by_size():
    hashes = ["a", "b", "a", "c", "a", "b", "d"] + ["e"] * 12
    found = duplicate_groups(hashes, list(range(100, 119)))
    assert found["groups"] == 3
    assert [(size["from"], size["to"], size["groups"]) for size in found["sizes"]] == [
        (2, 2, 1),
        (3, 5, 1),
        (6, 10, 0),
        (11, 100, 1),
        (101, None, 0),
    ]
    assert found["largest"] == [
        {"example": 107, "rows": 12},
        {"example": 100, "rows": 3},
        {"example": 101, "rows": 2},
    ]
    assert duplicate_groups(["a", "b"], [1, 2])["groups"] == 0


@pytest.mark.django_db(transaction=True)
def test_a_version_shows_its_origin_its_phrases_and_its_duplicates(upload, commit, freeze, rob, vic, project):
    rows = [row(f"Question {n}", "Please call us back") for n in range(8)]
    dataset = commit(upload(lines(*rows, rows[0], rows[0])), duplicates="keep").dataset
    sent = {
        "role": ["user", "assistant"],
        "content": ["Mine", "Please wait"],
        "extra": ["", ""],
        "others": "",
    }
    rob.post(url("add_row", project, dataset.pk), sent)
    version = freeze(dataset)
    files = version.statistics["origin"]["files"]
    assert [(each["import"] is None, each["rows"]) for each in files] == [(False, 10), (True, 1)]
    page = vic.get(url("version", project, version.pk)).content.decode()
    assert "please call us back" in page
    assert "Written by hand" in page
    assert "tickets.jsonl" in page
    assert "Map of duplicates" in page
    assert version.statistics["duplicates"]["largest"] == [
        {"example": dataset.examples.order_by("pk")[0].pk, "rows": 3}
    ]
