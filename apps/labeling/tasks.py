"""Background work on labeling: one subject in, and a service that can be called again after a crash."""

from celery import shared_task

from apps.labeling.models import DraftRun, LabelImport, Outcome, Session
from apps.labeling.services.drafting import DRAFT_KIND, drafts_make, drafts_stopped
from apps.labeling.services.label_importing import KIND as LABEL_IMPORT_KIND
from apps.labeling.services.label_importing import label_import_run, label_import_stopped
from apps.labeling.services.outcomes import KIND as OUTCOME_KIND
from apps.labeling.services.outcomes import outcome_run, outcome_stopped
from apps.labeling.services.piloting import pilots_decide
from apps.labeling.services.preparing import session_prepare, session_prepare_stopped
from apps.labeling.services.sessions import PREPARE_KIND
from apps.labeling.services.settling import sessions_settle
from apps.operations.kinds import operation_kind
from apps.operations.models import Operation
from apps.operations.progress import Progress


def _session_of(operation: Operation) -> Session | None:
    return Session.objects.select_related("version__dataset").filter(pk=operation.subject_id).first()


def _prepare_stopped(operation: Operation) -> None:
    if session := _session_of(operation):
        session_prepare_stopped(session=session, operation=operation)


@operation_kind(PREPARE_KIND, queue="default", on_stopped=_prepare_stopped)
def prepare(operation: Operation, progress: Progress) -> None:
    if session := _session_of(operation):
        session_prepare(session=session, progress=progress)


def _outcome_of(operation: Operation) -> Outcome | None:
    outcomes = Outcome.objects.select_related("session__version__dataset__project__workspace", "created_by")
    return outcomes.select_related("session__project__workspace").filter(pk=operation.subject_id).first()


def _outcome_stopped(operation: Operation) -> None:
    if outcome := _outcome_of(operation):
        outcome_stopped(outcome=outcome, operation=operation)


@operation_kind(OUTCOME_KIND, queue="default", on_stopped=_outcome_stopped)
def hand_over(operation: Operation, progress: Progress) -> None:
    if outcome := _outcome_of(operation):
        outcome_run(outcome=outcome, progress=progress)


@shared_task
def settle() -> None:
    """Items whose labels are all in move on, and pilots that are complete are decided."""
    sessions_settle()
    pilots_decide()


def _label_import_of(operation: Operation) -> LabelImport | None:
    imports = LabelImport.objects.select_related("session__project__workspace", "blob", "created_by")
    return imports.filter(pk=operation.subject_id).first()


def _label_import_stopped(operation: Operation) -> None:
    if label_import := _label_import_of(operation):
        label_import_stopped(label_import=label_import, operation=operation)


@operation_kind(LABEL_IMPORT_KIND, queue="default", on_stopped=_label_import_stopped)
def import_labels(operation: Operation, progress: Progress) -> None:
    if label_import := _label_import_of(operation):
        label_import_run(label_import=label_import, progress=progress)


def _run_of(operation: Operation) -> DraftRun | None:
    runs = DraftRun.objects.select_related(
        "session__project", "variant__base_model", "variant__model_version__artifact"
    )
    return runs.filter(pk=operation.subject_id).first()


def _drafts_stopped(operation: Operation) -> None:
    if run := _run_of(operation):
        drafts_stopped(run=run, operation=operation)


@operation_kind(DRAFT_KIND, queue="default", on_stopped=_drafts_stopped)
def draft(operation: Operation, progress: Progress) -> None:
    if run := _run_of(operation):
        drafts_make(run=run, progress=progress)
