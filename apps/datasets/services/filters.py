"""Filters that people keep under a name."""

from django.db import transaction

from apps.accounts.models import User
from apps.audit.services import record
from apps.datasets.models import Dataset, SavedFilter
from apps.datasets.row_filters import RowFilter


def filter_save(*, dataset: Dataset, name: str, wanted: RowFilter, actor: User) -> SavedFilter:
    """Keep the filter; one of the same name is replaced."""
    with transaction.atomic():
        saved, _ = SavedFilter.objects.update_or_create(
            dataset=dataset, name=name, defaults={"query": wanted.query[:2000], "created_by": actor}
        )
        record(
            workspace=dataset.project.workspace,
            actor=actor,
            action="filter.saved",
            target=saved,
            data={"dataset": dataset.pk, "query": saved.query},
        )
    return saved


def filter_delete(*, saved: SavedFilter, actor: User) -> None:
    """The rows that it found stay as they are."""
    with transaction.atomic():
        record(
            workspace=saved.dataset.project.workspace,
            actor=actor,
            action="filter.deleted",
            target=saved,
            before={"query": saved.query},
        )
        SavedFilter.objects.filter(pk=saved.pk).delete()
