"""Freezing: what a version holds, that it never changes, and that its hash is the same everywhere."""

import hashlib
import json
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from django.conf import settings
from django.db import IntegrityError, connection, transaction

from apps.datasets.models import Example, Version, VersionRow, VersionState
from apps.datasets.selectors import version_row_payloads, version_rows_jsonl
from apps.datasets.services import dataset_delete, dataset_purge, version_freeze
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_cancel
from tests.datasets.conftest import lines, row, tickets, url

pytestmark = pytest.mark.django_db(transaction=True)


def splits_of(version: Version) -> list[str]:
    return list(
        VersionRow.objects.filter(version=version).order_by("position").values_list("split", flat=True)
    )


def test_a_version_is_frozen_divided_and_shown(dataset_of, freeze, vic):
    content = tickets(300)
    version = freeze(dataset_of(content), group_path="metadata.wording", note="First")
    assert (version.state, version.number, version.row_count) == (VersionState.FROZEN, 1, 300)
    assert version.train_count + version.validation_count + version.test_count == 300
    # Groups are of three rows, so the shares are kept to within a group.
    assert abs(version.train_count - 240) <= 3
    assert Counter(splits_of(version)) == {
        "train": version.train_count,
        "validation": version.validation_count,
        "test": version.test_count,
    }
    by_group: dict[str, set[str]] = defaultdict(set)
    for each in VersionRow.objects.filter(version=version):
        by_group[each.group].add(each.split)
    assert len(by_group) == 100
    assert all(len(splits) == 1 for splits in by_group.values())
    page = vic.get(version.get_absolute_url()).content.decode()
    assert version.manifest_hash in page
    assert "Enough for a first try" in page


THREE_ROWS = (
    b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "x"}]}\n'
    b'{"messages":[{"role":"user","content":"b"},{"role":"assistant","content":"\xc3\xa9"}], "id": 1}\r\n'
    b'{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "x"}], "id": 2}\n'
)
# Three lines written by hand, with hashes from `printf '%s' … | sha256sum`, then `sha256sum` of the three lines.
THREE_ROWS_HASH = "148b5957a2a056d5b133ef95145d924ceb543efd623d301d655e2a412bce6333"


def test_the_hash_of_a_tiny_file_is_known_beforehand(upload, commit, freeze, vic, project):
    dataset = commit(upload(THREE_ROWS), duplicates="keep").dataset
    version = freeze(dataset, train_percent=100, validation_percent=0, test_percent=0)
    assert version.manifest_hash == THREE_ROWS_HASH
    manifest = vic.get(url("manifest", project, version.pk)).getvalue()
    assert hashlib.sha256(manifest).hexdigest() == THREE_ROWS_HASH
    assert [json.loads(line)["raw"] for line in manifest.splitlines()] == [
        hashlib.sha256(line.rstrip(b"\r")).hexdigest() for line in THREE_ROWS.removesuffix(b"\n").split(b"\n")
    ]


def test_the_same_file_and_seed_give_the_same_version_and_another_seed_another(upload, commit, freeze):
    content = tickets(200)
    one = commit(upload(content, name="one.jsonl")).dataset
    two = commit(upload(content, name="two.jsonl")).dataset
    first, second, other = freeze(one), freeze(two), freeze(one, seed=43)
    assert first.manifest_hash == second.manifest_hash
    assert other.manifest_hash != first.manifest_hash
    assert splits_of(first) == splits_of(second)


def test_duplicates_that_were_kept_never_cross_splits(upload, commit, freeze):
    content = lines(*(row(f"ticket {i % 40}", "ab"[i % 2], metadata={"n": i}) for i in range(200)))
    version = freeze(commit(upload(content), duplicates="keep").dataset)
    by_content: dict[str, set[str]] = defaultdict(set)
    for each in VersionRow.objects.filter(version=version).select_related("example"):
        by_content[each.example.content_hash].add(each.split)
    assert len(by_content) == 40
    assert all(len(splits) == 1 for splits in by_content.values())
    assert version.statistics["duplicate_rows"] == 160


def test_each_answer_has_its_share_of_every_split(dataset_of, freeze):
    version = freeze(dataset_of(tickets(300)))
    assert version.statistics["strata"] == 3
    for answer in version.statistics["answers"]["answers"]:
        assert (answer["rows"], answer["train"], answer["validation"], answer["test"]) == (100, 80, 10, 10)


