"""Files of other shapes: confirmed on the mapping page, checked, committed, exported and imported again."""

import csv
import gzip
import io
import json
import zipfile

import pyarrow
import pytest
from pyarrow import parquet

from apps.datasets.mapping import RowMapping
from apps.datasets.models import Example, Import, ImportProblem, ImportState, SavedMapping
from apps.datasets.selectors import version_row_payloads, version_rows_jsonl
from apps.datasets.services import mapping_save
from tests.datasets.conftest import as_file, lines, row, tickets, url
from tests.datasets.intents import published_file

pytestmark = pytest.mark.django_db(transaction=True)
PAIR = {"prompt": "Where is it?", "chosen": "On its way.", "rejected": "No idea."}


def test_a_csv_file_is_shown_as_conversations_and_imported_by_a_template(upload, commit, rob, project):
    data = b'text,intent,source\r\n"Lost, twice",lost,web\r\nHello,greet,app\r\nbroken\r\n'
    response = rob.post(url("upload", project), {"file": as_file(data, "intents.csv")})
    record = Import.objects.get()
    assert record.state == ImportState.UNMAPPED
    assert response["Location"] == url("mapping", project, record.pk)
    assert "What the rows mean must be confirmed" in rob.get(record.get_absolute_url()).content.decode()
    page = rob.get(response["Location"]).content.decode()
    assert "Lost, twice" in page
    assert "The row has 1 field, but the first line names 3 columns" in page
    missing = {
        "preset": "template",
        "shown": "template",
        "prompt": "{{txt}}",
        "answer": "{{intent}}",
        "check": "1",
    }
    refused = rob.post(response["Location"], missing)
    assert refused.status_code == 422
    assert "The file has no column “txt”" in refused.content.decode()

    fields = {"preset": "template", "prompt": "Sort: {{text}}", "answer": "{{intent}}", "save_as": "Intents"}
    record = upload(data, name="intents.csv", dataset=record.dataset, **fields)
    assert (record.row_count, record.problem_counts) == (2, {"ragged_row": 1})
    assert ImportProblem.objects.get(import_record=record).byte_offset == data.index(b"broken")
    rejected = rob.get(url("rejected_lines", project, record.pk))
    assert rejected.getvalue() == b"text,intent,source\nbroken\n"
    assert 'filename="rejected-intents.csv"' in rejected["Content-Disposition"]
    commit(record)
    first = Example.objects.order_by("pk")[0]
    assert bytes(first.raw) == b'"Lost, twice",lost,web'
    assert not first.raw_is_chat
    assert first.payload == row("Sort: Lost, twice", "lost", source="web")

    other = Import.objects.order_by("pk")[0]
    saved = SavedMapping.objects.get()
    page = rob.get(url("mapping", project, other.pk), {"saved": saved.pk}).content.decode()
    assert "Sort: Hello" in page


def test_another_reading_forgets_the_first_one(upload, rob, project, work):
    record = upload(lines({"prompt": "a", "completion": "b", "note": "c"}), preset="prompt_completion",
                    part_prompt="prompt", part_completion="note")  # fmt: skip
    fields = {"preset": "prompt_completion", "shown": "prompt_completion", "check": "1"}
    fields |= {"part_prompt": "prompt", "part_completion": "completion"}
    assert rob.post(url("mapping", project, record.pk), fields).status_code == 302
    work()
    record.refresh_from_db()
    assert (record.state, record.row_count) == (ImportState.CHECKED, 1)
    assert record.rows.get().payload == row("a", "b", note="c")


def test_a_wrong_shape_is_said_row_by_row(upload, rob, project):
    record = upload(
        lines(PAIR, PAIR), preset="prompt_completion", part_prompt="prompt", part_completion="chosen"
    )
    assert record.row_count == 2
    other = upload(
        json.dumps([PAIR, {"messages": []}]).encode(),
        name="other.json",
        preset="instruction",
        part_instruction="prompt",
        part_output="rejected",
    )
    assert (other.row_count, other.problem_counts) == (1, {"missing_field": 1})
    page = rob.get(other.get_absolute_url()).content.decode()
    assert "There is no “prompt”, which is mapped to the instruction. The row has: messages." in page
    rejected = rob.get(url("rejected_lines", project, other.pk)).getvalue()
    assert json.loads(rejected) == [{"messages": []}]


