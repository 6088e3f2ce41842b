"""Changes of many rows: what each does to which rows, that it is done as one, and undone as one."""

from collections import Counter
from typing import Any

import pytest

from apps.audit.models import AuditEvent
from apps.datasets.models import Change, ChangeState, Dataset, Example
from apps.datasets.row_edits import replace_text, set_system_prompt, strip_system_prompt
from apps.datasets.services import row_remove
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_cancel
from tests.datasets.conftest import lines, row, tickets, url

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dataset(dataset_of) -> Dataset:
    """Twelve tickets; billing, access and bug take turns."""
    made: Dataset = dataset_of(tickets(12))
    return made


def head(dataset: Dataset) -> list[Example]:
    return list(Example.objects.filter(dataset=dataset, removed_at=None).order_by("key"))


def contents(dataset: Dataset) -> list[list[str]]:
    return [[message["content"] for message in each.payload["messages"]] for each in head(dataset)]


@pytest.fixture
def apply(rob, project, work):
    """Ask for a change through the page and run it."""

    def send(dataset: Dataset, query: str = "", **fields: str) -> Change:
        response = rob.post(
            f"{url('change_rows', project, dataset.pk)}?{query}", fields | {"confirmed": "yes"}
        )
        assert response.status_code == 302, response.content.decode()[-3000:]
        (operation,) = work()
        assert operation.state == OperationState.SUCCEEDED, operation.error
        dataset.refresh_from_db()
        assert dataset.example_count == len(head(dataset))
        return Change.objects.order_by("-pk")[0]

    return send


@pytest.fixture
def undo(rob, project, work):
    def send(change: Change) -> Change:
        assert rob.post(url("undo_change", project, change.pk)).status_code == 302
        (operation,) = work()
        assert operation.state == OperationState.SUCCEEDED, operation.error
        change.refresh_from_db()
        assert change.state == ChangeState.UNDONE
        return change

    return send


def test_a_text_is_replaced_where_it_was_said_and_put_back(dataset, apply, undo, rob, project):
    before, ids = contents(dataset), [each.pk for each in head(dataset)]
    change = apply(dataset, "answer=bug", action="replace", find="bug", replacement="defect", place="answers")
    assert (change.row_count, change.skipped_count) == (4, 0)
    assert contents(dataset) == [[asked, "defect" if said == "bug" else said] for asked, said in before]
    assert [each.key for each in head(dataset)] == ids
    page = rob.get(url("change", project, change.pk)).content.decode()
    assert "<ins>defect</ins>" in page
    assert "defect" in page
    undo(change)
    assert [each.pk for each in head(dataset)] == ids
    actions = Counter(AuditEvent.objects.values_list("action", flat=True))
    assert (actions["rows.changed"], actions["rows.change_undone"]) == (1, 1)


def test_rows_that_would_break_are_left_alone_and_counted(dataset, apply):
    change = apply(dataset, action="replace", find="bug", replacement="", place="everywhere")
    assert (change.row_count, change.refused_count) == (0, 4)
    assert Counter(said for _, said in contents(dataset))["bug"] == 4


def test_the_preview_changes_nothing_and_shows_what_would_happen(dataset, rob, project):
    place = url("change_rows", project, dataset.pk)
    response = rob.post(
        f"{place}?answer=bug",
        {"action": "replace", "find": "late", "replacement": "early", "place": "questions"},
    )
    page = response.content.decode()
    assert response.context["matching"] == 4
    assert response.context["touched"] == 4
    assert "<ins>early</ins>" in page
    assert not Change.objects.exists()
    tagged = rob.post(place, {"action": "tag", "tag": "check"})
    assert tagged.context["touched"] == 12


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "replace", "find": ""},
        {"action": "replace", "find": "a", "replacement": "a"},
        {"action": "tag", "tag": ""},
        {"action": "set_system", "text": ""},
        {"action": "drop_table"},
        {"action": "bring_back"},
    ],
)
def test_a_form_that_makes_no_sense_comes_back(fields, dataset, rob, project):
    response = rob.post(url("change_rows", project, dataset.pk), fields | {"confirmed": "yes"})
    assert response.status_code == 422
    assert not Change.objects.exists()


def test_the_system_prompt_is_set_and_taken_out(dataset, apply, undo):
    first = apply(dataset, action="set_system", text="Sort the ticket.")
    assert first.row_count == 12
    assert {each[0] for each in contents(dataset)} == {"Sort the ticket."}
    again = apply(dataset, action="set_system", text="Sort the ticket.")
    assert (again.row_count, again.skipped_count) == (0, 12)
    assert apply(dataset, action="strip_system").row_count == 12
    assert {len(each) for each in contents(dataset)} == {2}


def test_tags_are_added_once_and_taken_off(dataset, apply, undo, rob, project):
    first = apply(dataset, "answer=bug", action="tag", tag="check")
    second = apply(dataset, action="tag", tag="check")
    assert (first.row_count, second.row_count) == (4, 8)
    off = apply(dataset, "tag=check&answer=access", action="untag", tag="check")
    assert off.row_count == 4
    undo(off)
    undo(second)
    assert [each.payload["messages"][1]["content"] for each in head(dataset) if "check" in each.tags] == [
        "bug"
    ] * 4


