"""A row that a frozen version tested on stays out of the training of later ones, unless somebody says why not."""

import pytest

from apps.audit.models import AuditEvent
from apps.datasets.models import Dataset, Example, Version
from apps.datasets.services import row_add, row_edit
from tests.datasets.conftest import lines, row, tickets, url

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def dataset(dataset_of) -> Dataset:
    made: Dataset = dataset_of(tickets(60))
    return made


def keys(version: Version, split: str) -> set[int]:
    return set(version.rows.filter(split=split).values_list("example__key", flat=True))


def test_another_seed_does_not_train_on_what_was_tested_on(dataset, freeze, vic, project):
    first = freeze(dataset)
    second = freeze(dataset, seed=7)
    assert keys(first, "test") <= keys(second, "test")
    assert second.statistics["held_in_test"] == 6
    assert "Held in test" in vic.get(url("version", project, second.pk)).content.decode()


def test_edited_forms_and_copies_of_tested_rows_stay_in_test(dataset, freeze, people):
    first = freeze(dataset)
    one, other = Example.objects.filter(version_rows__version=first, version_rows__split="test").order_by(
        "pk"
    )[:2]
    edited = row_edit(example=one, raw=lines(row("Something else", "bug")).strip(), actor=people.rob)
    copy = row_add(dataset=dataset, raw=bytes(other.raw), actor=people.rob)
    second = freeze(dataset, seed=7, train_percent=100, validation_percent=0, test_percent=0)
    splits = dict(second.rows.values_list("example_id", "split"))
    assert splits[edited.pk] == splits[copy.pk] == "test"
    assert second.test_count == 7


def test_the_lock_is_released_with_a_reason_only(dataset, freeze, rob, project, work):
    first = freeze(dataset)
    fields = {
        "train_percent": 100,
        "validation_percent": 0,
        "test_percent": 0,
        "seed": 7,
        "release_test": "on",
    }
    assert rob.get(url("freeze", project, dataset.pk)).content.decode().count("release_reason") > 0
    refused = rob.post(url("freeze", project, dataset.pk), fields)
    assert refused.status_code == 422
    assert "Say why" in refused.content.decode()
    second = freeze(dataset, **fields, release_reason="The old test set was drawn wrongly")
    assert (second.test_count, second.train_count) == (0, 60)
    assert keys(first, "test") <= keys(second, "train")
    event = AuditEvent.objects.get(action="version.frozen", target_id=str(second.pk))
    assert event.data["test_released"] == "The old test set was drawn wrongly"
    page = rob.get(url("version", project, second.pk)).content.decode()
    assert "The old test set was drawn wrongly" in page