def test_preference_pairs_train_on_the_chosen_answer_and_keep_the_other(upload, commit, freeze, rob, project):
    record = upload(
        gzip.compress(lines(PAIR, PAIR | {"rejected": "Ask Ann."}, PAIR)),
        name="pairs.jsonl.gz",
        preset="preference",
        part_prompt="prompt",
        part_chosen="chosen",
        part_rejected="rejected",
    )
    assert (record.row_count, record.repeated_in_file) == (3, 1)
    version = freeze(commit(record).dataset, train_percent=100, validation_percent=0, test_percent=0)
    assert version.row_count == 2
    (first, _) = version_row_payloads(version)
    assert first.payload == row(
        "Where is it?", "On its way.", rejected=[{"role": "assistant", "content": "No idea."}]
    )
    exported = rob.get(url("export", project, version.pk, "preference")).getvalue().splitlines()
    assert json.loads(exported[0]) == {
        "input": {"messages": [{"role": "user", "content": "Where is it?"}]},
        "preferred_output": [{"role": "assistant", "content": "On its way."}],
        "non_preferred_output": [{"role": "assistant", "content": "No idea."}],
    }
    assert "No idea." in rob.get(url("example", project, first.example_id)).content.decode()


def test_an_export_is_imported_again_as_the_same_version(upload, commit, freeze, rob, project):
    odd = b'{"messages" : [{"role":"user","content":"a\\u00e9"},{"role":"assistant","content":"b"}], "n":1.50}\n'
    dataset = commit(upload(odd + tickets(40))).dataset
    mapped = upload(
        b"text,label\nHello,greet\nBye,leave\n", name="more.csv", dataset=dataset,
        preset="template", prompt="{{text}}", answer="{{label}}",
    )  # fmt: skip
    commit(mapped)
    version = freeze(dataset, group_path="metadata.wording")
    rob.post(url("edit", project, dataset.pk), {"name": "Ours", "licence": "CC-BY-4.0"})

    content = rob.get(url("export_dataset", project, version.pk)).getvalue()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        about = json.loads(archive.read("export.json"))
        assert b'license: "CC-BY-4.0"' in archive.read("README.md")
        assert archive.read("data/train.jsonl") == b"".join(version_rows_jsonl(version, "train"))
    assert (about["manifest_sha256"], about["rows"], about["licence"]) == (
        version.manifest_hash,
        43,
        "CC-BY-4.0",
    )
    assert about["files"]["manifest.jsonl"]["sha256"] == version.manifest_hash

    again = commit(upload(content, name="ours.zip"))
    assert (again.row_count, again.added_count) == (43, 43)
    page = rob.get(url("freeze", project, again.dataset.pk)).content.decode()
    assert f"{version.train_count} train" in page
    copy = freeze(again.dataset, keeps_splits="on", seed=7)
    assert copy.manifest_hash == version.manifest_hash
    assert copy.train_count == version.train_count

    table = parquet.read_table(
        pyarrow.BufferReader(rob.get(url("export", project, version.pk, "parquet")).getvalue())
    )
    assert table.column("row").to_pylist() == [
        line.decode() for line in b"".join(version_rows_jsonl(version)).splitlines()
    ]
    text = rob.get(url("export", project, version.pk, "csv")).getvalue().decode()
    shown = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [each["prompt"] for each in shown[:2]] == ["aé", "Ticket 0: my order is late"]
    assert len(shown) == 43
    completion = rob.get(url("export", project, version.pk, "completion")).getvalue().splitlines()
    assert json.loads(completion[0])["completion"] == [{"role": "assistant", "content": "b"}]
    assert rob.get(url("export", project, version.pk, "preference")).status_code == 409


HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "'quoted'", "plain"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_that_was_exported_is_imported_again_as_the_same_version(
    upload, commit, freeze, rob, project, kind
):
    odd = b'{ "messages":[{"role":"user","content":"a\\u00e9, \\"b\\""},{"role":"assistant","content":"b"}],"n":1.50}\n'
    pair = row("Which?", "This.", rejected=[{"role": "assistant", "content": "That."}])
    rows = lines(*(row(text, f"{text} said") for text in HOSTILE), pair)
    dataset = commit(upload(odd + rows + tickets(30))).dataset
    commit(
        upload(
            b"text,label\nHello,greet\nBye,leave\n", name="more.csv", dataset=dataset,
            preset="template", prompt="{{text}}", answer="{{label}}",
        )
    )  # fmt: skip
    version = freeze(dataset)
    content = rob.get(url("export", project, version.pk, kind)).getvalue()

    rob.post(url("upload", project), {"file": as_file(content, f"again.{kind}")})
    page = rob.get(url("mapping", project, Import.objects.order_by("-pk")[0].pk))
    assert page.context["form"]["preset"].value() == "line"
    again = commit(upload(content, name=f"again2.{kind}", preset="line", part_row="row", split="split"))
    assert (again.problem_count, again.added_count) == (0, version.row_count)
    copy = freeze(again.dataset, keeps_splits="on", seed=7)
    assert copy.manifest_hash == version.manifest_hash


def test_no_cell_of_a_table_runs_as_a_formula_and_each_can_be_read_back(dataset_of, freeze, rob, project):
    version = freeze(dataset_of(lines(*(row(text, f"{text} said") for text in HOSTILE))))
    text = rob.get(url("export", project, version.pk, "csv")).getvalue().decode()
    found = list(csv.DictReader(io.StringIO(text, newline="")))
    cells = [each[name] for each in found for name in ("prompt", "answer")]
    # The characters that OWASP's page "CSV Injection" names.
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert [each["prompt"].removeprefix("'") for each in found] == HOSTILE


def test_a_column_without_lines_is_reported_row_by_row(upload):
    good = json.dumps(row("a", "b")).replace('"', '""')
    table = f'split,row\ntrain,"{good}"\ntest,{{}}\ntest,nothing\n'.encode()
    record = upload(table, name="rows.csv", preset="line", part_row="row", split="split")
    assert (record.row_count, record.problem_count) == (1, 2)
    assert set(record.problem_counts) == {"no_messages", "not_json"}


def test_clinc150_is_imported_as_it_is_published(upload, commit):
    record = upload(
        published_file(),
        name="data_full.json",
        preset="template",
        prompt="{{1}}",
        answer="{{2}}",
        split="section",
    )
    # The dataset's paper counts 150 intents with 100/20/30 queries each, and 100/100/1,000 out-of-scope ones.
    assert (record.row_count, record.problem_count) == (23_700, 0)
    commit(record, duplicates="keep")
    counts = {split: Example.objects.filter(split=split).count() for split in ("train", "validation", "test")}
    assert counts == {"train": 15_100, "validation": 3_100, "test": 5_500}
    answers = Example.objects.values_list("payload__messages__1__content", flat=True).distinct()
    assert answers.count() == 151


def test_kept_mappings_are_renamed_and_deleted(rob, vic, project, people):
    first, second = (
        mapping_save(project=project, name=name, mapping=RowMapping("chat"), actor=people.rob)
        for name in ("Tickets", "Chats")
    )
    page = url("saved_mappings", project)
    assert "Tickets" in vic.get(page).content.decode()
    assert "Rename" not in vic.get(page).content.decode()
    assert rob.post(url("rename_mapping", project, first.pk), {"name": " Mails "}).status_code == 302
    taken = rob.post(url("rename_mapping", project, second.pk), {"name": "Mails"})
    assert taken.status_code == 409
    assert rob.post(url("rename_mapping", project, second.pk), {"name": " "}).status_code == 400
    assert rob.post(url("delete_mapping", project, second.pk)).status_code == 302
    assert list(SavedMapping.objects.values_list("name", flat=True)) == ["Mails"]
    assert rob.post(url("delete_mapping", project, second.pk)).status_code == 404
