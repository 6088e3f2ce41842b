"""Answers that a model proposes. They never count as labels: only what a person submits does."""

from typing import ClassVar

from django.db import models

from apps.accounts.models import User
from apps.core.models import TimeStampedModel
from apps.core.states import state_constraint
from apps.labeling.models.queue import Item
from apps.labeling.models.sessions import Session
from apps.registry.models import Variant


class DraftRunState(models.TextChoices):
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


class DraftRun(TimeStampedModel):
    """One candidate proposing answers to the items of a session."""

    State = DraftRunState
    ALLOWED: ClassVar = {
        DraftRunState.RUNNING: {DraftRunState.DONE, DraftRunState.FAILED},
        DraftRunState.FAILED: {DraftRunState.RUNNING},
        DraftRunState.DONE: {DraftRunState.RUNNING},
    }

    session = models.ForeignKey(Session, models.CASCADE, related_name="draft_runs")
    variant = models.ForeignKey(Variant, models.PROTECT, related_name="+")
    state = models.CharField(max_length=8, choices=DraftRunState.choices, default=DraftRunState.RUNNING)
    draft_count = models.PositiveIntegerField(default=0)
    failed_count = models.PositiveIntegerField(default=0)
    prompt_tokens = models.BigIntegerField(default=0)
    completion_tokens = models.BigIntegerField(default=0)
    cost = models.DecimalField(
        max_digits=12,
        decimal_places=6,
        null=True,
        help_text="Null: unknown. A model on one's own machine: 0.",
    )
    currency = models.CharField(max_length=3, blank=True)
    error = models.TextField(blank=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            state_constraint(DraftRunState, "labeling_draft_run_state_known"),
            models.UniqueConstraint(fields=["session", "variant"], name="labeling_one_draft_run_per_variant"),
        ]

    def __str__(self) -> str:
        return f"drafts by {self.variant} for {self.session}"


class Draft(models.Model):
    """What a candidate proposes for one item."""

    run = models.ForeignKey(DraftRun, models.CASCADE, related_name="drafts")
    item = models.ForeignKey(Item, models.CASCADE, related_name="drafts")
    text = models.TextField(blank=True, help_text="As the model wrote it.")
    answers = models.JSONField(default=dict, help_text="Question key -> value, where it could be read.")
    chance = models.FloatField(
        null=True, help_text="That the model gave to exactly this text, 0..1; null: not told, or a free text."
    )
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "item"], name="labeling_one_draft_per_item")]

    def __str__(self) -> str:
        return f"draft for {self.item}"
