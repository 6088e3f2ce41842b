"""Datasets, examples (as received, byte for byte) and frozen versions with their splits; the other tables beside.

Why so: docs/adr/0009-draft-and-forms.md.
"""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.models.functions import Coalesce, Left
from django.urls import reverse

from apps.accounts.models import User
from apps.core.canonical import canonical_json
from apps.core.models import TimeStampedModel
from apps.core.states import state_constraint
from apps.datasets.expressions import AnswerHash, CharacterLength
from apps.projects.models import Project

SEARCHED_CHARACTERS = 100_000
"""The start of a row's text that search covers: Postgres refuses search vectors of more than 1 MB."""


class StandingDatasets(models.Manager["Dataset"]):
    """Datasets that are not in the trash."""

    def get_queryset(self) -> models.QuerySet["Dataset"]:
        return super().get_queryset().filter(deleted_at=None)


class Dataset(TimeStampedModel):
    """A growing set of examples; what is trained on are its frozen versions."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="datasets")
    name = models.CharField(max_length=80)
    description = models.TextField(blank=True)
    licence = models.CharField(
        max_length=100, blank=True, help_text="Under which its rows may be used; goes into every export."
    )
    example_count = models.BigIntegerField(default=0)
    tag_names = ArrayField(models.CharField(max_length=40), default=list, db_default=[], blank=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    deleted_at = models.DateTimeField(null=True, help_text="Since when it is in the trash.")
    deleted_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    objects = StandingDatasets()
    with_deleted = models.Manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"],
                condition=models.Q(deleted_at=None),
                name="dataset_name_unique_in_project",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("datasets:detail", args=[self.project.workspace.slug, self.project.slug, self.pk])


class Split(models.TextChoices):
    TRAIN = "train", "Train"
    VALIDATION = "validation", "Validation"
    TEST = "test", "Test"


class Example(models.Model):
    """One form of one row of a dataset; its content never changes, an edit makes another form that replaces it.

    `raw` is what was received; `payload` is derived from it: the same row where `raw` is a line of chat, else the
    conversation that the import's mapping made of it. What stands in the dataset now,
    its head, is what has not been removed; the next version is frozen from it.
    """

    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="examples")
    source = models.ForeignKey("datasets.Import", models.RESTRICT, null=True, related_name="examples")
    line = models.BigIntegerField(null=True, help_text="Line in the source file.")
    row = models.BigIntegerField(
        null=True,
        help_text="The first form of an edited row, its key over all versions; null: this is the first.",
    )
    replaces = models.ForeignKey("self", models.RESTRICT, null=True, related_name="replaced_by")
    removed_at = models.DateTimeField(null=True, help_text="Null: it stands in the dataset.")
    split = models.CharField(
        max_length=10,
        choices=Split.choices,
        blank=True,
        default="",
        db_default="",
        help_text="The split that its source gave it.",
    )
    tags = ArrayField(models.CharField(max_length=40), default=list, db_default=[], blank=True)
    raw = models.BinaryField()
    raw_is_chat = models.BooleanField(
        default=True, db_default=True, help_text="False: raw is a row of another shape; payload is the row."
    )
    payload = models.JSONField()
    content_hash = models.CharField(max_length=64)
    text = models.TextField(help_text="All message contents.")
    words = models.GeneratedField(
        expression=SearchVector(Left("text", SEARCHED_CHARACTERS), config="simple"),
        output_field=SearchVectorField(),
        db_persist=True,
    )
    key = models.GeneratedField(
        expression=Coalesce("row", "id"),
        output_field=models.BigIntegerField(),
        db_persist=True,
        help_text="What stays the same when the row is edited; rows are listed and frozen in its order.",
    )
    characters = models.GeneratedField(
        expression=CharacterLength("text"), output_field=models.IntegerField(), db_persist=True
    )
    answer_hash = models.GeneratedField(
        expression=AnswerHash("payload"), output_field=models.BigIntegerField(), db_persist=True, null=True
    )
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        User, models.SET_NULL, null=True, related_name="+", help_text="Who edited; null: as imported."
    )

    class Meta:
        ordering = ["pk"]
        constraints = [
            # Also the index by which the rows of a dataset are paged, and read without their texts.
            models.UniqueConstraint(
                fields=["dataset", "key"],
                include=["id"],
                condition=models.Q(removed_at__isnull=True),
                name="one_form_of_a_row_stands",
            ),
        ]
        indexes = [
            models.Index(fields=["row"], name="example_forms", condition=models.Q(row__isnull=False)),
            models.Index(
                fields=["dataset", "key"],
                name="example_removed_page",
                condition=models.Q(removed_at__isnull=False),
            ),
            models.Index(
                fields=["dataset", "split", "key"], name="example_split_page", condition=~models.Q(split="")
            ),
            models.Index(fields=["dataset", "answer_hash", "key"], name="example_answer_page"),
            models.Index(fields=["dataset", "characters"], name="example_characters"),
            GinIndex(fields=["tags"], name="example_tags"),
            models.Index(fields=["dataset", "content_hash"], name="example_content"),
            models.Index(fields=["source", "key"], name="example_source_page"),
            GinIndex(fields=["words"], name="example_words"),
        ]

    def __str__(self) -> str:
        return f"example {self.pk}"

    def get_absolute_url(self) -> str:
        project = self.dataset.project
        return reverse("datasets:example", args=[project.workspace.slug, project.slug, self.pk])

    @property
    def chat_line(self) -> bytes:
        """The row as a line of chat: as received, or where that was no chat the canonical JSON of its payload."""
        return bytes(self.raw) if self.raw_is_chat else canonical_json(self.payload)


class VersionState(models.TextChoices):
    FREEZING = "freezing", "Freezing"
    FROZEN = "frozen", "Frozen"
    FAILED = "failed", "Failed"


class Version(TimeStampedModel):
    """A frozen, numbered set of rows with their split. Its identity is the manifest hash."""

    State = VersionState
    ALLOWED: ClassVar = {
        VersionState.FREEZING: {VersionState.FROZEN, VersionState.FAILED},
        VersionState.FROZEN: set(),
        VersionState.FAILED: {VersionState.FREEZING},
    }

    dataset = models.ForeignKey(Dataset, models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    state = models.CharField(max_length=10, choices=VersionState.choices, default=VersionState.FREEZING)
    note = models.CharField(max_length=300, blank=True)
    seed = models.BigIntegerField(default=42)
    validation_share = models.FloatField(default=0.1)
    test_share = models.FloatField(default=0.1)
    group_path = models.CharField(
        max_length=100,
        blank=True,
        help_text="Rows with the same value here stay in one split: metadata.wording",
    )
    keeps_splits = models.BooleanField(
        default=False, help_text="Rows stay in the split that their source gave them."
    )
    tokenizer = models.CharField(
        max_length=300, blank=True, help_text="The base model whose tokenizer counted."
    )
    too_long = models.CharField(
        max_length=10,
        blank=True,
        default="",
        db_default="",
        help_text="What was decided about rows longer than the model reads: truncate, or empty.",
    )
    manifest_hash = models.CharField(max_length=64, blank=True)
    statistics = models.JSONField(default=dict)
    test_release_reason = models.CharField(
        max_length=300,
        blank=True,
        help_text="Why rows that were tested on before may be trained on; empty: they stay in test.",
    )
    error = models.TextField(blank=True)
    row_count = models.BigIntegerField(default=0)
    train_count = models.BigIntegerField(default=0)
    validation_count = models.BigIntegerField(default=0)
    test_count = models.BigIntegerField(default=0)
    frozen_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "number"], name="version_number_unique"),
            state_constraint(VersionState, "version_state_known"),
            models.CheckConstraint(
                condition=~models.Q(state="frozen") | ~models.Q(manifest_hash=""),
                name="frozen_version_has_hash",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dataset.name} v{self.number}"

    @property
    def tokenizer_name(self) -> str:
        """The model's name without the folders of this machine."""
        return self.tokenizer.rsplit("/", 1)[-1] if self.tokenizer.startswith("/") else self.tokenizer

    def get_absolute_url(self) -> str:
        project = self.dataset.project
        return reverse("datasets:version", args=[project.workspace.slug, project.slug, self.pk])


