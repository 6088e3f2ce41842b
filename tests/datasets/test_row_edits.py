"""Editing single rows: through the page, with its checks, its history and what happens when two people edit at once."""

import json

import pytest
from django.db import IntegrityError, connection, transaction

from apps.audit.models import AuditEvent
from apps.datasets.models import Change, ChangeState, Dataset, Example
from apps.datasets.row_drafts import draft_from, draft_of, raw_of, rearranged
from apps.operations.models import OperationState
from tests.datasets.conftest import lines, row, tickets, url

pytestmark = pytest.mark.django_db(transaction=True)

TOOL_ROW = {
    "tools": [{"type": "function", "function": {"name": "look_up", "description": "Finds an order"}}],
    "messages": [
        {"role": "system", "content": "Help.\r\nBe brief."},
        {"role": "user", "content": "Where is order 7?"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"n": 7}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": '{"state": "sent"}'},
        {"role": "assistant", "content": "It was sent.", "weight": 1},
    ],
}


def form_of(example: Example, **changed: str) -> dict[str, object]:
    """What the page would send, with the text of some messages changed: `content_1="…"`."""
    draft = draft_of(example.payload)
    contents = [turn.content for turn in draft.turns]
    for name, text in changed.items():
        contents[int(name.rpartition("_")[2])] = text
    return {
        "role": [turn.role for turn in draft.turns],
        "content": contents,
        "extra": [turn.extra for turn in draft.turns],
        "others": draft.others,
    }


@pytest.fixture
def dataset(dataset_of) -> Dataset:
    made: Dataset = dataset_of(tickets(6))
    return made


def head(dataset: Dataset) -> list[Example]:
    return list(Example.objects.filter(dataset=dataset, removed_at=None).order_by("key"))


def test_an_edit_makes_a_form_that_replaces_the_old_one(dataset, freeze, rob, vic, project):
    version = freeze(dataset)
    old = head(dataset)[2]
    response = rob.post(url("edit_row", project, old.pk), form_of(old, content_1="access, please"))
    assert response.status_code == 302
    old.refresh_from_db()
    new = head(dataset)[2]  # it keeps its place
    assert (new.key, new.row, new.replaces_id, new.line, new.source_id) == (
        old.key,
        old.pk,
        old.pk,
        old.line,
        old.source_id,
    )
    assert new.payload["messages"][1]["content"] == "access, please"
    assert new.payload["metadata"] == old.payload["metadata"]
    assert new.created_by is not None
    assert new.created_by.email == "rob@example.org"
    assert old.removed_at is not None
    dataset.refresh_from_db()
    assert dataset.example_count == 6
    assert old.pk in version.rows.values_list("example_id", flat=True)
    history = vic.get(url("example", project, new.pk), {"tab": "history"}).content.decode()
    assert "<ins>access, please</ins>" in history
    assert "<del>bug</del>" in history
    assert "Rob" in history
    assert AuditEvent.objects.filter(action="row.edited", target_id=str(new.pk)).exists()


def test_a_row_that_is_sent_back_unchanged_stays_the_same_form(dataset_of, rob, project):
    dataset = dataset_of(lines(TOOL_ROW, row("a", weight=1e2, n=[1, 2.50])))
    for example in head(dataset):
        assert rob.post(url("edit_row", project, example.pk), form_of(example)).status_code == 302
    assert Example.objects.filter(dataset=dataset).count() == 2
    page = rob.get(url("example", project, head(dataset)[0].pk)).content.decode()
    assert "look_up" in page
    assert "Finds an order" in page
    assert "answers c1" in page


def test_one_changed_message_leaves_the_others_as_they_were(dataset_of, rob, project):
    dataset = dataset_of(lines(TOOL_ROW))
    old = head(dataset)[0]
    rob.post(url("edit_row", project, old.pk), form_of(old, content_4="It is on its way."))
    expected = json.loads(json.dumps(TOOL_ROW))
    expected["messages"][4]["content"] = "It is on its way."
    new = json.loads(bytes(head(dataset)[0].raw))
    assert new == expected
    assert list(new) == list(TOOL_ROW)


@pytest.mark.parametrize(
    ("changed", "words"),
    [({"content_1": "  "}, "answer is empty"), ({"content_0": ""}, "message is empty")],
)
def test_a_row_that_would_not_pass_an_import_is_not_saved(changed, words, dataset, rob, project):
    old = head(dataset)[0]
    response = rob.post(url("edit_row", project, old.pk), form_of(old, **changed))
    assert response.status_code == 422
    assert words in response.content.decode()
    assert Example.objects.filter(dataset=dataset).count() == 6


def test_broken_json_beside_a_message_comes_back_with_the_text(dataset, rob, project):
    old = head(dataset)[0]
    sent = form_of(old, content_1="changed") | {"extra": ["", '{"weight": '], "others": "[]"}
    response = rob.post(url("edit_row", project, old.pk), sent)
    page = response.content.decode()
    assert response.status_code == 422
    assert "no valid JSON" in page
    assert "must be an object" in page
    assert "changed" in page


def test_messages_are_added_moved_and_deleted_without_saving(dataset, rob, project):
    old = head(dataset)[0]
    sent = form_of(old)
    page = rob.post(url("edit_row", project, old.pk), sent | {"do": "add:1"})
    assert [turn.role for turn in page.context["draft"].turns] == ["user", "assistant", "user"]
    page = rob.post(url("edit_row", project, old.pk), sent | {"do": "down:0"})
    assert [turn.role for turn in page.context["draft"].turns] == ["assistant", "user"]
    page = rob.post(url("edit_row", project, old.pk), sent | {"do": "delete:0"})
    assert [turn.role for turn in page.context["draft"].turns] == ["assistant"]
    draft = draft_of(old.payload)
    for step in ("up:0", "down:1", "up:9", "delete:x", "nonsense"):
        assert rearranged(draft, step) == draft
    assert Example.objects.filter(dataset=dataset).count() == 6


