import hashlib
from datetime import timedelta

import openai
import pytest
from django.utils import timezone

from apps.artifacts.models import Blob
from apps.artifacts.storage import blob_read
from apps.audit.models import AuditEvent
from apps.datasets.models import Import, ImportState, Version, VersionState
from apps.gateway.models import File
from apps.gateway.services.files import files_expire
from tests.gateway.conftest import chats, jsonl
from tests.gateway.schemas import DELETED_FILE, FILE, FILES, check


def test_a_file_is_kept_byte_for_byte(client, http):
    content = jsonl(chats(12))
    file = client.files.create(file=("rows.jsonl", content), purpose="fine-tune")

    assert file.id.startswith("file-")
    assert (file.bytes, file.filename, file.purpose, file.status) == (
        len(content),
        "rows.jsonl",
        "fine-tune",
        "uploaded",
    )
    assert client.files.content(file.id).content == content
    check(http.get(f"/files/{file.id}").json(), FILE)
    kept = File.objects.get(public_id=file.id)
    assert kept.blob.sha256 == hashlib.sha256(content).hexdigest()
    assert AuditEvent.objects.filter(action="api_file.created", source="api").exists()


def test_a_large_file_comes_back_whole(client):
    """Longer than the pieces in which it is stored, and no multiple of them."""
    content = b"0123456789" * 1_234_567
    file = client.files.create(file=("big.bin", content), purpose="user_data")

    assert file.status == "processed"
    assert hashlib.sha256(client.files.content(file.id).content).digest() == hashlib.sha256(content).digest()


def test_a_file_to_train_on_becomes_a_frozen_version(upload, workspace):
    file = upload(chats(12))

    assert file.status == "processed"
    version = Version.objects.get()
    assert version.state == VersionState.FROZEN
    assert (version.train_count, version.validation_count, version.test_count) == (12, 0, 0)
    assert Import.objects.get().state == ImportState.COMMITTED
    project = version.dataset.project
    assert (project.workspace, project.slug) == (workspace, "api")
    raw = [bytes(row.example.raw) for row in version.rows.select_related("example")]
    assert raw == jsonl(chats(12)).splitlines()


def test_rows_that_repeat_are_trained_on_as_often_as_they_stand_there(upload):
    upload(chats(6) * 2)

    assert Version.objects.get().train_count == 12


def test_a_bad_line_makes_the_file_an_error_that_names_it(upload):
    file = upload(jsonl(chats(12)) + b'{"messages": [{"role": "user", "content": "alone"}]}\n')

    assert file.status == "error"
    assert file.status_details.startswith("Line 13: ")


def test_prompt_and_completion_rows_are_taken(upload):
    file = upload([{"prompt": f"Say {number}", "completion": str(number)} for number in range(12)])

    assert file.status == "processed"
    assert Version.objects.get().train_count == 12


def test_a_file_of_another_shape_is_an_error(upload):
    file = upload([{"colour": "red", "size": number} for number in range(12)])

    assert file.status == "error"
    assert "messages" in file.status_details


def test_the_project_is_the_one_that_the_header_names(client, project):
    client.with_options(project="ticket-triage").files.create(
        file=("rows.jsonl", jsonl(chats(12))), purpose="fine-tune"
    )
    assert Import.objects.get().dataset.project == project

    with pytest.raises(openai.NotFoundError) as refused:
        client.with_options(project="nowhere").files.create(file=b"{}", purpose="fine-tune")
    assert refused.value.code == "project_not_found"


def test_files_are_listed_newest_first_and_paged(client, http):
    ids = [client.files.create(file=(f"{n}.txt", b"text"), purpose="user_data").id for n in range(5)]
    client.files.create(file=("batch.jsonl", b"{}"), purpose="batch")

    check(http.get("/files", params={"limit": 2}).json(), FILES)
    assert [file.id for file in client.files.list(purpose="user_data", limit=2)] == ids[::-1]
    assert [file.id for file in client.files.list(purpose="user_data", limit=2, order="asc")] == ids
    page = client.files.list(limit=2)
    assert (len(page.data), page.has_more) == (2, True)
    client.files.delete(ids[3])
    assert [file.id for file in client.files.list(after=ids[3], purpose="user_data")] == ids[2::-1]