class VersionRow(models.Model):
    """Which example stands where in a version."""

    version = models.ForeignKey(Version, models.CASCADE, related_name="rows")
    example = models.ForeignKey(Example, models.PROTECT, related_name="version_rows")
    position = models.BigIntegerField(help_text="1, 2, … in the order of the manifest.")
    split = models.CharField(max_length=10, choices=Split.choices)
    token_count = models.IntegerField(null=True, help_text="By the version's tokenizer, template included.")
    answer_token_count = models.IntegerField(null=True, help_text="Tokens that are trained on.")
    group = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["version", "position"], name="one_row_per_position"),
            models.UniqueConstraint(fields=["version", "example"], name="one_row_per_example"),
        ]
        indexes = [models.Index(fields=["version", "split", "position"], name="version_split_page")]

    def __str__(self) -> str:
        return f"row {self.position}"


# They point at the tables above.
from apps.datasets.change_models import (  # noqa: E402
    Change,
    ChangeAction,
    ChangeRow,
    ChangeState,
    SavedFilter,
    VersionDiff,
)
from apps.datasets.import_models import (  # noqa: E402
    Import,
    ImportProblem,
    ImportRow,
    ImportState,
    SavedMapping,
    Upload,
)
from apps.datasets.report_models import (  # noqa: E402
    CheckPart,
    CheckReport,
    CheckState,
    Decision,
    ExampleFacts,
    Finding,
    FindingRow,
    Severity,
)

__all__ = [
    "Change",
    "ChangeAction",
    "ChangeRow",
    "ChangeState",
    "CheckPart",
    "CheckReport",
    "CheckState",
    "Dataset",
    "Decision",
    "Example",
    "ExampleFacts",
    "Finding",
    "FindingRow",
    "Import",
    "ImportProblem",
    "ImportRow",
    "ImportState",
    "SavedFilter",
    "SavedMapping",
    "Severity",
    "Split",
    "Upload",
    "Version",
    "VersionDiff",
    "VersionRow",
    "VersionState",
]