def test_the_second_of_two_editors_sees_both_texts_and_overwrites_nothing(
    dataset, rob, client_of, people, project
):
    old = head(dataset)[0]
    sent = form_of(old, content_1="mine")
    client_of(people.lea).post(url("edit_row", project, old.pk), form_of(old, content_1="theirs"))
    response = rob.post(url("edit_row", project, old.pk), sent)
    page = response.content.decode()
    assert response.status_code == 409
    assert "Lea" in page
    assert "<del>theirs</del>" in page
    assert "<ins>mine</ins>" in page
    assert head(dataset)[0].payload["messages"][1]["content"] == "theirs"
    # Sent again to the address that the form now has, it replaces the form that was looked at.
    assert rob.post(response.context["action"], sent).status_code == 302
    assert head(dataset)[0].payload["messages"][1]["content"] == "mine"
    assert Example.objects.filter(dataset=dataset, removed_at=None).count() == 6


def test_a_row_removed_meanwhile_is_a_conflict(dataset, rob, project):
    old = head(dataset)[0]
    rob.post(url("remove_row", project, old.pk), {"reason": "It is spam"})
    dataset.refresh_from_db()
    assert dataset.example_count == 5
    response = rob.post(url("edit_row", project, old.pk), form_of(old, content_1="mine"))
    assert response.status_code == 409
    assert "was removed" in response.content.decode()
    assert rob.post(url("remove_row", project, old.pk)).status_code == 409
    history = rob.get(url("example", project, old.pk), {"tab": "history"}).content.decode()
    assert "It is spam" in history


def test_a_removed_row_is_brought_back_and_an_old_form_used_again(dataset, rob, project):
    old = head(dataset)[0]
    rob.post(url("remove_row", project, old.pk))
    rob.post(url("bring_back_row", project, old.pk))
    assert head(dataset)[0].pk == old.pk
    rob.post(url("edit_row", project, old.pk), form_of(old, content_1="second"))
    assert rob.post(url("bring_back_row", project, old.pk)).status_code == 302
    current = head(dataset)[0]
    assert current.pk != old.pk
    assert bytes(current.raw) == bytes(old.raw)
    assert current.key == old.key
    dataset.refresh_from_db()
    assert dataset.example_count == 6
    assert rob.post(url("bring_back_row", project, current.pk)).status_code == 409


def test_a_row_is_written_by_hand_and_checked_too(dataset, rob, project):
    place = url("add_row", project, dataset.pk)
    sent = {"role": ["user", "assistant"], "content": ["Hello", ""], "extra": ["", ""], "others": ""}
    assert rob.post(place, sent).status_code == 422
    sent["content"] = ["Hello", "access"]
    assert rob.post(place, sent).status_code == 302
    made = head(dataset)[-1]
    assert (made.source_id, made.line, made.replaces_id) == (None, None, None)
    assert "Written here" in rob.get(url("example", project, made.pk)).content.decode()
    dataset.refresh_from_db()
    assert dataset.example_count == 7


def test_tags_of_a_row_are_set_and_offered(dataset, rob, project):
    old = head(dataset)[0]
    rob.post(url("tag_row", project, old.pk), {"tags": "edge  case, checked,"})
    old.refresh_from_db()
    dataset.refresh_from_db()
    assert old.tags == ["checked", "edge case"]
    assert dataset.tag_names == ["checked", "edge case"]
    assert rob.post(url("tag_row", project, old.pk), {"tags": "x" * 41}).status_code == 400
    rob.post(url("edit_row", project, old.pk), form_of(old, content_1="new"))
    assert head(dataset)[0].tags == ["checked", "edge case"]


def test_a_single_edit_is_undone_from_its_change(dataset, rob, project, work):
    old = head(dataset)[0]
    rob.post(url("edit_row", project, old.pk), form_of(old, content_1="new"))
    change = Change.objects.get()
    assert rob.post(url("undo_change", project, change.pk)).status_code == 302
    assert [operation.state for operation in work()] == [OperationState.SUCCEEDED]
    change.refresh_from_db()
    assert (change.state, change.kept_count) == (ChangeState.UNDONE, 0)
    assert [form.pk for form in head(dataset)][0] == old.pk


def test_the_database_lets_one_form_of_a_row_stand(dataset, rob, project):
    old = head(dataset)[0]
    rob.post(url("edit_row", project, old.pk), form_of(old, content_1="new"))
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE datasets_example SET removed_at = NULL WHERE id = %s", [old.pk])


def test_viewers_see_the_history_and_change_nothing(dataset, vic, project):
    old = head(dataset)[0]
    for name in ("remove_row", "bring_back_row", "tag_row", "edit_row"):
        assert vic.post(url(name, project, old.pk)).status_code == 403
    assert vic.get(url("example", project, old.pk), {"tab": "raw"}).status_code == 200


def test_texts_with_other_line_ends_survive_a_form():
    payload = {"messages": [{"role": "user", "content": "a\r\nb"}, {"role": "assistant", "content": "c\nd"}]}
    sent = draft_from(["user", "assistant"], ["a\r\nb", "c\r\nd"], ["", ""], "")
    assert raw_of(sent, payload, b"as before") == b"as before"
