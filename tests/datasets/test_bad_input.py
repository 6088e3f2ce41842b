"""Files that are made to hurt, work that is stopped anywhere, people who do the same at once.

Each ends in a sentence for the person, with the data as it was before.
"""

import gzip
import html
import io
import zipfile
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pyarrow
import pytest
import zstandard
from django.db import connection
from pyarrow import parquet

from apps.datasets.manifest import manifest_hash
from apps.datasets.models import (
    Change,
    CheckReport,
    Dataset,
    Example,
    Finding,
    Import,
    ImportProblem,
    ImportRow,
    ImportState,
    Version,
    VersionRow,
    VersionState,
)
from apps.datasets.row_filters import RowFilter
from apps.datasets.selectors import head_of, version_manifest_rows
from apps.datasets.services import change_request
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_run
from tests.datasets.conftest import as_file, lines, row, tickets, url

pytestmark = pytest.mark.django_db(transaction=True)
SHARES = {"train_percent": 80, "validation_percent": 10, "test_percent": 10, "seed": 42}


@pytest.fixture
def dataset(dataset_of) -> Dataset:
    made: Dataset = dataset_of(tickets(30))
    return made


def standing(dataset: Dataset) -> tuple[int, list[tuple[int, str, list[str]]]]:
    """All that a person would call the data."""
    dataset.refresh_from_db()
    rows = head_of(dataset).order_by("pk").values_list("pk", "content_hash", "tags")
    return dataset.example_count, list(rows)


# --- Files ----------------------------------------------------------------------------------------------------


def zip_bomb() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.jsonl", b'{"split":"train"}\n' * 30_000)
        archive.writestr("data/train.jsonl", (b" " * 999 + b"\n") * 30_000)
    return sink.getvalue()


def parquet_bomb() -> bytes:
    texts = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([0] * 2000, pyarrow.int32()), pyarrow.array(["a" * 100_000])
    )
    sink = io.BytesIO()
    parquet.write_table(pyarrow.table({"text": texts, "label": ["b"] * 2000}), sink, store_schema=False)
    return sink.getvalue()


BOMBS = {
    "rows.jsonl.gz": lambda: gzip.compress(b" " * 30_000_000),
    "rows.jsonl.zst": lambda: zstandard.compress(b" " * 30_000_000),
    "rows.jsonl.gz.gz": lambda: gzip.compress(gzip.compress(b" " * 30_000_000)),
    "export.zip": zip_bomb,
    "rows.parquet": parquet_bomb,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_in_a_sentence(name, dataset, rob, project, work, settings):
    settings.FTPORTAL_EXPANSION_LIMIT = 5_000_000
    before = standing(dataset)
    response = rob.post(url("upload", project), {"file": as_file(BOMBS[name](), name), "dataset": dataset.pk})
    record = Import.objects.order_by("-pk")[0]
    if record.state == ImportState.UNMAPPED:
        fields = {"preset": "template", "prompt": "{{text}}", "answer": "{{label}}", "check": "1"}
        rob.post(response["Location"], fields | {"shown": "template"})
    (operation,) = work()
    assert operation.state == OperationState.SUCCEEDED, operation.error
    record.refresh_from_db()
    page = rob.get(record.get_absolute_url()).content.decode()
    problem = ImportProblem.objects.get(import_record=record)
    assert problem.code in ("expands_too_far", "compressed_file"), problem
    assert html.escape(problem.message) in page
    assert record.problem_count >= 1
    assert record.row_count == 0
    assert standing(dataset) == before


def test_a_table_with_ragged_rows_and_quotes_across_lines(upload, commit, rob, project):
    table = (
        b"text,label\r\n"
        b'"First line\nsecond ""quoted"" line\r\n\r\nlast",multi\r\n'
        b"one field\r\n"
        b"one,two,three\r\n"
        b"plain,good\r\n"
        b'stray "quote" inside,good\r\n'
        b'"closed" and more,bad\r\n'
        b'"never closed,good\r\n'
        b"after,good\r\n"
    )
    record = upload(table, name="odd.csv", preset="template", prompt="{{text}}", answer="{{label}}")
    assert set(record.problem_counts) <= {"ragged_row", "unclosed_quote", "bad_quotes", "open_quote"}
    assert record.problem_counts["ragged_row"] == 2
    commit(record)
    asked = [
        example.payload["messages"][0]["content"] for example in head_of(record.dataset).order_by("line")
    ]
    assert asked[:2] == ['First line\nsecond "quoted" line\r\n\r\nlast', "plain"]
    assert "after" in asked
    rejected = rob.get(url("rejected_lines", project, record.pk)).getvalue()
    mended = rejected.replace(b"one field\r\n", b"one field,good\r\n").replace(
        b"one field\n", b"one field,good\n"
    )
    assert b"one field,good" in mended
    again = upload(
        mended,
        name="mended.csv",
        dataset=record.dataset,
        preset="template",
        prompt="{{text}}",
        answer="{{label}}",
    )
    assert again.row_count >= 1


def test_a_parquet_file_with_nested_types(upload, commit):
    turn = pyarrow.struct(
        [("role", pyarrow.string()), ("content", pyarrow.string()), ("weight", pyarrow.int8())]
    )
    table = pyarrow.table(
        {
            "messages": pyarrow.array(
                [
                    [
                        {"role": "user", "content": "a", "weight": None},
                        {"role": "assistant", "content": "b", "weight": 1},
                    ],
                    [{"role": "user", "content": "no answer", "weight": None}],
                    None,
                ],
                pyarrow.list_(turn),
            ),
            "about": pyarrow.array(
                [{"tags": ["x", "y"], "counts": [("n", 1)]}, None, None],
                pyarrow.struct(
                    [
                        ("tags", pyarrow.list_(pyarrow.string())),
                        ("counts", pyarrow.map_(pyarrow.string(), pyarrow.int64())),
                    ]
                ),
            ),
        }
    )
    sink = io.BytesIO()
    parquet.write_table(table, sink)
    record = upload(sink.getvalue(), name="nested.parquet")
    assert (record.row_count, record.problem_count) == (1, 2)
    assert set(record.problem_counts) == {"no_answer", "no_messages"}
    commit(record)
    assert Example.objects.get().payload == row("a", "b") | {
        "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": 1}],
        "about": {"tags": ["x", "y"], "counts": {"n": 1}},
    }


