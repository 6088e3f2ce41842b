"""A dataset of a million rows and its versions, made by the database itself, for the benchmarks that read them."""

import uuid

from django.db import connection
from django.utils import timezone

from apps.accounts.models import Workspace
from apps.datasets.models import Dataset, Version, VersionState
from apps.datasets.services import dataset_create
from apps.projects.models import Project

# Two thirds came without a split, the last tenth is a test file; 40 answers of which one is rare; lengths from 60 to
# 2,000 characters; a tag on every thousandth row; words in every third row, every 300th, every 100,000th.
_ROWS = """
INSERT INTO datasets_example (dataset_id, line, raw, payload, content_hash, text, split, tags, created_at)
SELECT %(dataset)s, n, convert_to(payload::text, 'UTF8'), payload, md5(t), t,
       CASE WHEN n > %(count)s * 0.9 THEN 'test' WHEN n %% 3 = 0 THEN 'train' ELSE '' END,
       CASE WHEN n %% 1000 = 0 THEN ARRAY['checked'] ELSE ARRAY[]::varchar[] END, now()
FROM (
    SELECT n, 'ticket ' || n || ' my order of ' || md5(n::text) || ' is late, card ' || n %% 977
              || CASE WHEN n %% 3 = 0 THEN ' common' ELSE '' END
              || CASE WHEN n %% 100000 = 0 THEN ' rare' ELSE '' END
              || CASE WHEN n %% 300 = 0 THEN ' middling' ELSE '' END
              || CASE WHEN n > %(count)s * 0.9 THEN ' evening' ELSE '' END
              || CASE WHEN n %% 5000 = 0 THEN repeat(' at great length', 120)
                      ELSE repeat(' and so on', 1 + n %% 20) END AS t
    FROM generate_series(1, %(count)s) AS n
) AS texts
CROSS JOIN LATERAL (
    SELECT jsonb_build_object('messages', jsonb_build_array(
        jsonb_build_object('role', 'user', 'content', t),
        jsonb_build_object('role', 'assistant', 'content',
                           CASE WHEN n %% 50000 = 7 THEN 'rare answer' ELSE 'category ' || n %% 40 END))) AS payload
) AS made
"""
_VERSION = """
INSERT INTO datasets_versionrow (version_id, example_id, position, split, "group")
SELECT %(version)s, id, row_number() OVER (ORDER BY key),
       CASE WHEN key %% 10 = 8 THEN 'validation' WHEN key %% 10 = 9 THEN 'test' ELSE 'train' END, ''
FROM datasets_example WHERE dataset_id = %(dataset)s AND removed_at IS NULL
ORDER BY key
"""


def dataset_of_many(count: int) -> Dataset:
    workspace = Workspace.objects.create(name="Benchmark", slug=f"benchmark-{uuid.uuid4().hex[:8]}")
    project = Project.objects.create(workspace=workspace, name="Many", slug="many")
    dataset = dataset_create(project=project, name="Many", actor=None)
    with connection.cursor() as cursor:
        cursor.execute(_ROWS, {"dataset": dataset.pk, "count": count})
        cursor.execute("VACUUM ANALYZE datasets_example")
    Dataset.objects.filter(pk=dataset.pk).update(example_count=count)
    dataset.refresh_from_db()
    return dataset


def version_of(dataset: Dataset) -> Version:
    """A frozen version of what stands in the dataset, without the statistics that only reading every row gives."""
    version = Version.objects.create(dataset=dataset, number=dataset.versions.count() + 1)
    with connection.cursor() as cursor:
        cursor.execute(_VERSION, {"version": version.pk, "dataset": dataset.pk})
        rows = cursor.rowcount
        cursor.execute("VACUUM ANALYZE datasets_versionrow")
    Version.objects.filter(pk=version.pk).update(
        state=VersionState.FROZEN,
        manifest_hash=uuid.uuid4().hex * 2,
        row_count=rows,
        train_count=rows,
        frozen_at=timezone.now(),
        statistics={"answers": {"distinct": 0, "answers": []}},
    )
    return Version.objects.select_related("dataset__project__workspace").get(pk=version.pk)
