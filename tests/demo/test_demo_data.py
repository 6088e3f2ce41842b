"""The shipped demo data is what its generators make, and keeps the promises of its descriptions."""

import json
from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path
from typing import Any

from demo.general_skills import generate as general
from demo.support_tickets import generate as support
from demo.tiny_model.corpus import dialogues
from demo.tiny_model.splits import by_wording

DEMO = Path(general.__file__).parents[1]
TICKETS = DEMO / "support_tickets" / "tickets.jsonl"
SUITE = DEMO / "general_skills" / "general_skills.jsonl"
REPLAY = DEMO / "general_skills" / "replay.jsonl"


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_tickets_are_the_generators_output():
    assert support.as_lines(support.tickets()) == TICKETS.read_text(encoding="utf-8")


def test_another_seed_makes_other_tickets():
    assert support.as_lines(support.tickets(1)) != TICKETS.read_text(encoding="utf-8")


def test_suite_and_replay_are_the_generators_output():
    assert general.as_lines(general.suite()) == SUITE.read_text(encoding="utf-8")
    assert general.as_lines(general.replay()) == REPLAY.read_text(encoding="utf-8")


def test_tickets_answer_in_the_house_form():
    for row in rows(TICKETS):
        user, assistant = row["messages"]
        meta = row["metadata"]
        assert (user["role"], assistant["role"]) == ("user", "assistant")
        assert assistant["content"] == f"category: {meta['category']}\npriority: {meta['priority']}"
        assert meta["wording"].startswith(meta["category"])


def test_tickets_have_exactly_ten_duplicates_and_no_contradictions():
    answers = defaultdict(list)
    for row in rows(TICKETS):
        answers[row["messages"][0]["content"]].append(row["messages"][1]["content"])
    assert sum(len(a) - 1 for a in answers.values()) == 10
    assert sum(row["metadata"]["duplicate"] for row in rows(TICKETS)) == 10
    assert all(len(set(a)) == 1 for a in answers.values())


def test_tickets_have_many_wordings_in_every_category():
    wordings = {(r["metadata"]["category"], r["metadata"]["wording"]) for r in rows(TICKETS)}
    counts = Counter(category for category, _ in wordings)
    assert len(rows(TICKETS)) >= 1_500
    assert set(counts) == {"money", "delivery", "passwords", "errors", "ideas", "offers"}
    assert min(counts.values()) >= 39
    assert min(counts[c] for c in ("money", "delivery", "passwords", "errors")) >= 50


def test_house_rule_keeps_wishes_and_strangers_at_the_lowest_priority():
    always = [
        r["metadata"]["priority"] for r in rows(TICKETS) if r["metadata"]["category"] in support.ALWAYS_LATER
    ]
    assert set(always) == {"later"}
    cued = [r["metadata"] for r in rows(TICKETS) if r["metadata"]["category"] not in support.ALWAYS_LATER]
    assert {m["priority"] for m in cued if m["cue"] == "urgent"} == {"urgent"}
    assert {m["priority"] for m in cued if m["cue"] == "later"} == {"later"}


def test_no_wording_is_in_two_parts_of_the_split():
    splits = by_wording()
    parts = [
        {r["metadata"]["wording"] for r in part} for part in (splits.train, splits.validation, splits.test)
    ]
    assert not parts[0] & parts[1]
    assert not parts[0] & parts[2]
    assert not parts[1] & parts[2]
    assert len(splits.train) + len(splits.validation) + len(splits.test) == len(rows(TICKETS)) - 10


def test_suite_shares_no_prompt_with_replay_or_tickets():
    suite = {json.dumps(item["messages"]) for item in rows(SUITE)}
    other = set()
    for row in rows(REPLAY) + rows(TICKETS):
        for i, message in enumerate(row["messages"]):
            if message["role"] == "assistant":
                other.add(json.dumps(row["messages"][:i]))
    assert len(suite) == len(rows(SUITE)) >= 1_000
    assert not suite & other


def test_suite_items_end_with_a_question_and_have_an_answer():
    for item in rows(SUITE):
        assert item["messages"][-1]["role"] == "user"
        assert item["expected"].strip()
    assert {item["skill"] for item in rows(SUITE)} == set(general.ITEMS)


def test_the_corpus_repeats_with_its_seed():
    first, again, other = (list(islice(dialogues(seed), 50)) for seed in (3, 3, 4))
    assert first == again
    assert first != other
