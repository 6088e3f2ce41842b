"""Reads about changes of rows."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Left

from apps.core.pagination import KeysetPage, keyset_page
from apps.datasets.models import Change, ChangeRow
from apps.datasets.selectors import EXCERPT, PAGE
from apps.projects.models import Project


def changes_of(project: Project) -> QuerySet[Change]:
    """Changes made by hand, undone ones too, in datasets that are not in the trash."""
    return Change.objects.filter(dataset__project=project, dataset__deleted_at=None).select_related(
        "dataset__project__workspace", "created_by", "undone_by"
    )


def change_rows_page(change: Change, parameters: Mapping[str, Any]) -> KeysetPage[ChangeRow]:
    """Which rows a change touched: each with the form that it took away and the one that it put there."""
    rows = ChangeRow.objects.filter(change=change).select_related("before", "after")
    heavy = [f"{side}__{name}" for side in ("before", "after") for name in ("raw", "payload", "words")]
    shown = rows.annotate(
        text_before=Left("before__text", EXCERPT), text_after=Left("after__text", EXCERPT)
    ).defer(*heavy, "before__text", "after__text")
    return keyset_page(shown, parameters, size=PAGE)
