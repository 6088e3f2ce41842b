"""From the upload in the browser to the commit, through the pages and the operation that a worker runs."""

import bz2
import codecs
import gzip
import json
from threading import Thread

import pytest
from django.db import connection
from django.test import override_settings

from apps.datasets.models import Dataset, Example, Import, ImportProblem, ImportRow, ImportState
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_cancel
from tests.datasets.conftest import as_file, lines, raw_rows, row, tickets, url

pytestmark = pytest.mark.django_db
commits = pytest.mark.django_db(
    transaction=True
)  # progress of a commit is written on a connection of its own


def page_of(client, record: Import) -> str:
    response = client.get(record.get_absolute_url())
    assert response.status_code == 200
    page: str = response.content.decode()
    return page


@commits
def test_a_good_file_is_checked_shown_and_committed(upload, commit, rob, vic):
    content = tickets(30)
    record = upload(content, name="October tickets.jsonl")
    assert (record.state, record.row_count, record.problem_count) == (ImportState.CHECKED, 30, 0)
    assert record.dataset.name == "October tickets"
    assert not Example.objects.exists()
    page = page_of(rob, record)
    assert "All 30 rows passed" in page
    assert "Ticket 0: my order is late" in page

    commit(record)
    assert record.state == ImportState.COMMITTED
    assert record.added_count == 30
    assert raw_rows(record.dataset) == content.splitlines()
    assert Dataset.objects.get().example_count == 30
    assert not ImportRow.objects.exists()
    example = Example.objects.order_by("pk")[0]
    assert (example.line, example.source_id, example.text) == (
        1,
        record.pk,
        "Ticket 0: my order is late\nbilling",
    )
    assert "30 rows added to October tickets" in page_of(vic, record)


FILE_PROBLEMS = {
    "bad_header": b"text,text\nhello,billing\n" * 5000,
    "compressed_file": bz2.compress(tickets(10)),
    "damaged_archive": gzip.compress(tickets(10))[:-9],
    "utf16_file": tickets(3).decode().encode("utf-16"),
    "indented_json_file": json.dumps(row("a"), indent=2).encode(),
    "not_json_lines": b"hello\nworld\n",
    "empty_file": b"\n\r\n  \n",
}


@pytest.mark.parametrize("code", FILE_PROBLEMS)
def test_a_file_of_another_kind_is_one_problem_not_thousands(code, upload, rob, project):
    record = upload(FILE_PROBLEMS[code])
    assert record.problem_counts == {code: 1}
    assert record.row_count == 0
    problem = ImportProblem.objects.get()
    page = page_of(rob, record)
    assert "Nothing in this file can be imported" in page
    assert problem.message.split("{")[0].split("'")[0] in page
    assert ">Commit<" not in page
    response = rob.post(url("commit", project, record.pk), {"duplicates": "keep"})
    assert response.status_code == 409


def test_an_empty_file_is_refused_and_the_form_comes_back(rob, project):
    file = as_file(b"", "empty.jsonl")
    response = rob.post(url("upload", project), {"file": file, "name": "My data"})
    assert response.status_code == 422
    assert "The file is empty" in response.content.decode()
    assert "My data" in response.content.decode()
    assert not Import.objects.exists()


# name -> (line, code, the byte of the file at which it is)
GOOD = json.dumps(row("fine")).encode()
BAD_LINES = {
    "not_utf8": (b'{"messages": "caf\xe9"}', len(b'{"messages": "caf')),
    "nul_character": (b'{"messages": "a\x00"}', len(b'{"messages": "a')),
    "lone_surrogate": (json.dumps(row("cut \ud83d")).encode(), 0),
    "line_too_long": (json.dumps(row("x" * 10_000_000)).encode(), 0),
    "cut_json": (GOOD[:-10], None),
    "not_json": (b'{"messages": oops}', len(b'{"messages": ')),
    "not_an_object": (b"[1]", 0),
    "not_a_number": (b'{"messages": [], "score": NaN}', 0),
    "duplicate_key": (b'{"messages": [], "messages": []}', 0),
    "unknown_role": (GOOD.replace(b"user", b"human"), 0),
    "no_answer": (b'{"messages": [{"role": "user", "content": "a"}]}', 0),
    "empty_answer": (json.dumps(row("a", " \t")).encode(), 0),
    "answer_not_last": (
        json.dumps({"messages": [*row("a")["messages"], {"role": "user", "content": "b"}]}).encode(),
        0,
    ),
    "role_order": (json.dumps({"messages": row("a")["messages"][1:]}).encode(), 0),
    "content_not_text": (GOOD.replace(b'"fine"', b"42"), 0),
}


