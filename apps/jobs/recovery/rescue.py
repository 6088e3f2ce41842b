"""How far a model whose base is dying has come to a new one: its data, recorded answers, its successor, a verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.urls import reverse

from apps.core.tones import ATTENTION, DONE, FAILED, NEUTRAL, WORKING
from apps.datasets.models import CheckReport, CheckState, Import
from apps.datasets.selectors_checks import latest_report
from apps.jobs.models import JobState, RecoveredJob, TrainingJob
from apps.jobs.plugs import Evidence, evidence_of
from apps.providers.lifetimes import LifeLeft
from apps.registry.selectors import life_left

CARRIED = ("epochs", "batch_size", "beta")
"""What means the same for every trainer. A learning rate multiplies a rate that the provider keeps to itself."""
SUCCESSORS = 5


@dataclass(frozen=True, kw_only=True)
class Rescue:
    """`carried` of the recipe goes into the form of the new job, `left` can't."""

    job: TrainingJob
    life: LifeLeft | None
    recovered: RecoveredJob | None
    imports: Sequence[Import]
    checks: CheckReport | None
    evidence: Evidence | None
    successors: Sequence[TrainingJob]
    carried: Mapping[str, Any]
    left: Sequence[str]
    train_url: str
    where_url: str

    @property
    def bad_rows(self) -> int:
        return sum(each.problem_count for each in self.imports)

    @property
    def data_step(self) -> tuple[str, str]:
        """Tone and word."""
        if self.checks is not None and self.checks.state == CheckState.CHECKING:
            return WORKING, "Being checked"
        if self.said_by_person or self.bad_rows:
            return ATTENTION, "Here, look at it"
        return DONE, "Here"

    @property
    def said_by_person(self) -> bool:
        return self.recovered is not None and self.recovered.used_stand_in

    @property
    def record_step(self) -> tuple[str, str]:
        recorded = self.evidence.recorded if self.evidence is not None else ()
        if any(each.is_complete for each in recorded):
            return DONE, "Recorded"
        if any(each.is_working for each in recorded):
            return WORKING, "Recording"
        if self.job.model_version_id is None:
            return FAILED, "Not possible"
        return ATTENTION, "Do it now"

    @property
    def train_step(self) -> tuple[str, str]:
        if any(job.state == JobState.SUCCEEDED for job in self.successors):
            return DONE, "Trained"
        if any(job.is_active for job in self.successors):
            return WORKING, "Training"
        return NEUTRAL, "To do"

    @property
    def compare_step(self) -> tuple[str, str]:
        judgements = self.evidence.judgements if self.evidence is not None else ()
        if any(each.sentence for each in judgements):
            return DONE, "Compared"
        return (WORKING, "Comparing") if judgements else (NEUTRAL, "To do")

    @property
    def compare_url(self) -> str:
        """Empty until there are answers to compare with and a model to compare."""
        newest = next((job for job in self.successors if job.model_version_id is not None), None)
        recorded = self.evidence.recorded if self.evidence is not None else ()
        complete = next((each for each in recorded if each.is_complete), None)
        if newest is None or complete is None:
            return ""
        return f"{complete.compare_url}&model={newest.model_version_id}"


def rescue_of(job: TrainingJob, *, today: date) -> Rescue | None:
    """None for a job whose model is in no danger: not brought in, and its base goes on."""
    if not job.has_ended or job.state == JobState.FAILED:
        return None
    life = life_left(job.base_model, today)
    endangered = life is not None and life.tone in (ATTENTION, FAILED) and job.model_version_id is not None
    if job.imported_at is None and not endangered:
        return None
    slugs = [job.project.workspace.slug, job.project.slug]
    carried = {
        name: job.hyperparameters[name] for name in CARRIED if job.hyperparameters.get(name) is not None
    }
    recovered = RecoveredJob.objects.filter(job=job).select_related("files", "stand_in").first()
    dataset = job.version.dataset
    asked = {"version": job.version_id, "name": job.name, "objective": job.objective, **carried}
    if job.configuration.get("seed") is not None:
        asked["seed"] = job.configuration["seed"]
    places = {"version": job.version_id, "objective": job.objective, "epochs": carried.get("epochs")}
    return Rescue(
        job=job,
        life=life,
        recovered=recovered,
        imports=list(
            Import.objects.filter(dataset=dataset, problem_count__gt=0).select_related(
                "dataset__project__workspace"
            )
        ),
        checks=latest_report(dataset, job.version),
        evidence=evidence_of(job),
        successors=_successors(job),
        carried=carried,
        left=sorted(name for name in job.hyperparameters if name not in CARRIED),
        train_url=f"{reverse('jobs:create', args=slugs)}?{urlencode(asked)}",
        where_url=f"{reverse('jobs:where', args=slugs)}?{urlencode({k: v for k, v in places.items() if v})}",
    )


def _successors(job: TrainingJob) -> list[TrainingJob]:
    """Newer jobs on the same data with another base, newest first."""
    found = (
        TrainingJob.objects.filter(project=job.project, imported_at=None)
        .filter(Q(version=job.version) | Q(version__dataset=job.version.dataset))
        .filter(pk__gt=job.pk)
        .exclude(base_model=job.base_model)
        .select_related("base_model", "version__dataset", "project__workspace", "model_version")
        .order_by("-pk")
    )
    return list(found[:SUCCESSORS])
