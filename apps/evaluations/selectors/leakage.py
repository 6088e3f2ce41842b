"""Whether test items were trained on."""

from apps.datasets.models import Example, Split, Version, VersionRow
from apps.evaluations.models import Suite, SuiteItem
from apps.jobs.models import TrainingJob
from apps.registry.models import Variant

BATCH = 1000
"""Items looked up at a time."""


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
    hashes = list(
        SuiteItem.objects.filter(suite=suite).exclude(content_hash="").values_list("content_hash", flat=True)
    )
    different, trained = sorted(set(hashes)), set[str]()
    # In batches, by the index on content: as one query, Postgres may compare every item with every row while it
    # has no statistics of rows that were added a moment ago.
    for start in range(0, len(different), BATCH):
        batch = different[start : start + BATCH]
        examples = Example.objects.filter(dataset_id=version.dataset_id, content_hash__in=batch)
        found = dict(examples.values_list("pk", "content_hash"))
        rows = VersionRow.objects.filter(version=version, split=Split.TRAIN, example_id__in=list(found))
        trained |= {found[example_id] for example_id in rows.values_list("example_id", flat=True)}
    return sum(content_hash in trained for content_hash in hashes)