def test_rows_are_removed_listed_and_brought_back(dataset, apply, undo, people):
    keys = [each.key for each in head(dataset)]
    change = apply(dataset, f"row={keys[0]}&row={keys[5]}", action="remove")
    assert change.row_count == 2
    assert [each.key for each in head(dataset)] == keys[1:5] + keys[6:]
    back = apply(dataset, "state=removed", action="bring_back")
    assert back.row_count == 2
    assert [each.key for each in head(dataset)] == keys
    undo(back)
    assert len(head(dataset)) == 10
    undo(change)
    assert [each.key for each in head(dataset)] == keys


def test_undoing_leaves_alone_what_was_changed_since(dataset, apply, undo, people, rob, project):
    change = apply(dataset, action="replace", find="late", replacement="early", place="everywhere")
    changed = head(dataset)
    row_remove(example=changed[3], actor=people.rob)
    undone = undo(change)
    assert undone.kept_count == 1
    assert len(head(dataset)) == 11
    assert all("late" in asked for asked, _ in contents(dataset))
    assert "1 row had been changed again" in rob.get(url("change", project, change.pk)).content.decode()
    assert rob.post(url("undo_change", project, change.pk)).status_code == 409


def test_another_dataset_is_merged_in_without_its_duplicates(
    dataset, dataset_of, upload, commit, rob, project, work, undo
):
    other = commit(
        upload(tickets(12) + lines(row("New?"), row("New?")), name="more.jsonl"), duplicates="keep"
    ).dataset
    assert rob.get(url("merge", project, dataset.pk)).status_code == 200
    response = rob.post(url("merge", project, dataset.pk), {"other": other.pk, "duplicates": "drop"})
    assert response.status_code == 302
    assert [operation.state for operation in work()] == [OperationState.SUCCEEDED]
    dataset.refresh_from_db()
    assert dataset.example_count == 13
    added = head(dataset)[-1]
    assert added.source is not None
    assert (added.line, added.source.file_name) == (13, "more.jsonl")
    change = Change.objects.order_by("-pk")[0]
    assert change.row_count == 1
    undo(change)
    dataset.refresh_from_db()
    assert dataset.example_count == 12
    foreign = rob.post(url("merge", project, dataset.pk), {"other": dataset.pk, "duplicates": "drop"})
    assert foreign.status_code == 422


def test_a_restored_version_freezes_to_the_same_hash(dataset, freeze, apply, undo, rob, project, work):
    first = freeze(dataset)
    apply(dataset, "answer=bug", action="replace", find="bug", replacement="defect", place="answers")
    apply(dataset, "answer=access", action="remove")
    second = freeze(dataset, train_percent=90, test_percent=0)  # what it tested on would stay in test
    assert second.row_count == 8
    rob.post(url("restore_version", project, first.pk))
    assert [operation.state for operation in work()] == [OperationState.SUCCEEDED]
    dataset.refresh_from_db()
    assert dataset.example_count == 12
    third = freeze(dataset)
    assert third.number == 3
    assert third.manifest_hash == first.manifest_hash
    restore = Change.objects.order_by("-pk")[0]
    undo(restore)
    assert sorted(each.pk for each in head(dataset)) == sorted(
        second.rows.values_list("example_id", flat=True)
    )


def test_a_cancelled_change_changes_nothing_and_can_be_repeated(dataset, rob, project, people, work):
    rob.post(url("change_rows", project, dataset.pk), {"action": "remove", "confirmed": "yes"})
    operation_cancel(operation=Operation.objects.order_by("-pk")[0], by=people.rob)
    change = Change.objects.get()
    assert (change.state, len(head(dataset))) == (ChangeState.FAILED, 12)
    assert "No row was changed" in rob.get(url("change", project, change.pk)).content.decode()
    rob.post(url("repeat_change", project, change.pk))
    work()
    change.refresh_from_db()
    assert (change.state, change.row_count, len(head(dataset))) == (ChangeState.DONE, 12, 0)


def test_running_a_done_change_again_does_nothing(dataset, apply, work):
    change = apply(dataset, "answer=bug", action="remove")
    operation = Operation.objects.order_by("-pk")[0]
    Operation.objects.filter(pk=operation.pk).update(state=OperationState.QUEUED)
    work()
    change.refresh_from_db()
    assert (change.row_count, len(head(dataset))) == (4, 8)


def test_edits_of_messages_leave_everything_else_as_it_was():
    whole: dict[str, Any] = {
        "id": 7,
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "be"},
            {"role": "assistant", "content": "be", "weight": 0},
        ],
    }
    edited = replace_text(whole, find="be", replacement="is", place="answers")
    assert edited == whole | {
        "messages": [*whole["messages"][:2], {"role": "assistant", "content": "is", "weight": 0}]
    }
    assert replace_text(whole, find="Be", replacement="is", place="questions") is None
    assert set_system_prompt(whole, text="Be kind.") is None
    stripped = strip_system_prompt(whole)
    assert stripped == whole | {"messages": whole["messages"][1:]}
    assert strip_system_prompt(stripped) is None
    assert set_system_prompt(stripped, text="Be kind.") == whole
