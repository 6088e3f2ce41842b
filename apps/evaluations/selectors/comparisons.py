"""Reading comparisons for their pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, QuerySet

from apps.evaluations.models import Comparison, ComparisonState, Run, Suite
from apps.evaluations.verdict import Verdict
from apps.projects.models import Project
from apps.registry.models import Variant

CANDIDATE_KEY = "candidate"


def comparisons_of(project: Project) -> QuerySet[Comparison]:
    """Newest first, with what the list shows."""
    return (
        Comparison.objects.filter(project=project)
        .select_related("suite", "general_suite", "candidate__model_version", "created_by")
        .annotate(baseline_count=Count("contenders"))
        .order_by("-pk")
    )


def next_look(suite: Suite) -> int:
    """Which look at the items a verdict would be. A comparison that ended without one has shown nothing."""
    return Comparison.objects.filter(suite=suite, state=ComparisonState.DONE).count() + 1


def suites_of(project: Project) -> QuerySet[Suite]:
    """Newest first, with the number of comparisons on each."""
    return (
        Suite.objects.filter(project=project)
        .select_related("version__dataset")
        .annotate(comparison_count=Count("comparisons"))
        .order_by("-pk")
    )


@dataclass(frozen=True, kw_only=True)
class Contender:
    """One row of the contenders' table. `run` is None while nothing was asked; `metrics` until the run is complete."""

    key: str
    label: str
    variant: Variant
    run: Run | None
    is_candidate: bool

    @property
    def metrics(self) -> dict[str, Any] | None:
        return self.run.metrics if self.run is not None else None


@dataclass(frozen=True, kw_only=True)
class Contenders:
    """The baselines in their order, then the candidate; on general items the untuned model and the candidate."""

    task: list[Contender]
    general: list[Contender]

    @property
    def candidate(self) -> Contender:
        return self.task[-1]

    @property
    def baselines(self) -> list[Contender]:
        return self.task[:-1]

    def of_key(self, key: str) -> Contender | None:
        return next((one for one in self.task if one.key == key), None)


def contenders_of(comparison: Comparison) -> Contenders:
    """Who is compared, with the run of each on the task and, where it is measured, on general skills."""
    rows = list(
        comparison.contenders.select_related(
            "variant__base_model__connection", "variant__model_version__artifact"
        )
    )
    variants = [row.variant for row in rows] + [comparison.candidate]
    task_runs = _runs(comparison.suite, variants)
    task = [
        Contender(
            key=str(row.variant_id),
            label=row.label,
            variant=row.variant,
            run=task_runs.get(row.variant_id),
            is_candidate=False,
        )
        for row in rows
    ]
    task.append(_candidate(comparison, task_runs))
    general: list[Contender] = []
    if comparison.general_suite is not None and comparison.general_base is not None:
        runs = _runs(comparison.general_suite, [comparison.general_base, comparison.candidate])
        base = comparison.general_base
        general = [
            Contender(
                key=str(base.pk), label="untuned", variant=base, run=runs.get(base.pk), is_candidate=False
            ),
            _candidate(comparison, runs),
        ]
    return Contenders(task=task, general=general)


def _candidate(comparison: Comparison, runs: dict[int, Run]) -> Contender:
    return Contender(
        key=CANDIDATE_KEY,
        label="Fine-tuned",
        variant=comparison.candidate,
        run=runs.get(comparison.candidate_id),
        is_candidate=True,
    )


def _runs(suite: Suite, variants: Sequence[Variant]) -> dict[int, Run]:
    return {run.variant_id: run for run in Run.objects.filter(suite=suite, variant__in=variants)}


def verdict_of(comparison: Comparison) -> Verdict | None:
    """As it was stored; None before the comparison is done."""
    if comparison.state != ComparisonState.DONE or comparison.verdict is None:
        return None
    return Verdict.from_dict(comparison.verdict)


def answers_per_second(project: Project) -> float | None:
    """Measured on the newest finished runs of this project; None before the first one."""
    runs = Run.objects.filter(suite__project=project, finished_at__isnull=False, asking_seconds__gt=1)
    rows = list(runs.order_by("-finished_at").values_list("answered", "asking_seconds")[:6])
    seconds = sum(row[1] for row in rows)
    return sum(row[0] for row in rows) / seconds if seconds else None
