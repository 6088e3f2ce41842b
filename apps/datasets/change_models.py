"""What was done to the rows of a dataset, so that it can be seen and undone; what is kept of filters and diffs."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.urls import reverse

from apps.accounts.models import User
from apps.core.models import TimeStampedModel
from apps.core.states import state_constraint


class ChangeAction(models.TextChoices):
    EDIT = "edit", "Edited"
    ADD = "add", "Added by hand"
    REMOVE = "remove", "Removed"
    BRING_BACK = "bring_back", "Brought back"
    REPLACE = "replace", "Text replaced"
    SET_SYSTEM = "set_system", "System prompt set"
    STRIP_SYSTEM = "strip_system", "System prompt removed"
    TAG = "tag", "Tagged"
    UNTAG = "untag", "Tag removed"
    MERGE = "merge", "Merged in"
    RESTORE = "restore", "Version restored"
    REDACT = "redact", "Personal data redacted"


class ChangeState(models.TextChoices):
    WAITING = "waiting", "Under way"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    UNDOING = "undoing", "Being undone"
    UNDONE = "undone", "Undone"


class Change(TimeStampedModel):
    """One action on rows of a dataset, of one row or of many; undone as one."""

    State = ChangeState
    ALLOWED: ClassVar = {
        ChangeState.WAITING: {ChangeState.DONE, ChangeState.FAILED},
        ChangeState.DONE: {ChangeState.UNDOING},
        ChangeState.FAILED: {ChangeState.WAITING},
        # An undoing is one transaction: stopped in the middle, everything is as before it.
        ChangeState.UNDOING: {ChangeState.UNDONE, ChangeState.DONE},
        ChangeState.UNDONE: set(),
    }

    dataset = models.ForeignKey("datasets.Dataset", models.CASCADE, related_name="changes")
    action = models.CharField(max_length=12, choices=ChangeAction.choices)
    state = models.CharField(max_length=8, choices=ChangeState.choices, default=ChangeState.WAITING)
    parameters = models.JSONField(
        default=dict, help_text="What to do, and the filter that says to which rows."
    )
    row_count = models.BigIntegerField(default=0, help_text="Rows that it changed.")
    skipped_count = models.BigIntegerField(
        default=0, help_text="Rows of the filter left alone: nothing to change, or it would have broken them."
    )
    refused_count = models.BigIntegerField(
        default=0, help_text="Of the skipped: rows that would not have passed the checks."
    )
    kept_count = models.BigIntegerField(
        default=0, help_text="Rows that undoing left alone: they were changed again since."
    )
    error = models.TextField(blank=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    undone_at = models.DateTimeField(null=True)
    undone_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            state_constraint(ChangeState, "change_state_known"),
            models.CheckConstraint(
                condition=models.Q(action__in=ChangeAction.values), name="change_action_known"
            ),
        ]
        indexes = [models.Index(fields=["dataset", "-id"], name="change_page")]

    def __str__(self) -> str:
        return f"{self.get_action_display()} in {self.dataset.name}"

    def get_absolute_url(self) -> str:
        project = self.dataset.project
        return reverse("datasets:change", args=[project.workspace.slug, project.slug, self.pk])

    @property
    def is_tagging(self) -> bool:
        return self.action in (ChangeAction.TAG, ChangeAction.UNTAG)


class ChangeRow(models.Model):
    """One row of a change: the form that it took away, the one that it put there; both the same: its tags changed."""

    change = models.ForeignKey(Change, models.CASCADE, related_name="rows")
    before = models.ForeignKey("datasets.Example", models.CASCADE, null=True, related_name="+")
    after = models.ForeignKey("datasets.Example", models.CASCADE, null=True, related_name="+")

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["change", "id"], name="change_row_page")]

    def __str__(self) -> str:
        return f"{self.before_id} → {self.after_id}"


class SavedFilter(TimeStampedModel):
    """A filter of a dataset's rows under a name, for everybody in the project."""

    dataset = models.ForeignKey("datasets.Dataset", models.CASCADE, related_name="saved_filters")
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=2000, help_text="As it stands in the URL.")
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["dataset", "name"], name="filter_name_unique_in_dataset")
        ]

    def __str__(self) -> str:
        return self.name


class VersionDiff(models.Model):
    """What differs between two versions, or between a version and what stands in the dataset, worked out once.

    Rows are kept as lists of example ids in the order of the rows; a page is a slice of them.
    """

    before = models.ForeignKey("datasets.Version", models.CASCADE, related_name="+")
    after = models.ForeignKey(
        "datasets.Version",
        models.CASCADE,
        null=True,
        related_name="+",
        help_text="Null: the dataset as it stands.",
    )
    stamp = models.CharField(
        max_length=120,
        blank=True,
        help_text="Which rows stood in the dataset: see selectors_checks.head_mark; stale once it differs.",
    )
    summary = models.JSONField(default=dict)
    added = ArrayField(models.BigIntegerField(), default=list)
    removed = ArrayField(models.BigIntegerField(), default=list)
    changed_from = ArrayField(models.BigIntegerField(), default=list)
    changed_to = ArrayField(models.BigIntegerField(), default=list, help_text="Row by row as changed_from.")
    moved = ArrayField(
        models.BigIntegerField(), default=list, help_text="The same form, or a changed one, in another split."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["before", "after"], nulls_distinct=False, name="one_diff_of_two_versions"
            )
        ]

    def __str__(self) -> str:
        return f"{self.before_id}…{self.after_id or 'head'}"
