"""Whether test items were trained on."""

from apps.datasets.models import Example, Split, Version
from apps.evaluations.models import Suite, SuiteItem
from apps.jobs.models import TrainingJob
from apps.registry.models import Variant


def training_version_of(variant: Variant) -> Version | None:
    """The dataset version behind a tuned model; None for a base model, or where nothing says."""
    if variant.model_version_id is None:
        return None
    job = (
        TrainingJob.objects.filter(model_version_id=variant.model_version_id)
        .select_related("version__dataset")
        .first()
    )
    return job.version if job is not None else None


def leaked_items(suite: Suite, candidate: Variant) -> int:
    """How many items of the suite have exactly the content of a row that the candidate was trained on."""
    version = training_version_of(candidate)
    if version is None:
        return 0
    trained = Example.objects.filter(version_rows__version=version, version_rows__split=Split.TRAIN)
    return SuiteItem.objects.filter(suite=suite, content_hash__in=trained.values("content_hash")).count()
