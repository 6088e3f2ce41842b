"""Two versions side by side, or a version and the dataset as it stands."""

from dataclasses import dataclass
from typing import Any

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404

from apps.accounts.permissions import Permission
from apps.core.http import render_partial
from apps.datasets.diff_pages import DiffKind, diff_page, splits_of_examples
from apps.datasets.message_differences import MessageDifference, message_differences
from apps.datasets.models import Example, Version, VersionDiff
from apps.datasets.row_filters import number_of
from apps.datasets.selectors import frozen_versions_of
from apps.datasets.services import version_diff
from apps.datasets.version_comparison import answers_moved, figures_of
from apps.datasets.views.datasets import data_crumbs
from apps.projects.access import ProjectRequest, project_view

HEAD = "head"
KINDS: dict[DiffKind, str] = {
    "changed": "Changed",
    "added": "Added",
    "removed": "Removed",
    "moved": "In another split",
}


@dataclass(frozen=True)
class DiffRow:
    key: int
    before: Example | None
    after: Example | None
    differences: list[MessageDifference]
    split_before: str = ""
    split_after: str = ""

    @property
    def shown(self) -> Example:
        found = self.after or self.before
        assert found is not None
        return found


@project_view(Permission.VIEW)
def compare_versions(request: ProjectRequest, pk: int) -> HttpResponse:
    """What was added, removed and changed, and what that moved in the figures; one row by itself with `row`."""
    first = get_object_or_404(frozen_versions_of(request.project).defer(None), pk=pk)
    others = list(frozen_versions_of(request.project).filter(dataset=first.dataset_id).exclude(pk=pk))
    before, after = _sides(request, first, others)
    diff = version_diff(before=before, after=after)
    kind = _kind(request, diff)
    number = number_of(request.GET.get("page")) or 1
    row_id = number_of(request.GET.get("row"))
    page = diff_page(diff, kind, number=number, row_id=row_id)
    if row_id is not None and not page.pairs:
        raise Http404("This row is not among those that differ")
    base = f"?with={after.pk if after and after.pk != first.pk else HEAD if after is None else before.pk}"
    context: dict[str, Any] = {
        "version": first,
        "dataset": first.dataset,
        "before": before,
        "after": after,
        "others": sorted(others, key=lambda version: -version.number),
        "diff": diff,
        "summary": diff.summary,
        "kind": kind,
        "kinds": [
            {
                "label": label,
                "url": f"{base}&kind={name}",
                "count": diff.summary[name],
                "current": name == kind,
            }
            for name, label in KINDS.items()
            if name != "moved" or after is not None
        ],
        "page": page,
        "base": f"{base}&kind={kind}",
        "row_id": row_id,
        "rows": _rows(page.pairs, before, after, kind),
        "figures": [figure for figure in figures_of(before, after) if figure.moved] if after else [],
        "answers": answers_moved(before, after) if after else [],
        "breadcrumbs": data_crumbs(
            request,
            (first.dataset.name, first.dataset.get_absolute_url()),
            (f"Version {first.number}", first.get_absolute_url()),
            ("What changed", ""),
        ),
    }
    return render_partial(request, "datasets/compare.html", context, partials=["differing"])


def _sides(request: ProjectRequest, first: Version, others: list[Version]) -> tuple[Version, Version | None]:
    """The older one first; without a choice the version before this one, or else the dataset."""
    wanted = request.GET.get("with", "")
    if wanted == HEAD:
        return first, None
    number = number_of(wanted)
    if number is not None:
        other = next((version for version in others if version.pk == number), None)
        if other is None:
            raise Http404("No such version")
    else:
        older = [version for version in others if version.number < first.number]
        other = max(older, key=lambda version: version.number, default=None)
    if other is None:
        return first, None
    whole = Version.objects.select_related("dataset__project__workspace").get(pk=other.pk)
    return (whole, first) if whole.number < first.number else (first, whole)


def _kind(request: ProjectRequest, diff: VersionDiff) -> DiffKind:
    asked = request.GET.get("kind", "")
    for name in KINDS:
        if name == asked:
            return name
    return next((name for name in KINDS if diff.summary[name]), "changed")


def _rows(
    pairs: list[tuple[int | None, int | None]], before: Version, after: Version | None, kind: DiffKind
) -> list[DiffRow]:
    ids = [pk for pair in pairs for pk in pair if pk is not None]
    found = Example.objects.defer("raw", "text", "words").in_bulk(ids)
    old = splits_of_examples(before, ids) if kind == "moved" else {}
    new = splits_of_examples(after, ids) if kind == "moved" and after else {}
    rows = []
    for before_id, after_id in pairs:
        one, other = found.get(before_id or 0), found.get(after_id or 0)
        shown = other or one
        if shown is None:
            continue
        differences = []
        if one is not None and other is not None and one.pk != other.pk:
            parts = message_differences(
                one.payload.get("messages") or [], other.payload.get("messages") or []
            )
            differences = [part for part in parts if part.kind != "same"]
        rows.append(
            DiffRow(
                shown.key,
                one,
                other,
                differences,
                old.get(shown.pk, ""),
                new.get(shown.pk, ""),
            )
        )
    return rows
