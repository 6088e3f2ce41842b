"""Files that the server gets by itself, from a real server on this machine and from the import directory."""

from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from apps.artifacts.models import Blob
from apps.datasets.models import Dataset, Import, ImportState
from apps.operations.models import OperationState
from tests.datasets.conftest import tickets, url

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server(tmp_path) -> Iterator[str]:
    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(tmp_path))  # type: ignore[arg-type]

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = Thread(target=served.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{served.server_address[1]}"
        served.shutdown()
        thread.join()


def test_a_file_is_fetched_from_an_address_and_again_after_a_failure(
    rob, project, work, settings, server, tmp_path
):
    settings.FTPORTAL_ALLOW_PRIVATE_URLS = True
    response = rob.post(url("fetch", project), {"place": f"{server}/my%20rows.jsonl"})
    record = Import.objects.get()
    assert response["Location"] == record.get_absolute_url()
    assert (record.state, record.file_name, record.dataset.name) == ("fetching", "my rows.jsonl", "my rows")
    (failed,) = work()
    assert failed.state == OperationState.FAILED
    record.refresh_from_db()
    assert record.state == ImportState.FAILED
    page = rob.get(record.get_absolute_url()).content.decode()
    assert "answered with status 404" in page
    assert "Fetch it again" in page
    assert not Blob.objects.filter(sha256=None).exists()
    assert rob.get(url("original_file", project, record.pk)).status_code == 404

    (tmp_path / "my rows.jsonl").write_bytes(tickets(6))
    rob.post(url("check_again", project, record.pk))
    assert [operation.state for operation in work()] == [OperationState.SUCCEEDED] * 2
    record.refresh_from_db()
    assert (record.state, record.row_count) == (ImportState.CHECKED, 6)


@pytest.mark.parametrize("place", ["https://127.0.0.1/rows.jsonl", "http://example.org/rows.jsonl"])
def test_the_own_network_and_plain_http_are_refused(rob, project, work, place):
    response = rob.post(url("fetch", project), {"place": place})
    if response.status_code == 422:
        assert "begin with https://" in response.content.decode()
        assert not Dataset.objects.exists()
        return
    (failed,) = work()
    assert failed.state == OperationState.FAILED
    assert "own network" in failed.error


def test_a_file_below_the_import_directory_is_taken_and_no_other(rob, project, work, settings, tmp_path):
    allowed = tmp_path / "allowed"
    (allowed / "inner").mkdir(parents=True)
    (tmp_path / "outside.jsonl").write_bytes(tickets(3))
    (allowed / "inner" / "rows.jsonl").write_bytes(tickets(4))
    (allowed / "link.jsonl").symlink_to(tmp_path / "outside.jsonl")
    refused = rob.post(url("fetch", project), {"place": "inner/rows.jsonl"})
    assert refused.status_code == 422
    settings.FTPORTAL_IMPORT_DIRECTORY = str(allowed)
    assert "inner/rows.jsonl" in rob.get(url("upload", project)).content.decode()
    for place in ("../outside.jsonl", "link.jsonl", str(tmp_path / "outside.jsonl"), "nothing"):
        assert rob.post(url("fetch", project), {"place": place}).status_code == 422, place
    assert not Dataset.objects.exists()
    assert rob.post(url("fetch", project), {"place": "inner/rows.jsonl"}).status_code == 302
    assert [operation.state for operation in work()] == [OperationState.SUCCEEDED] * 2
    assert Import.objects.get().row_count == 4
