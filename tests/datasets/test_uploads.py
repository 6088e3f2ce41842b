"""A file that comes in pieces, as static/js/upload_pieces.js sends them."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.artifacts.models import Blob
from apps.artifacts.storage import blob_read
from apps.audit.models import AuditEvent
from apps.datasets.models import Import, ImportState, Upload
from apps.datasets.services import dataset_create
from apps.datasets.services.uploads import KEPT_DAYS
from apps.datasets.tasks import remove_abandoned_uploads
from apps.operations.models import OperationState
from tests.datasets.conftest import lines, row, url

pytestmark = pytest.mark.django_db(transaction=True)
ROWS = lines(*(row(f"Ticket {number} " + "x" * 30_000) for number in range(150)))


def begin(browser, project, size=None, name="rows.jsonl"):
    size = size or len(ROWS)
    return browser.post(
        url("begin_upload", project), {"name": name, "size": size, "modified": "1700000000000"}
    )


def send(browser, state, offset: int, data: bytes):
    return browser.post(
        state["url"], data, content_type="application/octet-stream", headers={"X-Upload-Offset": str(offset)}
    )


def test_a_file_comes_in_pieces_and_goes_on_where_it_stopped(rob, project, work):
    state = begin(rob, project).json()
    piece = state["piece"]
    assert (state["received"], piece) == (0, 2 * 1024 * 1024)
    assert send(rob, state, 0, ROWS[:piece]).json()["received"] == piece
    again = begin(rob, project).json()  # after a reload the same file is chosen again
    assert (again["upload"], again["received"]) == (state["upload"], piece)
    twice = send(rob, state, 0, ROWS[:piece])  # a piece whose answer was lost
    assert (twice.status_code, twice.json()["received"]) == (409, piece)
    early = rob.post(url("upload", project), {"upload": state["upload"]})
    assert early.status_code == 422
    assert "has not come in completely" in early.content.decode()
    for offset in range(piece, len(ROWS), piece):
        last = send(rob, state, offset, ROWS[offset : offset + piece])
        assert last.status_code == 200
    assert last.json()["received"] == len(ROWS)

    response = rob.post(url("upload", project), {"upload": state["upload"]})
    record = Import.objects.get()
    assert response["Location"] == record.get_absolute_url()
    assert record.dataset.name == "rows"
    assert [operation.state for operation in work()] == [OperationState.SUCCEEDED] * 2
    record.refresh_from_db()
    assert (record.state, record.row_count, record.upload) == (ImportState.CHECKED, 150, None)
    assert record.blob is not None
    assert b"".join(blob_read(record.blob)) == ROWS
    assert not Upload.objects.exists()
    assert Blob.objects.count() == 1


@pytest.mark.parametrize("data", [b"", b"too short", b"x" * (2 * 1024 * 1024 + 1)])
def test_pieces_of_another_length_are_refused(rob, project, data):
    state = begin(rob, project).json()
    assert send(rob, state, 0, data).status_code == 400
    assert Upload.objects.get().received == 0


def test_uploads_of_others_are_not_touched_and_limits_hold(rob, project, people, client_of, settings):
    state = begin(rob, project).json()
    assert send(client_of(people.lea), state, 0, ROWS[: state["piece"]]).status_code == 409
    assert client_of(people.lea).post(url("upload", project), {"upload": state["upload"]}).status_code == 422
    settings.FTPORTAL_UPLOAD_LIMIT = 1000
    assert begin(rob, project, size=1001, name="other").status_code == 400
    assert begin(rob, project, size="many").status_code == 400
    assert json.loads(begin(rob, project, size=1000).content)["received"] == 0


def test_what_nobody_goes_on_with_is_removed_after_a_week(rob, project, people):
    old, waited_for, recent = (begin(rob, project, name=name).json()["upload"] for name in ("a", "b", "c"))
    Upload.objects.exclude(pk=recent).update(updated_at=timezone.now() - timedelta(days=KEPT_DAYS, minutes=1))
    dataset = dataset_create(project=project, name="Waiting", actor=people.rob)
    Import.objects.create(dataset=dataset, upload_id=waited_for, state=ImportState.FETCHING, file_name="b")
    remove_abandoned_uploads()
    assert set(Upload.objects.values_list("pk", flat=True)) == {waited_for, recent}
    assert Blob.objects.count() == 2, "its pieces are gone"
    remove_abandoned_uploads()
    assert AuditEvent.objects.filter(action="upload.abandoned", target_id=str(old)).count() == 1
