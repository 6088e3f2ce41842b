"""What differs between versions: counted by hand here, worked out by the database there."""

import pytest

from apps.datasets.diff_pages import diff_page
from apps.datasets.message_differences import message_differences
from apps.datasets.models import Dataset, Example, VersionDiff
from apps.datasets.services import row_add, row_edit, row_remove, version_diff
from tests.datasets.conftest import lines, row, tickets, url

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dataset(dataset_of) -> Dataset:
    """Twenty tickets; billing, access and bug take turns."""
    made: Dataset = dataset_of(tickets(20))
    return made


def head(dataset: Dataset) -> list[Example]:
    return list(Example.objects.filter(dataset=dataset, removed_at=None).order_by("key"))


def raw(asked: str, answer: str) -> bytes:
    return lines(row(asked, answer)).strip()


@pytest.fixture
def changed(dataset, people) -> dict[str, Example]:
    """Two rows edited, one of them twice; one removed; one removed and written again; two new ones."""
    rows = head(dataset)
    first = row_edit(example=rows[0], raw=raw("Ticket 0: my order is late", "shipping"), actor=people.rob)
    once = row_edit(example=rows[1], raw=raw("Ticket 1", "access"), actor=people.rob)
    twice = row_edit(example=once, raw=raw("Ticket 1: where is it?", "access"), actor=people.rob)
    row_remove(example=rows[2], actor=people.rob)
    row_remove(example=rows[3], actor=people.rob)
    again = row_add(dataset=dataset, raw=bytes(rows[3].raw), actor=people.rob)
    new = [row_add(dataset=dataset, raw=raw(f"New {n}", "bug"), actor=people.rob) for n in range(2)]
    return {
        "first": first,
        "twice": twice,
        "removed": rows[2],
        "again": again,
        "new": new[0],
        "newer": new[1],
    }


@pytest.fixture
def two_versions(dataset, freeze, people, request):
    """A version before the changes and one after them."""
    first = freeze(dataset, test_percent=0, validation_percent=0, train_percent=100)
    made = request.getfixturevalue("changed")
    second = freeze(dataset, test_percent=0, validation_percent=0, train_percent=100)
    return first, second, made


def test_the_summary_of_two_versions(two_versions):
    first, second, made = two_versions
    diff = version_diff(before=first, after=second)
    assert diff.summary == {
        "rows_before": 20,
        "rows_after": 21,
        "added": 2,
        "removed": 1,
        "changed": 2,
        "moved": 0,
        "found_again": 1,
        "unchanged": 16,
        "moves": [],
    }
    added = diff_page(diff, "added").pairs
    assert added == [(None, made["new"].pk), (None, made["newer"].pk)]
    assert diff_page(diff, "removed").pairs == [(made["removed"].pk, None)]
    changed = diff_page(diff, "changed").pairs
    assert changed == [(made["first"].row, made["first"].pk), (made["twice"].row, made["twice"].pk)]
    assert diff_page(diff, "changed", row_id=made["twice"].pk).pairs == [changed[1]]
    assert diff_page(diff, "changed", row_id=made["new"].pk).pairs == []


def test_a_diff_is_worked_out_once_and_the_other_way_round_is_the_mirror(two_versions):
    first, second, _ = two_versions
    diff = version_diff(before=first, after=second)
    assert version_diff(before=first, after=second).pk == diff.pk
    mirror = version_diff(before=second, after=first).summary
    assert (mirror["added"], mirror["removed"], mirror["changed"]) == (1, 2, 2)
    assert version_diff(before=first, after=first).summary["unchanged"] == 20


def test_the_diff_against_the_dataset_follows_it(two_versions, people, dataset):
    first, second, made = two_versions
    assert version_diff(before=second, after=None).summary["unchanged"] == 21
    row_remove(example=made["new"], actor=people.rob)
    summary = version_diff(before=second, after=None).summary
    assert (summary["removed"], summary["unchanged"], summary["rows_after"]) == (1, 20, 20)
    assert VersionDiff.objects.filter(before=second, after=None).count() == 1


def test_rows_in_another_split_are_listed(dataset, freeze):
    first = freeze(dataset, test_percent=0, validation_percent=0, train_percent=100)
    second = freeze(dataset, test_percent=0, validation_percent=50, train_percent=50)
    diff = version_diff(before=first, after=second)
    moved = second.validation_count
    assert (diff.summary["moved"], diff.summary["unchanged"]) == (moved, 20)
    assert diff.summary["moves"] == [{"from": "train", "to": "validation", "rows": moved}]


def test_the_page_shows_words_figures_and_answers(two_versions, vic, project):
    first, second, made = two_versions
    place = url("compare_versions", project, second.pk)
    page = vic.get(place).content.decode()
    assert f"Version {first.number} → version {second.number}" in page
    assert "<del>billing</del>" in page
    assert "<ins>shipping</ins>" in page
    assert ">shipping<" in page  # among the answers that moved
    assert vic.get(place, {"with": first.pk, "kind": "added"}).content.decode().count("New ") == 2
    alone = vic.get(place, {"with": first.pk, "kind": "changed", "row": made["first"].pk}).content.decode()
    assert "shipping" in alone
    assert "where is it" not in alone
    assert vic.get(place, {"with": "head"}).status_code == 200
    assert vic.get(place, {"with": 10**9}).status_code == 404
    assert vic.get(place, {"kind": "changed", "row": 10**9}).status_code == 404


def test_messages_are_aligned_as_in_a_conversation():
    def said(role: str, content: str, **more):
        return {"role": role, "content": content, **more}

    before = [said("system", "Help."), said("user", "Hi"), said("assistant", "Hello")]
    after = [said("user", "Hi"), said("assistant", "Hello there", weight=0), said("user", "Bye")]
    found = message_differences(before, after)
    assert [(part.kind, part.label, part.before, part.after) for part in found] == [
        ("removed", "System", "Help.", ""),
        ("same", "User", "Hi", "Hi"),
        ("changed", "Assistant", "Hello", "Hello there"),
        ("added", "User", "", "Bye"),
    ]
    assert found[2].has_extra
