"""Versions: freeze, look at, compare, get out."""

from django.http import Http404
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from ninja import P, QueryEx, Router, Status

from apps.accounts.permissions import Permission
from apps.core.api import REFUSALS
from apps.core.errors import PortalError
from apps.core.http import stream_download
from apps.datasets.api.datasets import dataset_in
from apps.datasets.api.schemas import DifferenceOut, ExportOut, FreezeIn, VersionOut, work_of
from apps.datasets.models import Split, Version, VersionState
from apps.datasets.selectors import versions_of
from apps.datasets.services import version_diff, version_freeze_request
from apps.datasets.version_exports import (
    ExportFile,
    checks_passed,
    export_file,
    export_kinds,
    manifest_file,
    offered_exports,
)
from apps.projects.access import ProjectRequest
from apps.projects.api import ProjectKey, ProjectPlace

router = Router(tags=["Versions"])
EDIT, VIEW = ProjectKey(Permission.EDIT_DATA), ProjectKey(Permission.VIEW)

KINDS = f"One of {', '.join(export_kinds())}."


def _shown(version: Version, *, checks: bool = False) -> VersionOut:
    return VersionOut(
        id=version.pk,
        dataset=version.dataset_id,
        number=version.number,
        state=version.state,
        note=version.note,
        seed=version.seed,
        manifest_hash=version.manifest_hash,
        row_count=version.row_count,
        train_count=version.train_count,
        validation_count=version.validation_count,
        test_count=version.test_count,
        error=version.error,
        work=work_of(version),
        checks=checks_passed(version) if checks else None,
    )


def _frozen(request: ProjectRequest, pk: int) -> Version:
    return get_object_or_404(versions_of(request.project).filter(state=VersionState.FROZEN), pk=pk)


@router.get(
    "/datasets/{int:pk}/versions/",
    auth=VIEW,
    response={200: list[VersionOut], **REFUSALS},
    url_name="versions",
)
def versions(request: ProjectRequest, place: ProjectPlace, pk: int) -> list[VersionOut]:
    """The newest hundred versions of a dataset."""
    found = versions_of(request.project).filter(dataset=dataset_in(request, pk)).defer("statistics")
    return [_shown(version) for version in found.order_by("-number")[:100]]


@router.post(
    "/datasets/{int:pk}/versions/", auth=EDIT, response={202: VersionOut, **REFUSALS}, url_name="freeze"
)
def freeze(request: ProjectRequest, place: ProjectPlace, pk: int, payload: FreezeIn) -> Status[VersionOut]:
    """Freeze what stands in the dataset as the next version, in the background."""
    if payload.train_percent + payload.validation_percent + payload.test_percent != 100:
        raise PortalError("The three shares must make 100 %.", code="bad_shares")
    version = version_freeze_request(
        dataset=dataset_in(request, pk),
        seed=payload.seed,
        validation_share=payload.validation_percent / 100,
        test_share=payload.test_percent / 100,
        group_path=payload.group_path,
        keeps_splits=payload.keeps_splits,
        note=payload.note,
        actor=request.user,
    )
    return Status(202, _shown(version))


@router.get("/versions/{int:pk}/", auth=VIEW, response={200: VersionOut, **REFUSALS}, url_name="version")
def version(request: ProjectRequest, place: ProjectPlace, pk: int) -> VersionOut:
    """One version, with which checks it passed."""
    return _shown(get_object_or_404(versions_of(request.project), pk=pk), checks=True)


@router.get(
    "/versions/{int:pk}/differences/",
    auth=VIEW,
    response={200: DifferenceOut, **REFUSALS},
    url_name="differences",
)
def differences(
    request: ProjectRequest,
    place: ProjectPlace,
    pk: int,
    after: QueryEx[
        int | None, P(description="The newer version; without it the dataset as it stands.")
    ] = None,
) -> DifferenceOut:
    """How many rows were added, removed, changed and moved to another split since this version."""
    other = None if after is None else _frozen(request, after)
    found = version_diff(before=_frozen(request, pk), after=other)
    return DifferenceOut(before=pk, after=after, summary=found.summary)


@router.get(
    "/versions/{int:pk}/exports/",
    auth=VIEW,
    response={200: list[ExportOut], **REFUSALS},
    url_name="exports",
)
def exports(request: ProjectRequest, place: ProjectPlace, pk: int) -> list[ExportOut]:
    """Every kind of file, with how many rows it holds and what of them it can't carry."""
    return [
        ExportOut(
            kind=each.key,
            label=each.label,
            rows=each.rows,
            left_out=each.left_out,
            dropped=dict(each.dropped),
        )
        for each in offered_exports(_frozen(request, pk))
    ]


@router.get("/versions/{int:pk}/export/", auth=VIEW, response={**REFUSALS}, url_name="export")
def export(
    request: ProjectRequest,
    place: ProjectPlace,
    pk: int,
    *,
    kind: QueryEx[str, P(description=KINDS)] = "chat",
    split: QueryEx[str, P(description="One split; empty: all, in the order of the version.")] = "",
) -> HttpResponseBase:
    """The rows as a file, streamed."""
    found = _frozen(request, pk)
    if split and split not in Split.values:
        raise PortalError(
            f"There is no split “{split}”. Splits: {', '.join(Split.values)}.", code="unknown_split"
        )
    file = export_file(found, kind, split or None)
    if file is None:
        raise PortalError(
            f"There is no kind “{kind}”. Kinds: {', '.join(export_kinds())}.", code="unknown_kind"
        )
    return _download(request, file)


@router.get("/versions/{int:pk}/manifest/", auth=VIEW, response={**REFUSALS}, url_name="manifest")
def manifest(request: ProjectRequest, place: ProjectPlace, pk: int) -> HttpResponseBase:
    """The manifest: its SHA-256 is the version's hash."""
    return _download(request, manifest_file(_frozen(request, pk)))


def _download(request: ProjectRequest, file: ExportFile | None) -> HttpResponseBase:
    if file is None:
        raise Http404("No such export")
    return stream_download(request, file.content, filename=file.name, content_type=file.content_type)
