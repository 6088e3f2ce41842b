"""What the page of a job must know of evaluations: what its model answered, and how its successors were judged."""

from urllib.parse import urlencode

from django.urls import reverse

from apps.evaluations.models import Comparison
from apps.evaluations.selectors.leakage import leaked_items
from apps.evaluations.selectors.recordings import recording_rows, recordings_of, recordings_url
from apps.jobs.models import TrainingJob
from apps.jobs.plugs import Evidence, Judgement, RecordedAnswers

SHOWN = 5


def evidence_of(job: TrainingJob) -> Evidence:
    """Recordings of the job's own model, and comparisons in which it is a baseline."""
    slugs = [job.project.workspace.slug, job.project.slug]
    create_url = reverse("evaluations:create", args=slugs)
    rows = []
    if job.model_version_id is not None:
        runs = recordings_of(job.project).filter(variant__model_version_id=job.model_version_id)
        rows = recording_rows(list(runs[:SHOWN]))
    variants = [row.run.variant_id for row in rows]
    comparisons = (
        Comparison.objects.filter(project=job.project, contenders__variant__in=variants)
        .select_related("project__workspace")
        .order_by("-pk")
        .distinct()
    )
    return Evidence(
        recorded=[
            RecordedAnswers(
                items_name=row.run.suite.name,
                answers=row.run.answered,
                items=row.run.suite.item_count,
                is_complete=row.run.is_finished and row.run.answered > 0,
                is_working=row.is_working,
                trained_on=leaked_items(row.run.suite, row.run.variant),
                compare_url=f"{create_url}?{urlencode({'recorded': row.run.pk})}",
            )
            for row in rows
        ],
        judgements=[
            Judgement(name=each.name, url=each.get_absolute_url(), sentence=each.sentence)
            for each in comparisons[:SHOWN]
        ],
        record_url=_record_url(job),
        upload_url=reverse("evaluations:upload_suite", args=slugs),
    )


def _record_url(job: TrainingJob) -> str:
    given = {"model": job.model_version_id, "items": _items_of(job)}
    return (
        f"{recordings_url(job.project)}?{urlencode({name: value for name, value in given.items() if value})}"
    )


def _items_of(job: TrainingJob) -> str:
    """The test split of the job's own version, frozen as a suite or not yet."""
    if not job.version.test_count:
        return ""
    suite = job.version.suites.filter(split="test", project=job.project).first()
    return f"suite:{suite.pk}" if suite is not None else f"version:{job.version_id}"
