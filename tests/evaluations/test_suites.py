import json

import pytest

from apps.artifacts.storage import blob_store
from apps.core.errors import PortalError
from apps.datasets.models import Version, VersionState
from apps.evaluations.few_shot import choose_covering, few_shot_select
from apps.evaluations.items_file import ItemsFileError, read_items
from apps.evaluations.models import Suite, SuiteKind
from apps.evaluations.services.suites import general_suite_add, suite_from_file, suite_from_version

pytestmark = pytest.mark.django_db


def test_the_test_split_becomes_a_suite_once(world):
    suite = world.suite()
    assert (suite.item_count, suite.kind, suite.split) == (60, SuiteKind.TASK, "test")
    assert suite.answer_form["kind"] == "key_value"
    item = suite.items.first()
    # Ticket 40 is the first row after 40 training rows: 40 % 4 = 0, 40 % 3 = 1.
    assert [message["role"] for message in item.messages] == ["system", "user"]
    assert item.expected == "category: billing\npriority: P2"
    assert item.expected_fields == {"category": "billing", "priority": "P2"}
    assert item.content_hash == item.example.content_hash
    assert suite_from_version(project=world.project, version=world.version, by=None).pk == suite.pk
    assert Suite.objects.count() == 1


def test_groups_come_along(make_world):
    groups = list(make_world(groups=True).suite().items.values_list("group", flat=True))
    assert len(set(groups)) == 12  # five rows each


def test_labels_that_only_training_knows_are_labels(make_world):
    suite = make_world(train=40, test=5).suite()
    category = next(field for field in suite.answer_form["fields"] if field["name"] == "category")
    assert sorted(category["labels"]) == ["account", "billing", "bug", "shipping"]


def test_the_projects_own_form_is_used(world):
    world.project.answer_form = {"kind": "text"}
    world.project.save()
    assert world.suite().answer_form == {"kind": "text"}


def test_a_version_that_is_not_frozen_or_has_no_test_rows_is_refused(world):
    draft = Version.objects.create(dataset=world.version.dataset, number=2, state=VersionState.FREEZING)
    with pytest.raises(PortalError, match="not frozen yet"):
        suite_from_version(project=world.project, version=draft, by=None)
    with pytest.raises(PortalError, match="no rows in its validation split"):
        suite_from_version(project=world.project, version=world.version, split="validation", by=None)


def items(*rows: object) -> list[bytes]:
    return [json.dumps(row).encode() if not isinstance(row, bytes) else row for row in rows]


USER = {"role": "user", "content": "Say 1."}


def test_a_file_of_items_is_read():
    read = read_items(
        items(
            {"messages": [USER], "expected": "1", "skill": "copy"},
            b"",
            {"messages": [USER, {"role": "assistant", "content": "one"}]},
        )
    )
    assert [(item.expected, item.skill, len(item.messages)) for item in read] == [
        ("1", "copy", 1),
        ("one", "", 1),
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (b"{", "Line 2: not valid JSON"),
        ([1], "not a list of messages"),
        ({"messages": []}, "not a list of messages"),
        ({"messages": [USER], "expected": " "}, "“expected” is not plain text"),
        ({"messages": [USER], "expected": 7}, "“expected” is not plain text"),
        ({"messages": [USER]}, "not an assistant's answer"),
        ({"messages": [{"role": "boss", "content": "x"}], "expected": "1"}, "“boss” is not a role"),
        ({"messages": [{"role": "user", "content": None}], "expected": "1"}, "not plain text"),
        ({"messages": [{"role": "system", "content": "x"}], "expected": "1"}, "no message of a user"),
        ({"messages": [USER, {"role": "assistant", "content": "1"}], "expected": "1"}, "leave it out"),
        ({"messages": [USER], "expected": "1", "skill": 3}, "must be plain text"),
        ({"messages": [{"role": "user", "content": "a\x00b"}], "expected": "1"}, "not plain text"),
        ({"messages": [{"role": ["user"], "content": "x"}], "expected": "1"}, "is not a role"),
        (b'{"messages": [{"role": "user", "content": "half \\ud83d"}], "expected": "1"}', "not plain text"),
        (b'{"messages": [{"role": "user", "content": "x"}], "expected": "\\u0000"}', "not plain text"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_bad_line_refuses_the_file_and_is_named(row, said):
    with pytest.raises(ItemsFileError, match=said):
        read_items(items({"messages": [USER], "expected": "1"}, row))


def test_an_empty_file_is_refused():
    with pytest.raises(ItemsFileError, match="holds no items"):
        read_items([b"", b"\n"])


def test_a_suite_from_a_file_keeps_skills_and_file(project, people):
    lines = items(*({"messages": [USER], "expected": str(n), "skill": "copy"} for n in range(3)))
    blob = blob_store(content=[b"\n".join(lines)])
    suite = suite_from_file(project=project, name="Mine", blob=blob, by=people.lea)
    assert (suite.kind, suite.item_count, suite.source_id) == (SuiteKind.GENERAL, 3, blob.pk)
    assert set(suite.items.values_list("skill", flat=True)) == {"copy"}


def test_the_shipped_general_suite_is_added_once(project, people):
    suite = general_suite_add(project=project, by=people.lea)
    assert suite.item_count >= 500
    assert suite.items.exclude(skill="").count() == suite.item_count
    assert general_suite_add(project=project, by=people.lea).pk == suite.pk


def test_few_shot_examples_cover_the_answers_and_are_always_the_same(world):
    chosen = few_shot_select(world.version, 6, seed=3)
    assert chosen == few_shot_select(world.version, 6, seed=3)
    assert chosen != few_shot_select(world.version, 6, seed=4)
    assert [message["role"] for message in chosen] == ["user", "assistant"] * 6
    answers = [message["content"] for message in chosen if message["role"] == "assistant"]
    assert len(set(answers)) == 6  # twelve different answers occur
    questions = [message["content"] for message in chosen if message["role"] == "user"]
    numbers = {int(question.split(":")[0].removeprefix("Ticket ")) for question in questions}
    assert max(numbers) < 40  # the training split only
    assert few_shot_select(world.version, 0) == []


def test_frequent_answers_come_first_and_rare_ones_before_seconds():
    rows = [("common", f"c{n}", n) for n in range(5)] + [("rare", "r0", 100)]
    chosen = choose_covering(rows, 3, seed=0)
    assert chosen[0] < 5
    assert chosen[1] == 100
    assert chosen[2] < 5
    assert len(choose_covering(rows, 50, seed=0)) == 6
