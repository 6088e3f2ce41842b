"""Files on their way in: staged and checked first, then committed or discarded as a whole."""

from typing import ClassVar

from django.db import models
from django.urls import reverse

from apps.accounts.models import User
from apps.artifacts.models import Blob
from apps.core.formatting import format_number
from apps.core.models import TimeStampedModel
from apps.core.states import state_constraint
from apps.projects.models import Project


def _rows(count: int) -> str:
    return f"{format_number(count)} row{'' if count == 1 else 's'}"


class ImportState(models.TextChoices):
    FETCHING = "fetching", "Fetching"
    RECEIVED = "received", "Received"
    UNMAPPED = "unmapped", "To be confirmed"
    CHECKING = "checking", "Checking"
    CHECKED = "checked", "Ready to commit"
    COMMITTING = "committing", "Committing"
    COMMITTED = "committed", "Committed"
    DISCARDED = "discarded", "Discarded"
    FAILED = "failed", "Failed"


class Upload(TimeStampedModel):
    """A file that is coming in from a browser in pieces; it goes on where it stopped, also days later."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="uploads")
    created_by = models.ForeignKey(User, models.CASCADE, related_name="+")
    file_name = models.CharField(max_length=255)
    size = models.BigIntegerField(help_text="Bytes of the whole file.")
    modified = models.CharField(max_length=40, help_text="When the file was changed, as the browser says.")
    received = models.BigIntegerField(default=0, help_text="Bytes that are here.")
    blob = models.ForeignKey(Blob, models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "created_by", "file_name", "size", "modified"], name="one_upload_per_file"
            )
        ]

    def __str__(self) -> str:
        return self.file_name

    @property
    def is_whole(self) -> bool:
        return self.received == self.size


class Import(TimeStampedModel):
    """One uploaded file on its way in: staged and checked first, then committed or discarded as a whole."""

    State = ImportState
    ALLOWED: ClassVar = {
        ImportState.FETCHING: {ImportState.RECEIVED, ImportState.FAILED},
        ImportState.RECEIVED: {
            ImportState.UNMAPPED,
            ImportState.CHECKING,
            ImportState.DISCARDED,
            ImportState.FAILED,
        },
        ImportState.UNMAPPED: {ImportState.CHECKING, ImportState.DISCARDED},
        ImportState.CHECKING: {ImportState.CHECKED, ImportState.FAILED},
        # A checked file may be read anew, by another mapping.
        ImportState.CHECKED: {ImportState.COMMITTING, ImportState.CHECKING, ImportState.DISCARDED},
        # A commit is one transaction: stopped in the middle, everything is as before it.
        ImportState.COMMITTING: {ImportState.COMMITTED, ImportState.CHECKED},
        ImportState.COMMITTED: set(),
        ImportState.DISCARDED: set(),
        ImportState.FAILED: {ImportState.FETCHING, ImportState.CHECKING, ImportState.DISCARDED},
    }
    OPEN = (
        ImportState.FETCHING,
        ImportState.UNMAPPED,
        ImportState.RECEIVED,
        ImportState.CHECKING,
        ImportState.CHECKED,
        ImportState.COMMITTING,
        ImportState.FAILED,
    )

    dataset = models.ForeignKey("datasets.Dataset", models.CASCADE, related_name="imports")
    state = models.CharField(max_length=12, choices=ImportState.choices, default=ImportState.RECEIVED)
    file_name = models.CharField(max_length=200)
    blob = models.ForeignKey(
        Blob, models.PROTECT, null=True, related_name="+", help_text="Null: not fetched yet."
    )
    upload = models.ForeignKey(
        Upload, models.SET_NULL, null=True, related_name="+", help_text="The pieces that the file comes in."
    )
    fetched_from = models.CharField(
        max_length=2000, blank=True, help_text="The address, or the path in the operator's import directory."
    )
    reading = models.JSONField(
        default=dict, help_text="Format, compression, columns; empty: not recognised yet."
    )
    mapping = models.JSONField(default=dict, help_text="How rows become conversations; empty: as they are.")
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
    def counts_lines(self) -> bool:
        """Whether places in the file are lines; otherwise they are rows."""
        return self.reading.get("format", "jsonl") in ("jsonl", "csv")

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


class SavedMapping(TimeStampedModel):
    """A mapping kept by name, for the next file of the same shape."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="saved_mappings")
    name = models.CharField(max_length=80)
    mapping = models.JSONField()
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["project", "name"], name="saved_mapping_name_unique")]

    def __str__(self) -> str:
        return self.name


class ImportRow(models.Model):
    """A staged row. Gone once the import is committed or discarded."""

    # Looked up by a trigger once for each COPY, not for each row; the constraint below is its index.
    import_record = models.ForeignKey(
        Import,
        models.CASCADE,
        related_name="rows",
        db_column="import_id",
        db_constraint=False,
        db_index=False,
    )
    line = models.BigIntegerField(help_text="In formats without lines the place among the rows.")
    raw = models.BinaryField(help_text="The row as received, without its line end.")
    raw_is_chat = models.BooleanField(default=True, db_default=True)
    split = models.CharField(max_length=10, blank=True, default="", db_default="")
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
    byte_offset = models.BigIntegerField(null=True, help_text="Null: the format has no such places.")
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