def test_ten_thousand_errors_are_counted_and_come_back_to_be_mended(upload, commit, rob, project):
    bad = [
        f'{{"messages": [{{"role": "user", "content": "q{number}"}}]}}\n'.encode() for number in range(10_000)
    ]
    record = upload(lines(row("good", "one")) + b"".join(bad))
    assert (record.row_count, record.problem_count) == (1, 10_000)
    assert record.problem_counts == {"no_answer": 10_000}
    page = rob.get(record.get_absolute_url())
    assert page.status_code == 200
    assert "10\u202f000" in page.content.decode()
    rejected = rob.get(url("rejected_lines", project, record.pk)).getvalue()
    assert rejected == b"".join(bad)
    answer = b', {"role": "assistant", "content": "a"}]}\n'
    mended = b"".join(line[: line.rindex(b"]")] + answer for line in rejected.splitlines(keepends=True))
    again = upload(mended, name="mended.jsonl", dataset=record.dataset)
    assert (again.row_count, again.problem_count) == (10_000, 0)


# --- Cancelled at each phase ------------------------------------------------------------------------------------


@pytest.fixture
def cancel_at():
    """`cancel_at(message)`: the moment work says this, a request to stop is there, as if somebody had pressed the
    button. The database does it, so it comes at that very moment and at no other."""

    def arm(message: str) -> None:
        disarm()
        with connection.cursor() as cursor:
            cursor.execute(
                """
                CREATE FUNCTION cancel_now() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN NEW.cancel_requested_at = now(); RETURN NEW; END $$
                """
            )
            cursor.execute(
                "CREATE TRIGGER cancel_now BEFORE UPDATE ON operations_operation FOR EACH ROW"
                f" WHEN (NEW.state = 'running' AND NEW.message LIKE '{message}%') EXECUTE FUNCTION cancel_now()"
            )

    def disarm() -> None:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER IF EXISTS cancel_now ON operations_operation")
            cursor.execute("DROP FUNCTION IF EXISTS cancel_now()")

    yield arm
    disarm()


def the_cancelled(work) -> Operation:
    *_, operation = work()
    assert operation.state == OperationState.CANCELLED, (operation.state, operation.error)
    found: Operation = operation
    return found


@pytest.mark.parametrize("message", ["Fetching the file", "Reading the file", "Looking for duplicates"])
def test_an_import_cancelled_before_its_commit_goes_on(
    message, dataset, rob, project, work, cancel_at, settings, tmp_path
):
    settings.FTPORTAL_IMPORT_DIRECTORY = str(tmp_path)
    (tmp_path / "more.jsonl").write_bytes(lines(*(row(f"new {number}") for number in range(50))))
    before = standing(dataset)
    rob.post(url("fetch", project), {"place": "more.jsonl", "dataset": dataset.pk})
    record = Import.objects.order_by("-pk")[0]
    cancel_at(message)
    the_cancelled(work)
    record.refresh_from_db()
    assert record.state == ImportState.FAILED
    assert "cancelled" in rob.get(record.get_absolute_url()).content.decode()
    assert standing(dataset) == before
    cancel_at("never")
    rob.post(url("check_again", project, record.pk))
    work()
    record.refresh_from_db()
    assert (record.state, record.row_count) == (ImportState.CHECKED, 50)
    assert ImportRow.objects.filter(import_record=record).count() == 50
    assert standing(dataset) == before


