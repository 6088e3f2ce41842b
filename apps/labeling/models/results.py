"""What a session gave back to the dataset."""

from typing import ClassVar

from django.db import models

from apps.accounts.models import User
from apps.artifacts.models import Blob
from apps.core.models import TimeStampedModel
from apps.core.states import state_constraint
from apps.datasets.models import Change, Dataset, Version
from apps.labeling.models.sessions import Session


class OutcomeState(models.TextChoices):
    WAITING = "waiting", "Under way"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


class Outcome(TimeStampedModel):
    """One hand-over of accepted answers: rows changed, rows taken out, preference pairs, perhaps a new version."""

    State = OutcomeState
    ALLOWED: ClassVar = {
        OutcomeState.WAITING: {OutcomeState.DONE, OutcomeState.FAILED},
        OutcomeState.FAILED: {OutcomeState.WAITING},
        OutcomeState.DONE: set(),
    }

    session = models.ForeignKey(Session, models.CASCADE, related_name="outcomes")
    state = models.CharField(max_length=8, choices=OutcomeState.choices, default=OutcomeState.WAITING)
    answer_from = models.CharField(
        max_length=40, blank=True, help_text="The question whose answer becomes the assistant's."
    )
    leaves_out_rejected = models.BooleanField(default=True)
    makes_pairs = models.BooleanField(default=False)
    freezes = models.BooleanField(default=True, help_text="A new version is frozen at once.")
    row_count = models.PositiveIntegerField(default=0, help_text="Rows that got their answer.")
    removed_count = models.PositiveIntegerField(default=0)
    pair_count = models.PositiveIntegerField(default=0)
    refused_count = models.PositiveIntegerField(default=0, help_text="They would not have passed the checks.")
    gone_count = models.PositiveIntegerField(
        default=0, help_text="Edited or removed since they were labeled."
    )
    change = models.ForeignKey(Change, models.SET_NULL, null=True, related_name="+")
    pairs_dataset = models.ForeignKey(Dataset, models.SET_NULL, null=True, related_name="+")
    version = models.ForeignKey(Version, models.SET_NULL, null=True, related_name="+")
    error = models.TextField(blank=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            state_constraint(OutcomeState, "labeling_outcome_state_known"),
            models.UniqueConstraint(
                fields=["session"],
                condition=models.Q(state="waiting"),
                name="labeling_one_outcome_at_a_time",
            ),
        ]

    def __str__(self) -> str:
        return f"outcome of {self.session}"


class LabelImportState(models.TextChoices):
    READ = "read", "Read"
    WAITING = "waiting", "Under way"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


class LabelImport(TimeStampedModel):
    """Labels that were made with another tool, for the items of a session."""

    State = LabelImportState
    ALLOWED: ClassVar = {
        LabelImportState.READ: {LabelImportState.WAITING},
        LabelImportState.WAITING: {LabelImportState.DONE, LabelImportState.FAILED},
        LabelImportState.FAILED: {LabelImportState.WAITING},
        LabelImportState.DONE: set(),
    }

    session = models.ForeignKey(Session, models.CASCADE, related_name="label_imports")
    state = models.CharField(max_length=8, choices=LabelImportState.choices, default=LabelImportState.READ)
    blob = models.ForeignKey(Blob, models.PROTECT, related_name="+")
    file_name = models.CharField(max_length=200)
    format = models.CharField(max_length=40, help_text="What the file was recognised as.")
    found = models.JSONField(
        default=dict,
        help_text="{records, labels, drafts, left_out, labelers, questions}: what the file holds.",
    )
    labelers = models.JSONField(default=dict, help_text="Name in the file -> number of a member.")
    questions = models.JSONField(default=dict, help_text="Name in the file -> key of a question.")
    is_independent = models.BooleanField(
        default=True, help_text="Made without seeing others' labels: they count for agreement."
    )
    label_count = models.PositiveIntegerField(default=0)
    surplus_count = models.PositiveIntegerField(default=0)
    known_count = models.PositiveIntegerField(default=0, help_text="The person had labeled the item already.")
    problem_count = models.PositiveIntegerField(default=0)
    problems = models.JSONField(default=list, help_text="The first of [record, message, excerpt].")
    error = models.TextField(blank=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-pk"]
        constraints = [state_constraint(LabelImportState, "labeling_import_state_known")]

    def __str__(self) -> str:
        return f"labels of {self.file_name}"