def test_tokens_are_those_of_the_library_that_trains(dataset_of, freeze):
    import transformers

    version = freeze(dataset_of(tickets(20)))
    model = transformers.AutoTokenizer.from_pretrained(settings.FTPORTAL_BASE_MODEL)
    expected = []
    for payload in version_row_payloads(version):
        encoded = model.apply_chat_template(
            payload.messages, return_assistant_tokens_mask=True, return_dict=True, tokenize=True
        )
        expected.append((len(encoded["input_ids"]), sum(encoded["assistant_masks"])))
    stored = VersionRow.objects.filter(version=version).order_by("position")
    assert list(stored.values_list("token_count", "answer_token_count")) == expected
    assert version.statistics["tokens"]["total"]["all"] == sum(total for total, _ in expected)
    assert version.statistics["tokens"]["answers"]["all"] == sum(answers for _, answers in expected)


def test_tokens_of_an_unknown_model_are_unknown_not_zero(dataset_of, freeze, project, vic):
    project.base_model = "somebody/a-model-that-is-not-here"
    project.save()
    version = freeze(dataset_of(tickets(20)))
    assert version.statistics["tokens"]["total"] is None
    assert version.statistics["lengths"]["tokens"] is None
    assert version.tokenizer == ""
    assert set(VersionRow.objects.values_list("token_count", flat=True)) == {None}
    page = vic.get(version.get_absolute_url()).content.decode()
    assert "Tokens are unknown" in page
    assert "text-unknown" in page


def test_statistics_of_hand_counted_rows(dataset_of, freeze):
    turns = [*row("12345", "1")["messages"], *row("67", "22")["messages"]]
    version = freeze(
        dataset_of(lines(row("a", "x"), row("abc", "x"), {"messages": turns})),
        train_percent=100,
        validation_percent=0,
        test_percent=0,
    )
    lengths = version.statistics["lengths"]
    # 1+1, 3+1 and 5+1+2+2 characters; 1, 1 and 2 answers.
    assert (lengths["characters"]["sum"], lengths["characters"]["percentiles"]["50"]) == (16, 4)
    assert (lengths["characters"]["minimum"], lengths["characters"]["maximum"]) == (2, 10)
    assert lengths["turns"]["sum"] == 4
    assert version.statistics["answers"]["distinct"] == 2


