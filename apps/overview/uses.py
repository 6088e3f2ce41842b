"""What came of data: the jobs that trained on a version or a row, and the evaluations that used it."""

from dataclasses import dataclass

from django.db.models import Q, QuerySet

from apps.datasets.models import Example, Split, Version, VersionRow
from apps.datasets.selectors import forms_of
from apps.evaluations.models import Comparison, SuiteItem
from apps.jobs.models import TrainingJob
from apps.projects.models import Project

SHOWN = 50


@dataclass(frozen=True)
class Uses:
    jobs: list[TrainingJob]
    comparisons: list[Comparison]


def uses_of_version(project: Project, version: Version) -> Uses:
    """Jobs that trained on it; comparisons that were held on its rows, or that judged a model trained on it."""
    comparisons = Comparison.objects.filter(
        Q(suite__version=version) | Q(candidate__model_version__training_job__version=version),
        project=project,
    )
    jobs = TrainingJob.objects.filter(project=project, version=version)
    return Uses(_jobs(jobs), _comparisons(comparisons))


def uses_of_row(project: Project, example: Example) -> Uses:
    """Jobs that had any form of the row in their training split; comparisons that asked for it."""
    forms = list(forms_of(example.key).values_list("pk", flat=True))
    trained = VersionRow.objects.filter(example__in=forms, split=Split.TRAIN).values("version")
    asked = SuiteItem.objects.filter(example__in=forms).values("suite")
    jobs = TrainingJob.objects.filter(project=project, version__in=trained)
    return Uses(_jobs(jobs), _comparisons(Comparison.objects.filter(project=project, suite__in=asked)))


def _jobs(jobs: QuerySet[TrainingJob]) -> list[TrainingJob]:
    return list(jobs.select_related("project__workspace", "version__dataset").order_by("-pk")[:SHOWN])


def _comparisons(comparisons: QuerySet[Comparison]) -> list[Comparison]:
    found = comparisons.select_related("project__workspace", "suite", "candidate").order_by("-pk").distinct()
    return list(found[:SHOWN])
