"""What a session gave back to the dataset."""

from typing import ClassVar

from django.db import models

from apps.accounts.models import User
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