def test_rows_come_out_as_they_went_in(dataset_of, freeze, vic, project):
    content = lines(
        *(f'{{"id": {i}, "messages":   {json.dumps(row(str(i))["messages"])}}}'.encode() for i in range(60))
    )
    version = freeze(dataset_of(content))
    whole = vic.get(url("download", project, version.pk, "all"))
    assert whole.getvalue() == content
    parts = b"".join(
        vic.get(url("download", project, version.pk, split)).getvalue()
        for split in ("train", "validation", "test")
    )
    assert sorted(parts.splitlines()) == sorted(content.splitlines())
    assert (
        b"".join(version_rows_jsonl(version, "test"))
        == vic.get(url("download", project, version.pk, "test")).getvalue()
    )
    assert [payload.payload["id"] for payload in version_row_payloads(version)] == list(range(60))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE datasets_version SET seed = 1",
        "UPDATE datasets_version SET state = 'failed'",
        "DELETE FROM datasets_version",
        "UPDATE datasets_versionrow SET split = 'test'",
        "DELETE FROM datasets_versionrow WHERE position = 1",
        'INSERT INTO datasets_versionrow (version_id, example_id, position, split, "group")'
        " SELECT version_id, example_id + 1000, 1000, 'test', '' FROM datasets_versionrow LIMIT 1",
        "DELETE FROM datasets_example",
        "UPDATE datasets_example SET raw = 'x'",
        "UPDATE datasets_example SET payload = '{}'",
    ],
)
def test_the_database_refuses_to_change_a_frozen_version(statement, dataset_of, freeze):
    version = freeze(dataset_of(tickets(12)))
    with pytest.raises(IntegrityError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert Version.objects.get().manifest_hash == version.manifest_hash
    assert VersionRow.objects.count() == Example.objects.count() == 12


def test_a_dataset_in_use_is_not_deleted(dataset_of, freeze, rob, project, people):
    dataset = dataset_of(tickets(12))
    freeze(dataset)
    response = rob.post(url("delete", project, dataset.pk))
    assert response.status_code == 409
    assert "models may stand on them" in response.content.decode()
    assert Example.objects.count() == 12


def test_a_dataset_without_versions_is_deleted_with_its_rows(dataset_of, people):
    dataset = dataset_of(tickets(12))
    dataset_delete(dataset=dataset, actor=people.rob)
    assert Example.objects.count() == 12  # in the trash
    dataset_purge(dataset=dataset, actor=people.rob)
    assert not Example.objects.exists()


def test_freezing_again_after_the_end_changes_nothing(dataset_of, freeze, work):
    version = freeze(dataset_of(tickets(30)))
    Operation.objects.filter(kind="datasets.freeze_version").update(state=OperationState.QUEUED)
    (operation,) = work()
    assert operation.state == OperationState.SUCCEEDED
    assert Version.objects.get().manifest_hash == version.manifest_hash


def test_a_freezing_that_broke_leaves_nothing_and_can_be_repeated(
    dataset_of, rob, project, work, monkeypatch
):
    dataset = dataset_of(tickets(30))
    rob.post(
        url("freeze", project, dataset.pk),
        {"train_percent": 80, "validation_percent": 10, "test_percent": 10, "seed": 1},
    )
    with monkeypatch.context() as patch:
        patch.setitem(version_freeze.__globals__, "manifest_hash", None)  # breaks after the rows are written
        (operation,) = work()
    assert operation.state == OperationState.FAILED
    version = Version.objects.get()
    assert version.state == VersionState.FAILED
    assert not VersionRow.objects.exists()
    assert "was not frozen" in rob.get(version.get_absolute_url()).content.decode()
    assert rob.post(url("freeze_again", project, version.pk)).status_code == 302
    (operation,) = work()
    assert operation.state == OperationState.SUCCEEDED
    version.refresh_from_db()
    assert (version.state, version.row_count) == (VersionState.FROZEN, 30)


def test_a_version_that_never_froze_can_be_deleted(dataset_of, freeze, rob, project):
    dataset = dataset_of(tickets(12))
    frozen = freeze(dataset)
    failed = Version.objects.create(dataset=dataset, number=2, state=VersionState.FAILED)
    assert rob.post(url("delete_version", project, failed.pk)).status_code == 302
    assert rob.post(url("delete_version", project, frozen.pk)).status_code == 409
    assert list(Version.objects.all()) == [frozen]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"train_percent": 80, "validation_percent": 30, "test_percent": 10}, "add up to 120"),
        ({"train_percent": 0, "validation_percent": 50, "test_percent": 50}, "greater than or equal to 1"),
        ({"group_path": "metadata.nothing"}, "Select a valid choice"),
        ({"seed": "many"}, "whole number"),
    ],
)
def test_a_form_that_makes_no_sense_comes_back(fields, words, dataset_of, rob, project):
    dataset = dataset_of(tickets(12))
    data = {"train_percent": 80, "validation_percent": 10, "test_percent": 10, "seed": 42} | fields
    response = rob.post(url("freeze", project, dataset.pk), data)
    assert response.status_code == 422
    assert words in response.content.decode()
    assert not Version.objects.exists()


def test_the_demo_model_is_where_the_settings_say():
    assert (Path(settings.FTPORTAL_BASE_MODEL) / "tokenizer.json").is_file()


def test_a_freezing_cancelled_while_it_waits_can_be_repeated(dataset_of, rob, project, people, work):
    dataset = dataset_of(tickets(30))
    data = {"train_percent": 80, "validation_percent": 10, "test_percent": 10, "seed": 1}
    rob.post(url("freeze", project, dataset.pk), data)
    operation_cancel(operation=Operation.objects.get(kind="datasets.freeze_version"), by=people.rob)
    version = Version.objects.get()
    page = rob.get(version.get_absolute_url()).content.decode()
    assert "The freezing was cancelled. Nothing was frozen." in page
    rob.post(url("freeze_again", project, version.pk))
    work()
    version.refresh_from_db()
    assert version.state == VersionState.FROZEN
