"""Background work on data: one subject in, and a service that can be called again after a crash."""

from celery import shared_task

from apps.datasets.models import Change, CheckReport, Finding, Import, Version
from apps.datasets.services import (
    change_run,
    change_stopped,
    checks_run,
    checks_stopped,
    facts_help,
    finding_decide_run,
    finding_decide_stopped,
    import_check,
    import_check_stopped,
    import_commit,
    import_commit_stopped,
    import_fetch,
    import_fetch_stopped,
    trash_empty,
    uploads_remove_abandoned,
    version_freeze,
    version_freeze_stopped,
)
from apps.operations.kinds import operation_kind
from apps.operations.models import Operation
from apps.operations.progress import Progress


def _import_of(operation: Operation) -> Import | None:
    return (
        Import.objects.select_related("blob", "dataset__project__workspace")
        .filter(pk=operation.subject_id)
        .first()
    )


def _version_of(operation: Operation) -> Version | None:
    return (
        Version.objects.select_related("dataset__project__workspace").filter(pk=operation.subject_id).first()
    )


def _check_stopped(operation: Operation) -> None:
    if import_record := _import_of(operation):
        import_check_stopped(import_record=import_record, operation=operation)


@operation_kind("datasets.check_import", queue="default", on_stopped=_check_stopped)
def check_import(operation: Operation, progress: Progress) -> None:
    if import_record := _import_of(operation):
        import_check(import_record=import_record, progress=progress)


def _fetch_stopped(operation: Operation) -> None:
    if import_record := _import_of(operation):
        import_fetch_stopped(import_record=import_record, operation=operation)


@operation_kind("datasets.fetch_import", queue="default", on_stopped=_fetch_stopped)
def fetch_import(operation: Operation, progress: Progress) -> None:
    if import_record := _import_of(operation):
        import_fetch(import_record=import_record, progress=progress)


def _commit_stopped(operation: Operation) -> None:
    if import_record := _import_of(operation):
        import_commit_stopped(import_record=import_record, operation=operation)


@operation_kind("datasets.commit_import", queue="default", on_stopped=_commit_stopped)
def commit_import(operation: Operation, progress: Progress) -> None:
    if import_record := _import_of(operation):
        import_commit(import_record=import_record, progress=progress)


def _freeze_stopped(operation: Operation) -> None:
    if version := _version_of(operation):
        version_freeze_stopped(version=version, operation=operation)


@operation_kind("datasets.freeze_version", queue="default", on_stopped=_freeze_stopped)
def freeze_version(operation: Operation, progress: Progress) -> None:
    if version := _version_of(operation):
        version_freeze(version=version, progress=progress)


def _report_of(operation: Operation) -> CheckReport | None:
    return (
        CheckReport.objects.select_related("dataset__project__workspace", "version")
        .filter(pk=operation.subject_id)
        .first()
    )


def _checks_stopped(operation: Operation) -> None:
    if report := _report_of(operation):
        checks_stopped(report=report, operation=operation)


@operation_kind("datasets.run_checks", queue="default", on_stopped=_checks_stopped)
def run_checks(operation: Operation, progress: Progress) -> None:
    if report := _report_of(operation):
        checks_run(report=report, progress=progress)


def _finding_of(operation: Operation) -> Finding | None:
    return (
        Finding.objects.select_related("report__dataset__project__workspace", "report__version")
        .filter(pk=operation.subject_id)
        .first()
    )


def _decide_stopped(operation: Operation) -> None:
    if finding := _finding_of(operation):
        finding_decide_stopped(finding=finding, operation=operation)


@operation_kind("datasets.decide_finding", queue="default", on_stopped=_decide_stopped)
def decide_finding(operation: Operation, progress: Progress) -> None:
    if finding := _finding_of(operation):
        finding_decide_run(finding=finding, progress=progress)


@shared_task(name="apps.datasets.tasks.help_checks")
def help_checks(report_id: int) -> None:
    report = CheckReport.objects.select_related("dataset__project", "version").filter(pk=report_id).first()
    if report is not None and facts_help(report=report):
        help_checks.delay(report_id)


def _change_of(operation: Operation) -> Change | None:
    return (
        Change.objects.select_related("dataset__project__workspace").filter(pk=operation.subject_id).first()
    )


def _change_stopped(operation: Operation) -> None:
    if change := _change_of(operation):
        change_stopped(change=change, operation=operation)


@operation_kind("datasets.change_rows", queue="default", on_stopped=_change_stopped)
def change_rows(operation: Operation, progress: Progress) -> None:
    if change := _change_of(operation):
        change_run(change=change, progress=progress)


@shared_task(name="apps.datasets.tasks.empty_trash")
def empty_trash() -> None:
    trash_empty()


@shared_task(name="apps.datasets.tasks.remove_abandoned_uploads")
def remove_abandoned_uploads() -> None:
    uploads_remove_abandoned()
