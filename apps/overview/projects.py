"""The projects of a workspace, each with how far it is, in as many queries for fifty as for one."""

from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet

from apps.accounts.models import Workspace
from apps.datasets.models import Version, VersionState
from apps.evaluations.models import Comparison, ComparisonState
from apps.evaluations.pages import comparison_title
from apps.jobs.models import TrainingJob
from apps.projects.models import Project
from apps.projects.selectors import projects_of
from apps.registry.models import ModelVersion


@dataclass(frozen=True, kw_only=True)
class Card:
    project: Project
    verdict: Comparison | None
    """The newest."""
    verdict_title: str
    versions: int
    models: int
    running: int
    """Training jobs and comparisons on their way."""


def cards_of(workspace: Workspace) -> list[Card]:
    """One for each project, by name."""
    done = Comparison.objects.filter(project__workspace=workspace, state=ComparisonState.DONE)
    newest = done.order_by("project_id", "-pk").distinct("project_id").select_related("project__workspace")
    verdicts = {comparison.project_id: comparison for comparison in newest}
    frozen = Version.objects.filter(
        dataset__project__workspace=workspace, dataset__deleted_at=None, state=VersionState.FROZEN
    )
    versions = _count(frozen, "dataset__project")
    models = _count(ModelVersion.objects.filter(project__workspace=workspace), "project")
    jobs = _count(
        TrainingJob.objects.filter(project__workspace=workspace, state__in=TrainingJob.ACTIVE), "project"
    )
    comparing = Comparison.objects.filter(project__workspace=workspace, state__in=Comparison.ACTIVE)
    comparisons = _count(comparing, "project")
    return [
        Card(
            project=each,
            verdict=verdicts.get(each.pk),
            verdict_title=comparison_title(verdicts[each.pk]) if each.pk in verdicts else "",
            versions=versions.get(each.pk, 0),
            models=models.get(each.pk, 0),
            running=jobs.get(each.pk, 0) + comparisons.get(each.pk, 0),
        )
        for each in projects_of(workspace).select_related("workspace")
    ]


def _count(things: QuerySet[Any], project: str) -> dict[int, int]:
    """How many each project has; `project`: the way to it."""
    return dict(things.order_by().values_list(project).annotate(Count("pk")))