@pytest.mark.parametrize("code", BAD_LINES)
@commits
def test_a_bad_line_is_reported_where_it_is_and_the_others_pass(code, upload, commit, rob, project):
    bad, byte = BAD_LINES[code]
    first, last = json.dumps(row("first")).encode(), json.dumps(row("last")).encode()
    record = upload(first + b"\r\n\n" + bad + b"\n" + last)
    assert (record.row_count, record.problem_counts, record.line_count) == (2, {code: 1}, 4)
    problem = ImportProblem.objects.get()
    start = len(first) + 3
    assert problem.line == 3
    if byte is not None:
        assert problem.byte_offset == start + byte
    page = page_of(rob, record)
    assert "2 rows passed" in page
    response = rob.get(url("rejected_lines", project, record.pk))
    assert response.getvalue() == bad + b"\n"
    staged = ImportRow.objects.order_by("line").values_list("line", "raw")
    assert [(line, bytes(raw)) for line, raw in staged] == [(1, first), (4, last)]


@commits
def test_a_byte_order_mark_is_passed_over_and_noted(upload, commit, rob):
    record = upload(codecs.BOM_UTF8 + GOOD + b"\n")
    assert (record.row_count, record.problem_count, record.has_byte_order_mark) == (1, 0, True)
    assert "byte order mark" in page_of(rob, record)
    commit(record)
    assert raw_rows(record.dataset) == [GOOD]


def test_a_hundred_thousand_problems_are_counted_but_only_some_are_kept(upload, rob, project):
    bad = b'{"messages": "a"}\n'
    record = upload(bad * 5000 + GOOD + b"\n")
    assert record.problem_counts == {"no_messages": 5000}
    assert ImportProblem.objects.count() == 2000
    assert "it must be a list of messages" in page_of(rob, record)
    rejected = rob.get(url("rejected_lines", project, record.pk)).getvalue()
    assert rejected == bad * 5000


def test_problems_are_filtered_by_code_and_paged(upload, vic):
    record = upload(b"{}\n" * 60 + b'{"messages": []\n' + GOOD)
    page = vic.get(record.get_absolute_url(), {"code": "cut_json"}).content.decode()
    assert "ends in the middle of its JSON" in page
    assert "The object has no" not in page
    second = vic.get(
        record.get_absolute_url(), {"code": "no_messages", "after": ImportProblem.objects.all()[49].pk}
    )
    assert second.context["page"].rows[0].line == 51
    assert len(second.context["page"].rows) == 10


@commits
def test_the_same_file_again_is_recognised_and_adds_nothing(upload, commit, rob, project):
    content = tickets(12)
    first = commit(upload(content))
    again = upload(content, name="copy.jsonl", dataset=first.dataset)
    assert again.blob_id == first.blob_id
    assert (again.row_count, again.already_in_dataset, again.new_count) == (12, 12, 0)
    page = page_of(rob, again)
    assert "All rows are in the dataset already" in page
    assert "This very file was uploaded before" in page
    refused = rob.post(url("commit", project, again.pk), {"duplicates": "drop"})
    assert refused.status_code == 409
    assert "nothing to add" in refused.content.decode()
    commit(again, duplicates="keep")
    assert Dataset.objects.get().example_count == 24


@pytest.mark.parametrize(
    ("choice", "expected"), [("drop", ["a", "b", "c"]), ("keep", ["a", "b", "a", "c", "b", "b"])]
)
@commits
def test_duplicates_in_the_file_are_dropped_or_kept(choice, expected, upload, commit):
    record = upload(
        lines(row("a"), row("b"), row("a", metadata={"other": 1}), row("c"), row("b"), row("b", extra=True))
    )
    assert (record.row_count, record.repeated_in_file, record.new_count) == (6, 3, 3)
    assert record.duplicate_sample == [
        {"line": 3, "first_line": 1},
        {"line": 5, "first_line": 2},
        {"line": 6, "first_line": 2},
    ]
    commit(record, duplicates=choice)
    assert [json.loads(raw)["messages"][0]["content"] for raw in raw_rows(record.dataset)] == expected
    assert record.added_count == len(expected)


@commits
def test_duplicates_are_dropped_over_the_steps_of_a_commit(upload, commit, monkeypatch):
    # The size alone, so that a small file takes several steps.
    monkeypatch.setattr("apps.datasets.services.import_committing.LINES_A_STEP", 4)
    record = upload(lines(*(row(f"ticket {i % 5}") for i in range(23))))
    commit(record)
    assert record.added_count == 5
    assert list(Example.objects.order_by("pk").values_list("line", flat=True)) == [1, 2, 3, 4, 5]


