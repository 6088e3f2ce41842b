"""Reports of the checks, and decisions about what they found."""

from django.shortcuts import get_object_or_404
from ninja import Router, Status

from apps.accounts.permissions import Permission
from apps.core.api import REFUSALS
from apps.datasets.api.datasets import dataset_in
from apps.datasets.api.schemas import DecisionIn, DecisionOut, FindingOut, ReportOut, work_of
from apps.datasets.models import CheckReport, Dataset, Finding, Version
from apps.datasets.selectors import versions_of
from apps.datasets.selectors_checks import findings_of, is_current, latest_report, reports_of
from apps.datasets.services import checks_request, finding_decide
from apps.projects.access import ProjectRequest
from apps.projects.api import ProjectKey, ProjectPlace

router = Router(tags=["Checks"])
EDIT, VIEW = ProjectKey(Permission.EDIT_DATA), ProjectKey(Permission.VIEW)


def _shown(report: CheckReport) -> ReportOut:
    findings = [
        FindingOut(
            id=each.pk,
            check=each.check_name,
            code=each.code,
            severity=each.severity,
            title=each.title,
            detail=each.detail,
            actions=each.actions,
            blocks=each.blocks,
            item_count=each.item_count,
            open_count=each.open_count,
            row_count=each.row_count,
        )
        for each in findings_of(report)
    ]
    return ReportOut(
        id=report.pk,
        dataset=report.dataset_id,
        version=report.version_id,
        state=report.state,
        row_count=report.row_count,
        checks=report.checks,
        open_problems=report.problem_count,
        open_to_look_at=report.attention_count,
        is_current=is_current(report),
        findings=findings,
        error=report.error,
        work=work_of(report),
    )


def _newest(dataset: Dataset, version: Version | None = None) -> ReportOut:
    report = latest_report(dataset, version)
    if report is None:
        return ReportOut(
            id=0,
            dataset=dataset.pk,
            version=version.pk if version else None,
            state="not_checked",
            row_count=0,
            checks=[],
            open_problems=0,
            open_to_look_at=0,
            is_current=False,
            findings=[],
            error="",
            work=None,
        )
    return _shown(report)


@router.get(
    "/datasets/{int:pk}/checks/", auth=VIEW, response={200: ReportOut, **REFUSALS}, url_name="dataset_checks"
)
def dataset_checks(request: ProjectRequest, place: ProjectPlace, pk: int) -> ReportOut:
    """The newest report of what stands in the dataset; state `not_checked` where there is none."""
    return _newest(dataset_in(request, pk))


@router.post(
    "/datasets/{int:pk}/checks/", auth=EDIT, response={202: ReportOut, **REFUSALS}, url_name="check_dataset"
)
def check_dataset(request: ProjectRequest, place: ProjectPlace, pk: int) -> Status[ReportOut]:
    """Run all checks, in the background."""
    return Status(202, _shown(checks_request(dataset=dataset_in(request, pk), actor=request.user)))


@router.get(
    "/versions/{int:pk}/checks/", auth=VIEW, response={200: ReportOut, **REFUSALS}, url_name="version_checks"
)
def version_checks(request: ProjectRequest, place: ProjectPlace, pk: int) -> ReportOut:
    """The newest report of a version."""
    version = get_object_or_404(versions_of(request.project), pk=pk)
    return _newest(version.dataset, version)


@router.post(
    "/versions/{int:pk}/checks/", auth=EDIT, response={202: ReportOut, **REFUSALS}, url_name="check_version"
)
def check_version(request: ProjectRequest, place: ProjectPlace, pk: int) -> Status[ReportOut]:
    """Run all checks of a frozen version, in the background."""
    version = get_object_or_404(versions_of(request.project), pk=pk)
    return Status(202, _shown(checks_request(dataset=version.dataset, version=version, actor=request.user)))


@router.post(
    "/findings/{int:pk}/decisions/", auth=EDIT, response={200: DecisionOut, **REFUSALS}, url_name="decide"
)
def decide(request: ProjectRequest, place: ProjectPlace, pk: int, payload: DecisionIn) -> DecisionOut:
    """Clean up what a finding found, or accept it with a reason. Recorded with who decided and why."""
    finding = get_object_or_404(
        Finding.objects.filter(report__in=reports_of(request.project)).select_related(
            "report__dataset__project__workspace", "report__version"
        ),
        pk=pk,
    )
    changed = finding_decide(
        finding=finding,
        action=payload.action,
        reason=payload.reason,
        items=payload.items,
        actor=request.user,
    )
    return DecisionOut(rows_changed=changed)
