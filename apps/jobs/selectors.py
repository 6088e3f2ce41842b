"""Reading jobs for pages: lists never touch metric points."""

import statistics
from dataclasses import dataclass

from django.db.models import Count, Max, Q, QuerySet, Sum
from django.db.models.functions import Least

from apps.accounts.models import Workspace
from apps.datasets.models import Split, Version, VersionRow, VersionState
from apps.jobs.models import JobState, Objective, TrainingJob
from apps.jobs.planning import PairCounts, RowCounts
from apps.projects.models import Project
from apps.registry.models import BaseModel

JOBS_FOR_RATE = 3
LARGE_FIELDS = ("configuration", "environment", "plan", "phases", "log_tail")


def jobs_of_project(project: Project) -> QuerySet[TrainingJob]:
    """For lists: without what only the page of a job shows."""
    return (
        TrainingJob.objects.filter(project=project)
        .select_related("version__dataset", "base_model", "created_by", "model_version")
        .defer(*LARGE_FIELDS)
    )


def job_details(project: Project) -> QuerySet[TrainingJob]:
    """For the page of one job; the project is set by the caller's request."""
    return TrainingJob.objects.filter(project=project).select_related(
        "project__workspace",
        "version__dataset",
        "base_model__connection__workspace",
        "created_by",
        "cancelled_by",
        "model_version",
        "last_checkpoint",
        "log",
    )


def trainable_versions(project: Project) -> QuerySet[Version]:
    """Frozen versions with rows to train on, newest first."""
    return (
        Version.objects.filter(dataset__project=project, state=VersionState.FROZEN, train_count__gt=0)
        .select_related("dataset")
        .order_by("-pk")
    )


def trainable_base_models(workspace: Workspace) -> QuerySet[BaseModel]:
    """Those of this installation, and those of providers that are still connected."""
    return (
        BaseModel.objects.filter(workspace=workspace, connection__removed_at=None)
        .select_related("connection__workspace")
        .order_by("name")
    )


def row_counts(version: Version, *, max_length: int) -> RowCounts:
    """Training rows and tokens of a version, as its own tokenizer counted them when it was frozen."""
    found = VersionRow.objects.filter(version=version, split=Split.TRAIN).aggregate(
        rows=Count("pk"),
        counted=Count("token_count"),
        over=Count("pk", filter=Q(token_count__gt=max_length)),
        tokens=Sum("token_count", filter=Q(token_count__lte=max_length)),
        truncated=Sum(Least("token_count", max_length)),
        longest=Max("token_count"),
    )
    if not found["rows"] or found["counted"] != found["rows"]:
        return RowCounts(rows=version.train_count)
    return RowCounts(
        rows=found["rows"],
        over_length=found["over"],
        tokens=found["tokens"] or 0,
        tokens_truncated=found["truncated"],
        longest=found["longest"],
    )


def pair_counts(version: Version) -> PairCounts:
    """How many rows of a version are preference pairs. Counted when it was frozen; in an older one counted now."""
    if not version.statistics.get("preference_pairs"):
        return PairCounts(train=0, validation=0, train_rows=version.train_count)
    counts = version.statistics.get("preference_pairs_by_split")
    if counts is None:
        pairs = VersionRow.objects.filter(version=version, example__payload__has_key="rejected")
        counts = dict(pairs.order_by().values_list("split").annotate(Count("pk")))
    return PairCounts(
        train=counts.get(Split.TRAIN.value, 0),
        validation=counts.get(Split.VALIDATION.value, 0),
        train_rows=version.train_count,
    )


@dataclass(frozen=True, kw_only=True)
class MeasuredRate:
    """Tokens a second over whole trainings, and where that was measured."""

    tokens_per_second: float
    jobs: int
    hardware: str


def measured_rate(
    *,
    base_model: BaseModel,
    method: str,
    objective: str = Objective.SUPERVISED,
    provider: str = "local",
) -> MeasuredRate | None:
    """The median of the newest jobs with this base model, method, objective and trainer on the hardware of the newest;
    None before one."""
    found = list(
        TrainingJob.objects.filter(
            base_model=base_model,
            method=method,
            objective=objective,
            provider=provider,
            state=JobState.SUCCEEDED,
            measured_tokens_per_second__isnull=False,
        )
        .order_by("-pk")
        .values_list("measured_tokens_per_second", "environment")[: JOBS_FOR_RATE * 3]
    )
    if not found:
        return None
    here = hardware_of(found[0][1])
    rates = [rate for rate, environment in found if rate and hardware_of(environment) == here][:JOBS_FOR_RATE]
    return MeasuredRate(tokens_per_second=statistics.median(rates), jobs=len(rates), hardware=here)


def hardware_of(environment: dict[str, object]) -> str:
    """The hardware of a run in words: cpu, 2 threads."""
    device = str(environment.get("device") or "unknown hardware")
    threads = environment.get("threads")
    return f"{device}, {threads} threads" if threads and device == "cpu" else device
