"""The rows of a filter as a file."""

from dataclasses import replace

from django.http import Http404
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404

from apps.accounts.permissions import Permission
from apps.core.http import stream_download
from apps.datasets.exports import FORMATS
from apps.datasets.models import Dataset, Version, VersionState
from apps.datasets.row_filters import RowFilter
from apps.datasets.selectors import datasets_of, versions_of
from apps.datasets.selectors_exports import filtered_export_rows
from apps.datasets.version_exports import file_stem, name_stem
from apps.projects.access import ProjectRequest, project_view


@project_view(Permission.VIEW)
def export_rows(request: ProjectRequest, pk: int, kind: str) -> HttpResponseBase:
    """Rows of what stands in a dataset."""
    dataset = get_object_or_404(datasets_of(request.project), pk=pk)
    return _download(request, dataset, RowFilter.of(request.GET), kind)


@project_view(Permission.VIEW)
def export_version_rows(request: ProjectRequest, pk: int, kind: str) -> HttpResponseBase:
    """Rows of a version."""
    frozen = versions_of(request.project).filter(state=VersionState.FROZEN).defer("statistics")
    version = get_object_or_404(frozen, pk=pk)
    wanted = replace(RowFilter.of(request.GET), removed=False)
    return _download(request, version.dataset, wanted, kind, version)


def _download(
    request: ProjectRequest, dataset: Dataset, wanted: RowFilter, kind: str, version: Version | None = None
) -> HttpResponseBase:
    wanted_format = FORMATS.get(kind)
    if wanted_format is None:
        raise Http404("No such format")
    content = wanted_format.write(filtered_export_rows(dataset, wanted, version))
    stem = file_stem(version) if version else name_stem(dataset.name)
    name = f"{stem}-rows.{wanted_format.ending}"
    return stream_download(request, content, filename=name, content_type=wanted_format.content_type)