def test_a_cancelled_commit_adds_nothing_and_can_be_repeated(
    dataset, upload, commit, rob, project, work, cancel_at
):
    record = upload(lines(*(row(f"new {number}") for number in range(50))), dataset=dataset)
    before = standing(dataset)
    cancel_at("Adding the rows")
    rob.post(url("commit", project, record.pk), {"duplicates": "drop"})
    the_cancelled(work)
    record.refresh_from_db()
    assert record.state == ImportState.CHECKED
    assert (
        "The commit was cancelled. Nothing was added." in rob.get(record.get_absolute_url()).content.decode()
    )
    assert standing(dataset) == before
    cancel_at("never")
    assert commit(record).added_count == 50


@pytest.mark.parametrize("message", ["Reading rows", "Dividing the rows", "Writing the version"])
def test_a_freezing_cancelled_anywhere_freezes_nothing(message, dataset, rob, project, work, cancel_at):
    before = standing(dataset)
    cancel_at(message)
    rob.post(url("freeze", project, dataset.pk), SHARES)
    the_cancelled(work)
    version = Version.objects.get()
    assert version.state == VersionState.FAILED
    assert not VersionRow.objects.exists()
    assert (
        "The freezing was cancelled. Nothing was frozen."
        in rob.get(version.get_absolute_url()).content.decode()
    )
    assert standing(dataset) == before
    cancel_at("never")
    rob.post(url("freeze_again", project, version.pk))
    work()
    version.refresh_from_db()
    assert (version.state, version.row_count) == (VersionState.FROZEN, 30)


@pytest.mark.parametrize("message", ["Looking at each row", "Comparing the rows", "Size"])
def test_checks_cancelled_anywhere_go_on(message, dataset, rob, project, work, cancel_at):
    before = standing(dataset)
    cancel_at(message)
    rob.post(url("checks", project, dataset.pk))
    the_cancelled(work)
    report = CheckReport.objects.get()
    assert not Finding.objects.exists()
    assert "The checks were cancelled" in rob.get(report.get_absolute_url()).content.decode()
    assert standing(dataset) == before
    cancel_at("never")
    rob.post(url("checks", project, dataset.pk))
    work()
    report.refresh_from_db()
    assert (report.state, report.row_count) == ("done", 30)


def test_a_change_cancelled_in_the_middle_changes_nothing(dataset, people, work, cancel_at):
    before = standing(dataset)
    change_request(
        dataset=dataset,
        action="replace",
        wanted=RowFilter(),
        parameters={"find": "order", "replacement": "parcel"},
        actor=people.rob,
    )
    cancel_at("Changing the rows")
    the_cancelled(work)
    assert Change.objects.get().state == "failed"
    assert standing(dataset) == before


# --- Two people at once -----------------------------------------------------------------------------------------


def at_once(*jobs: Any) -> list[Any]:
    """Each in a thread with a connection of its own; all begin at the same moment."""
    start = Barrier(len(jobs))

    def run(job: Any) -> Any:
        try:
            start.wait()
            return job()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(jobs)) as threads:
        return list(threads.map(run, jobs))


def test_two_people_import_and_freeze_at_once(dataset, upload, rob, client_of, people, project):
    lea = client_of(people.lea)
    shared = [row(f"shared {number}") for number in range(200)]
    ours = upload(lines(*shared, *(row(f"ours {number}") for number in range(100))), dataset=dataset)
    theirs = upload(lines(*(row(f"theirs {number}") for number in range(100)), *shared), dataset=dataset)
    answers = at_once(
        lambda: rob.post(url("commit", project, ours.pk), {"duplicates": "drop"}).status_code,
        lambda: lea.post(url("commit", project, theirs.pk), {"duplicates": "drop"}).status_code,
        lambda: rob.post(url("freeze", project, dataset.pk), SHARES | {"number": 1}).status_code,
        lambda: lea.post(url("freeze", project, dataset.pk), SHARES | {"number": 1}).status_code,
    )
    assert answers[:2] == [302, 302]
    assert sorted(answers[2:]) == [302, 409], "one of them freezes version 1, the other is told"
    waiting = list(Operation.objects.filter(state=OperationState.QUEUED).values_list("pk", flat=True))
    assert len(waiting) == 3
    at_once(*(lambda pk=pk: operation_run(operation_id=pk) for pk in waiting))
    assert not Operation.objects.exclude(state=OperationState.SUCCEEDED).exists()

    dataset.refresh_from_db()
    hashes = list(head_of(dataset).values_list("content_hash", flat=True))
    assert (dataset.example_count, len(hashes), len(set(hashes))) == (430, 430, 430)
    files = Import.objects.filter(pk__in=[ours.pk, theirs.pk])
    assert sum(each.added_count or 0 for each in files) == 400
    version = Version.objects.get()
    # A version is of one moment: with whole files or without them, never with half of one.
    assert version.row_count - 30 in {0, 300, 400}
    assert manifest_hash(version_manifest_rows(version)) == version.manifest_hash
