"""What came of data: where it was labeled, the jobs that trained on it, the evaluations that used it."""

from dataclasses import dataclass

from django.db.models import Q, QuerySet

from apps.datasets.models import Example, Split, Version, VersionRow
from apps.datasets.selectors import forms_of
from apps.evaluations.models import Comparison, SuiteItem
from apps.jobs.models import TrainingJob
from apps.labeling.models import Item, Session
from apps.projects.models import Project

SHOWN = 50


@dataclass(frozen=True)
class Uses:
    sessions: list[Session]
    """Where a version was labeled."""
    items: list[Item]
    """Where a row was labeled."""
    jobs: list[TrainingJob]
    comparisons: list[Comparison]


def uses_of_version(project: Project, version: Version) -> Uses:
    """Jobs that trained on it; comparisons that were held on its rows, or that judged a model trained on it."""
    comparisons = Comparison.objects.filter(
        Q(suite__version=version) | Q(candidate__model_version__training_job__version=version),
        project=project,
    )
    jobs = TrainingJob.objects.filter(project=project, version=version)
    sessions = Session.objects.filter(project=project, version=version)
    labeled = list(sessions.select_related("project__workspace").order_by("-pk")[:SHOWN])
    return Uses(labeled, [], _jobs(jobs), _comparisons(comparisons))


def uses_of_row(project: Project, example: Example) -> Uses:
    """Sessions that had any form of the row labeled; jobs that had one in their training split; comparisons that asked
    for it."""
    forms = list(forms_of(example.key).values_list("pk", flat=True))
    trained = VersionRow.objects.filter(example__in=forms, split=Split.TRAIN).values("version")
    asked = SuiteItem.objects.filter(example__in=forms).values("suite")
    jobs = TrainingJob.objects.filter(project=project, version__in=trained)
    items = Item.objects.filter(example__in=forms, session__project=project)
    labeled = list(items.select_related("session__project__workspace").order_by("-pk")[:SHOWN])
    comparisons = Comparison.objects.filter(project=project, suite__in=asked)
    return Uses([], labeled, _jobs(jobs), _comparisons(comparisons))


def _jobs(jobs: QuerySet[TrainingJob]) -> list[TrainingJob]:
    return list(jobs.select_related("project__workspace", "version__dataset").order_by("-pk")[:SHOWN])


def _comparisons(comparisons: QuerySet[Comparison]) -> list[Comparison]:
    found = comparisons.select_related("project__workspace", "suite", "candidate").order_by("-pk").distinct()
    return list(found[:SHOWN])
