"""The background work of evaluations."""

from apps.evaluations.models import Comparison, Run
from apps.evaluations.selectors.recordings import RECORD_KIND
from apps.evaluations.services.comparisons import KIND, comparison_stopped
from apps.evaluations.services.recording import recording_run
from apps.evaluations.services.running import comparison_run
from apps.operations.kinds import operation_kind
from apps.operations.models import Operation
from apps.operations.progress import Progress


def _stopped(operation: Operation) -> None:
    comparison_stopped(operation=operation)


@operation_kind(KIND, queue="training", on_stopped=_stopped)
def compare(operation: Operation, progress: Progress) -> None:
    comparison = Comparison.objects.select_related(
        "project__workspace",
        "suite",
        "general_suite",
        "general_base__base_model",
        "candidate__base_model",
        "candidate__model_version__artifact",
    ).get(pk=operation.subject_id)
    comparison_run(comparison=comparison, progress=progress)


def _recording_stopped(operation: Operation) -> None:
    """What was answered is kept; the run stays open, to be gone on with or closed."""


@operation_kind(RECORD_KIND, queue="training", on_stopped=_recording_stopped)
def record_answers(operation: Operation, progress: Progress) -> None:
    run = Run.objects.select_related(
        "suite__project", "variant__base_model__connection__workspace", "variant__model_version__artifact"
    ).get(pk=operation.subject_id)
    recording_run(run=run, progress=progress)