def test_a_deleted_file_is_gone(client, http):
    file = client.files.create(file=("a.txt", b"text"), purpose="user_data")

    check(http.delete(f"/files/{file.id}").json(), DELETED_FILE)

    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)
    with pytest.raises(openai.NotFoundError):
        client.files.content(file.id)
    assert list(client.files.list()) == []


def test_a_file_expires(client):
    file = client.files.create(
        file=("a.txt", b"text"), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600}
    )
    assert file.expires_at == pytest.approx(file.created_at + 3600, abs=1)

    File.objects.filter(public_id=file.id).update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file.id)
    assert files_expire() == 1
    assert File.objects.get(public_id=file.id).deleted_at is not None


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"purpose": "secrets"}, "purpose"),
        (
            {"purpose": "batch", "expires_after": {"anchor": "created_at", "seconds": 60}},
            "expires_after.seconds",
        ),
        ({"purpose": "batch", "expires_after": {"anchor": "now", "seconds": 3600}}, "expires_after.anchor"),
        (
            {"purpose": "batch", "expires_after": {"anchor": "created_at", "seconds": "²"}},
            "expires_after.seconds",
        ),
        (
            {"purpose": "batch", "expires_after": {"anchor": "created_at", "seconds": "9" * 5000}},
            "expires_after.seconds",
        ),
    ],
)
def test_what_is_wrong_with_an_upload_is_named_and_nothing_is_kept(client, options, param):
    with pytest.raises(openai.BadRequestError) as refused:
        client.files.create(file=b"text", **options)

    assert refused.value.param == param
    assert not File.objects.exists()
    assert not Blob.objects.exists()


def test_a_file_over_the_limit_is_refused_and_not_kept(client, settings):
    settings.FTPORTAL_UPLOAD_LIMIT = 1000

    with pytest.raises(openai.APIStatusError) as refused:
        client.files.create(file=b"x" * 1001, purpose="user_data")

    assert (refused.value.status_code, refused.value.code) == (413, "file_too_large")
    assert not Blob.objects.exists()


def test_an_upload_that_is_no_form_is_refused(http):
    response = http.post("/files", json={"purpose": "fine-tune"})
    assert response.status_code == 415

    broken = http.post(
        "/files", content=b"--x\r\nno", headers={"Content-Type": "multipart/form-data; boundary=x"}
    )
    assert broken.status_code == 400
    assert not Blob.objects.exists()


def test_who_may_not_make_the_project_is_told_to_name_one_and_nothing_is_kept(
    base_url, people, key_of, project
):
    with openai.OpenAI(api_key=key_of(people.rob), base_url=base_url, max_retries=0) as reviewer:
        with pytest.raises(openai.PermissionDeniedError) as refused:
            reviewer.files.create(file=("rows.jsonl", jsonl(chats(12))), purpose="fine-tune")
        assert "OpenAI-Project" in refused.value.message
        assert not Blob.objects.exists()

        named = reviewer.with_options(project="ticket-triage")
        assert named.files.create(file=("rows.jsonl", jsonl(chats(12))), purpose="fine-tune").bytes > 0


def test_an_empty_file_to_train_on_is_refused(client):
    with pytest.raises(openai.BadRequestError) as refused:
        client.files.create(file=("rows.jsonl", b""), purpose="fine-tune")

    assert refused.value.param == "file"
    assert not Blob.objects.exists()


def test_the_same_bytes_are_stored_once(client):
    one = client.files.create(file=("a.txt", b"the same"), purpose="user_data")
    other = client.files.create(file=("b.txt", b"the same"), purpose="user_data")

    assert one.id != other.id
    assert b"".join(blob_read(Blob.objects.get())) == b"the same"
