"""Imports (staged, checked), examples (as received, byte for byte) and frozen versions with their splits."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVector, SearchVectorField
from django.db import models
from django.db.models.functions import Coalesce, Left
from django.urls import reverse

from apps.accounts.models import User
from apps.artifacts.models import Blob
from apps.core.formatting import format_number
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


def _rows(count: int) -> str:
    return f"{format_number(count)} row{'' if count == 1 else 's'}"


class Dataset(TimeStampedModel):
    """A growing set of examples; what is trained on are its frozen versions."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="datasets")
    name = models.CharField(max_length=80)
    description = models.TextField(blank=True)
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


class ImportState(models.TextChoices):
    RECEIVED = "received", "Received"
    CHECKING = "checking", "Checking"
    CHECKED = "checked", "Ready to commit"
    COMMITTING = "committing", "Committing"
    COMMITTED = "committed", "Committed"
    DISCARDED = "discarded", "Discarded"
    FAILED = "failed", "Failed"


class Import(TimeStampedModel):
    """One uploaded file on its way in: staged and checked first, then committed or discarded as a whole."""

    State = ImportState
    ALLOWED: ClassVar = {
        ImportState.RECEIVED: {ImportState.CHECKING, ImportState.DISCARDED, ImportState.FAILED},
        ImportState.CHECKING: {ImportState.CHECKED, ImportState.FAILED},
        ImportState.CHECKED: {ImportState.COMMITTING, ImportState.DISCARDED},
        # A commit is one transaction: stopped in the middle, everything is as before it.
        ImportState.COMMITTING: {ImportState.COMMITTED, ImportState.CHECKED},
        ImportState.COMMITTED: set(),
        ImportState.DISCARDED: set(),
        ImportState.FAILED: {ImportState.CHECKING, ImportState.DISCARDED},
    }
    OPEN = (
        ImportState.RECEIVED,
        ImportState.CHECKING,
        ImportState.CHECKED,
        ImportState.COMMITTING,
        ImportState.FAILED,
    )

    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="imports")
    state = models.CharField(max_length=12, choices=ImportState.choices, default=ImportState.RECEIVED)
    file_name = models.CharField(max_length=200)
    blob = models.ForeignKey(Blob, models.PROTECT, related_name="+")
    checked_bytes = models.BigIntegerField(
        default=0, help_text="Everything before this offset is staged: where a stopped check goes on."
    )
    line_count = models.BigIntegerField(default=0, help_text="Lines read, empty ones included.")
    empty_line_count = models.BigIntegerField(default=0, help_text="Lines without a character; passed over.")
    row_count = models.BigIntegerField(default=0, help_text="Rows that passed.")
    problem_count = models.BigIntegerField(default=0, help_text="Lines that did not.")
    problem_counts = models.JSONField(default=dict, help_text="Problem code -> lines.")
    has_byte_order_mark = models.BooleanField(default=False)
    repeated_in_file = models.BigIntegerField(
        default=0, help_text="Rows whose messages came before in this file, and not in the dataset."
    )
    already_in_dataset = models.BigIntegerField(
        default=0, help_text="Rows whose messages were in the dataset when the file was checked."
    )
    duplicate_sample = models.JSONField(
        default=list, help_text="The first duplicates: {line, first_line} or {line, example}."
    )
    keep_duplicates = models.BooleanField(default=False)
    added_count = models.BigIntegerField(null=True, help_text="Rows that the commit added.")
    error = models.TextField(blank=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    committed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [state_constraint(ImportState, "import_state_known")]

    def __str__(self) -> str:
        return self.file_name

    @property
    def duplicate_count(self) -> int:
        return self.repeated_in_file + self.already_in_dataset

    @property
    def new_count(self) -> int:
        """Rows that are neither in the dataset nor repeated in the file, as of the check."""
        return self.row_count - self.duplicate_count

    @property
    def passed_text(self) -> str:
        clean = not (self.problem_count or self.duplicate_count)
        return f"{'All ' if clean and self.row_count > 1 else ''}{_rows(self.row_count)} passed"

    @property
    def added_text(self) -> str:
        return f"{_rows(self.added_count or 0)} added to {self.dataset.name}"

    @property
    def empty_text(self) -> str:
        return f"{format_number(self.empty_line_count)} empty" if self.empty_line_count else ""

    def get_absolute_url(self) -> str:
        project = self.dataset.project
        return reverse("datasets:import", args=[project.workspace.slug, project.slug, self.pk])


class ImportRow(models.Model):
    """A staged row. Gone once the import is committed or discarded."""

    import_record = models.ForeignKey(Import, models.CASCADE, related_name="rows", db_column="import_id")
    line = models.BigIntegerField()
    raw = models.BinaryField(help_text="The line as received, without its line end.")
    payload = models.JSONField()
    content_hash = models.CharField(max_length=64, help_text="SHA-256 of the canonical JSON of the messages.")
    text = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["import_record", "line"], name="one_staged_row_per_line")
        ]

    def __str__(self) -> str:
        return f"line {self.line}"


class ImportProblem(models.Model):
    """What is wrong with one line. The first few thousand are kept with their text; all are counted."""

    import_record = models.ForeignKey(Import, models.CASCADE, related_name="problems", db_column="import_id")
    line = models.BigIntegerField()
    byte_offset = models.BigIntegerField()
    path = models.CharField(max_length=200, blank=True, help_text="JSON path: $.messages[1].role")
    code = models.CharField(max_length=40)
    message = models.CharField(max_length=300)
    excerpt = models.CharField(max_length=300, blank=True, help_text="The offending value, cut.")

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["import_record", "line", "path", "code"], name="one_problem_per_place"
            )
        ]
        indexes = [
            models.Index(fields=["import_record", "id"], name="problem_page"),
            models.Index(fields=["import_record", "code", "id"], name="problem_code_page"),
        ]

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


class Split(models.TextChoices):
    TRAIN = "train", "Train"
    VALIDATION = "validation", "Validation"
    TEST = "test", "Test"


class Example(models.Model):
    """One form of one row of a dataset; its content never changes, an edit makes another form that replaces it.

    `raw` is what was received; `payload` is derived from it, for search and display. What stands in the dataset now,
    its head, is what has not been removed; the next version is frozen from it.
    """

    dataset = models.ForeignKey(Dataset, models.CASCADE, related_name="examples")
    source = models.ForeignKey(Import, models.RESTRICT, null=True, related_name="examples")
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
    tokenizer = models.CharField(
        max_length=300, blank=True, help_text="The base model whose tokenizer counted."
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


from apps.datasets.change_models import Change as Change  # noqa: E402, PLC0414 - they point at the tables above
from apps.datasets.change_models import ChangeAction as ChangeAction  # noqa: E402, PLC0414
from apps.datasets.change_models import ChangeRow as ChangeRow  # noqa: E402, PLC0414
from apps.datasets.change_models import ChangeState as ChangeState  # noqa: E402, PLC0414
from apps.datasets.change_models import SavedFilter as SavedFilter  # noqa: E402, PLC0414
from apps.datasets.change_models import VersionDiff as VersionDiff  # noqa: E402, PLC0414
