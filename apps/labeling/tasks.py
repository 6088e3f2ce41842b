"""Background work on labeling: one subject in, and a service that can be called again after a crash."""

from apps.labeling.models import DraftRun, Session
from apps.labeling.services.drafting import DRAFT_KIND, drafts_make, drafts_stopped
from apps.labeling.services.preparing import session_prepare, session_prepare_stopped
from apps.labeling.services.sessions import PREPARE_KIND
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
