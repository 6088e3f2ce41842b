"""Deleted datasets: thirty days in the trash, then gone for good."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.audit.models import AuditEvent
from apps.core.errors import ConflictError
from apps.datasets.models import Dataset, Example, Import
from apps.datasets.services import dataset_create, dataset_delete, dataset_restore, merge_request, trash_empty
from tests.datasets.conftest import tickets, url

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dataset(dataset_of) -> Dataset:
    made: Dataset = dataset_of(tickets(5))
    return made


def test_a_deleted_dataset_is_nowhere_but_in_the_trash_and_comes_back(dataset, rob, vic, project):
    example, record = Example.objects.all()[0], Import.objects.get()
    assert rob.post(url("delete", project, dataset.pk)).status_code == 302
    for place in (
        url("detail", project, dataset.pk),
        url("example", project, example.pk),
        url("import", project, record.pk),
        url("change_rows", project, dataset.pk),
    ):
        assert rob.get(place).status_code == 404, place
    assert "1 deleted dataset" in rob.get(url("index", project)).content.decode()
    assert dataset.name in vic.get(url("trash", project)).content.decode()
    assert rob.post(url("restore_dataset", project, dataset.pk)).status_code == 302
    assert rob.get(url("detail", project, dataset.pk)).status_code == 200
    assert rob.post(url("restore_dataset", project, dataset.pk)).status_code == 409


def test_the_name_is_free_again_and_then_in_the_way(dataset, project, people):
    dataset_delete(dataset=dataset, actor=people.rob)
    dataset_create(project=project, name=dataset.name, actor=people.rob)
    with pytest.raises(ConflictError, match="Rename that one first"):
        dataset_restore(dataset=dataset, actor=people.rob)


def test_only_what_is_old_is_removed_for_good(dataset, dataset_of, upload, commit, project, people, work):
    other = commit(upload(tickets(8), name="other.jsonl")).dataset
    merge_request(dataset=other, other=dataset, keep_duplicates=True, actor=people.rob)
    work()
    dataset_delete(dataset=dataset, actor=people.rob)
    assert trash_empty() == 0
    moment = timezone.now() - timedelta(days=30, seconds=1)
    Dataset.with_deleted.filter(pk=dataset.pk).update(deleted_at=moment)
    assert trash_empty() == 1
    assert not Dataset.with_deleted.filter(pk=dataset.pk).exists()
    assert Import.objects.count() == 1
    other.refresh_from_db()
    assert other.example_count == Example.objects.count() == 13  # merged rows stay
    assert AuditEvent.objects.filter(action="dataset.purged").exists()
