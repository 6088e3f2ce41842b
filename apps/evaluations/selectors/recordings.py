"""Reading what tuned models answered, with or without a comparison."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import QuerySet
from django.urls import reverse

from apps.evaluations.models import Run, SuiteKind
from apps.operations.models import Operation
from apps.projects.models import Project

RECORD_KIND = "evaluations.record"
SHOWN = 50


def recordings_url(project: Project) -> str:
    return reverse("evaluations:recordings", args=[project.workspace.slug, project.slug])


def recordings_of(project: Project) -> QuerySet[Run]:
    """Runs of tuned models over items of the task, newest first."""
    return (
        Run.objects.filter(
            suite__project=project, suite__kind=SuiteKind.TASK, variant__model_version__isnull=False
        )
        .select_related("suite", "variant__model_version", "variant__base_model__connection")
        .order_by("-pk")
    )


def finished_recordings(project: Project) -> list[Run]:
    """Newest first, those with an answer at least; a page full."""
    return list(recordings_of(project).filter(finished_at__isnull=False, answered__gt=0)[:SHOWN])


@dataclass(frozen=True, kw_only=True)
class RecordingRow:
    """A run with the work on it, if that is under way or failed."""

    run: Run
    operation: Operation | None

    @property
    def is_working(self) -> bool:
        return self.operation is not None and self.operation.is_active

    @property
    def tone(self) -> str:
        if self.run.is_finished:
            return "done"
        return "working" if self.is_working else "attention"

    @property
    def word(self) -> str:
        if self.run.is_finished:
            return "Recorded"
        return "Recording" if self.is_working else "Not complete"

    @property
    def can_be_closed(self) -> bool:
        return not self.run.is_finished and not self.is_working and self.run.answered > 0


def recording_rows(runs: Sequence[Run]) -> list[RecordingRow]:
    """The runs with the newest operation on each, in one query."""
    operations: dict[int, Operation] = {}
    found = Operation.objects.filter(
        kind=RECORD_KIND,
        subject_type=Run._meta.label_lower,
        subject_id__in=[run.pk for run in runs],
    )
    for operation in found.order_by("pk"):
        operations[operation.subject_id] = operation
    return [RecordingRow(run=run, operation=operations.get(run.pk)) for run in runs]