@commits
def test_two_files_with_the_same_rows_commit_them_once(upload, rob, project, work):
    dataset = upload(tickets(1)).dataset
    one, two = upload(tickets(9), dataset=dataset), upload(b"\n" + tickets(9), dataset=dataset)
    for record in (one, two):
        rob.post(url("commit", project, record.pk), {"duplicates": "drop"})
    assert [operation.state for operation in work()] == [OperationState.SUCCEEDED] * 2
    assert Example.objects.count() == 9


def test_discarding_the_only_file_of_a_new_dataset_takes_the_dataset_along(upload, rob, project):
    record = upload(tickets(5))
    page = rob.post(url("discard", project, record.pk), follow=True).content.decode()
    assert "No data yet" in page
    assert not Dataset.objects.exists()


def test_discarding_leaves_the_dataset_as_it_was(upload, rob, project):
    record = upload(tickets(5), dataset=upload(tickets(2)).dataset)
    response = rob.post(url("discard", project, record.pk))
    assert response.status_code == 302
    record.refresh_from_db()
    assert record.state == ImportState.DISCARDED
    assert ImportRow.objects.count() == 2
    assert "This import was discarded" in page_of(rob, record)
    assert not Example.objects.exists()
    assert rob.post(url("commit", project, record.pk), {"duplicates": "drop"}).status_code == 409


@pytest.mark.django_db(transaction=True)
def test_a_cancelled_check_goes_on_where_it_stopped(rob, project, people, work, monkeypatch):
    # The size alone, so that the check can be stopped between two batches.
    monkeypatch.setattr("apps.datasets.services.import_checking.BATCH_ROWS", 10)
    rob.post(url("upload", project), {"file": as_file(tickets(4000))})
    operation, record = Operation.objects.get(), Import.objects.get()

    def cancel_once_rows_are_staged() -> None:
        try:
            while not Import.objects.get().row_count:
                pass
            operation_cancel(operation=operation, by=people.rob)
        finally:
            connection.close()

    somebody = Thread(target=cancel_once_rows_are_staged)
    somebody.start()
    (ended,) = work()
    somebody.join()
    assert ended.state == OperationState.CANCELLED
    record.refresh_from_db()
    assert record.state == ImportState.FAILED
    assert 0 < record.row_count < 4000
    assert ImportRow.objects.count() == record.row_count
    assert "Go on checking" in page_of(rob, record)
    assert rob.post(url("check_again", project, record.pk)).status_code == 302
    (ended,) = work()
    assert ended.state == OperationState.SUCCEEDED
    record.refresh_from_db()
    assert (record.state, record.row_count, record.line_count) == (ImportState.CHECKED, 4000, 4000)
    assert list(ImportRow.objects.order_by("line").values_list("line", flat=True)) == list(range(1, 4001))


@commits
def test_work_done_already_is_not_done_again(upload, commit, work):
    record = commit(upload(tickets(7)))
    for operation in Operation.objects.all():
        Operation.objects.filter(pk=operation.pk).update(state=OperationState.QUEUED)
    assert {operation.state for operation in work()} == {OperationState.SUCCEEDED}
    assert Example.objects.count() == 7
    record.refresh_from_db()
    assert (record.state, record.row_count) == (ImportState.COMMITTED, 7)


def test_a_file_over_the_limit_is_refused(rob, project):
    file = as_file(tickets(50), "tickets.jsonl")
    with override_settings(FTPORTAL_UPLOAD_LIMIT=1000):
        response = rob.post(url("upload", project), {"file": file})
    assert response.status_code == 422
    assert "Split it" in response.content.decode()
    assert not Import.objects.exists()


def test_a_name_that_is_taken_keeps_the_form(upload, rob, project):
    upload(tickets(2))
    file = as_file(tickets(2), "tickets.jsonl")
    response = rob.post(url("upload", project), {"file": file})
    assert response.status_code == 422
    assert "has a dataset “tickets” already" in response.content.decode()


def test_the_file_comes_back_byte_for_byte(upload, vic, project):
    content = codecs.BOM_UTF8 + tickets(3) + b"broken\r\n\xff"
    record = upload(content)
    response = vic.get(url("original_file", project, record.pk))
    assert response.getvalue() == content
    assert response["Content-Disposition"] == 'attachment; filename="tickets.jsonl"'


def test_file_names_lose_folders_and_control_characters(upload):
    assert upload(tickets(1), name="..\\..\\evil\n<b>.jsonl").file_name == "evil<b>.jsonl"
