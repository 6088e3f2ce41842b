"""The rows of a filter as files: exactly those that the page lists, in its order, as they were received."""

import csv
import io
import json

import pyarrow.parquet
import pytest

from apps.datasets.models import Example
from tests.datasets.conftest import lines, row, url

pytestmark = pytest.mark.django_db(transaction=True)

RECEIVED = [
    lines(row(f"question {number}", "yes" if number % 3 else "no", metadata={"n": number}))
    for number in range(1, 31)
]
NO = [RECEIVED[number - 1] for number in range(3, 31, 3)]


@pytest.fixture
def dataset(dataset_of):
    return dataset_of(b"".join(RECEIVED))


def test_what_fits_a_filter_is_downloaded_byte_for_byte(dataset, vic, project):
    place = url("export_rows", project, dataset.pk, "chat")
    assert vic.get(place).getvalue() == b"".join(RECEIVED)
    response = vic.get(place, {"answer": "no"})
    assert response.getvalue() == b"".join(NO)
    assert "-rows.jsonl" in response["Content-Disposition"]
    keys = [each.key for each in Example.objects.filter(dataset=dataset).order_by("pk")[4:6]]
    assert vic.get(place, {"row": keys}).getvalue() == b"".join(RECEIVED[4:6])
    assert vic.get(place, {"q": "nowhere"}).getvalue() == b""


def test_tables_hold_the_same_rows(dataset, vic, project):
    table = vic.get(url("export_rows", project, dataset.pk, "csv"), {"answer": "no"}).getvalue()
    read = list(csv.DictReader(io.StringIO(table.decode())))
    assert [each["row"].encode() + b"\n" for each in read] == NO
    packed = vic.get(url("export_rows", project, dataset.pk, "parquet"), {"answer": "no"}).getvalue()
    assert pyarrow.parquet.read_table(io.BytesIO(packed)).num_rows == len(NO)
    assert vic.get(url("export_rows", project, dataset.pk, "pdf")).status_code == 404


def test_rows_of_a_version_keep_their_places_and_splits(dataset, vic, project, freeze):
    version = freeze(dataset)
    place = url("export_version_rows", project, version.pk, "csv")
    test = list(csv.DictReader(io.StringIO(vic.get(place, {"split": "test"}).getvalue().decode())))
    assert len(test) == version.test_count
    assert {each["split"] for each in test} == {"test"}
    Example.objects.filter(dataset=dataset).update(tags=["seen"])
    chat = vic.get(url("export_version_rows", project, version.pk, "chat"), {"tag": "seen"}).getvalue()
    assert [json.loads(line)["metadata"]["n"] for line in chat.splitlines()] == list(range(1, 31))


def test_the_pages_offer_what_they_list(dataset, client_of, people, vic, project, freeze):
    lea = client_of(people.lea)
    version = freeze(dataset)
    rows = lea.get(dataset.get_absolute_url(), {"answer": "no"}).content.decode()
    assert f"{url('export_rows', project, dataset.pk, 'chat')}?answer=no" in rows
    assert f"version={version.pk}&amp;rows=answer%3Dno" in rows
    part = {"HX-Request": "true", "HX-Target": "div#rows"}
    of_version = lea.get(url("version_rows", project, version.pk), {"answer": "no"}, headers=part)
    shown = of_version.content.decode()
    assert f"{url('export_version_rows', project, version.pk, 'csv')}?answer=no" in shown, (
        "it follows the filter"
    )
    assert f"version={version.pk}&amp;rows=answer%3Dno" in shown
    assert "labeling" not in vic.get(dataset.get_absolute_url()).content.decode().split('id="rows"')[1]
