"""Choosing general rows: the same seed, the same rows."""

import json

import pytest

from apps.jobs.replay import ReplayError, available_rows, choose_rows
from tests.providers.tiny import chat, write_jsonl


@pytest.fixture
def general(tmp_path):
    return write_jsonl(tmp_path / "replay.jsonl", [chat(f"Say {n}.", str(n)) for n in range(50)])


def test_the_seed_decides_the_rows(general):
    first, again = choose_rows(general, count=10, seed=3), choose_rows(general, count=10, seed=3)
    assert (first.rows, first.sha256) == (again.rows, again.sha256)
    assert len(set(first.rows)) == 10
    assert choose_rows(general, count=10, seed=4).sha256 != first.sha256


def test_more_than_there_are_is_refused(general):
    assert available_rows(general) == 50
    with pytest.raises(ReplayError, match="50"):
        choose_rows(general, count=51, seed=3)


def test_a_missing_file_offers_nothing(tmp_path):
    assert available_rows(tmp_path / "none.jsonl") == 0
    with pytest.raises(ReplayError):
        choose_rows(tmp_path / "none.jsonl", count=1, seed=3)


@pytest.mark.parametrize(
    "line",
    [
        '{"messages": []}',
        '{"prompt": "a"}',
        "not json",
        json.dumps({"messages": [{"role": "user", "content": "a"}]}),
    ],
)
def test_a_row_that_is_no_chat_is_named(tmp_path, line):
    path = tmp_path / "replay.jsonl"
    path.write_text(json.dumps(chat("a", "b")) + "\n" + line + "\n")
    with pytest.raises(ReplayError, match="Line 2"):
        available_rows(path)
