"""Durable background work. The row is the truth; Celery only carries its id.

Why so: docs/adr/0002-operations.md.
"""

from typing import ClassVar

from django.db import models
from django.utils import timezone

from apps.accounts.models import User, Workspace
from apps.core.models import TimeStampedModel
from apps.core.states import state_constraint


class OperationState(models.TextChoices):
    QUEUED = "queued", "Waiting for a worker"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class Operation(TimeStampedModel):
    """One piece of background work: what, for whom, how far, since when silent, why it ended."""

    State = OperationState
    ALLOWED: ClassVar = {
        OperationState.QUEUED: {OperationState.RUNNING, OperationState.CANCELLED, OperationState.FAILED},
        OperationState.RUNNING: {
            OperationState.QUEUED,  # its worker died; the reconciler hands it to another
            OperationState.SUCCEEDED,
            OperationState.FAILED,
            OperationState.CANCELLED,
        },
        OperationState.SUCCEEDED: set(),
        OperationState.FAILED: set(),
        OperationState.CANCELLED: set(),
    }
    ACTIVE = (OperationState.QUEUED, OperationState.RUNNING)

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="operations")
    kind = models.CharField(max_length=60, help_text="Registered name, such as datasets.check_import")
    title = models.CharField(max_length=160, help_text="What a person reads: Check tickets.jsonl")
    url = models.CharField(max_length=300, blank=True, help_text="The page of the thing it works on.")
    subject_type = models.CharField(max_length=60)
    subject_id = models.BigIntegerField()
    queue = models.CharField(max_length=20)
    actor = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    state = models.CharField(max_length=10, choices=OperationState.choices, default=OperationState.QUEUED)

    done = models.BigIntegerField(default=0)
    total = models.BigIntegerField(null=True, help_text="Unknown until counted.")
    unit = models.CharField(max_length=20, blank=True, help_text="What is counted: rows, steps, answers")
    message = models.CharField(max_length=300, blank=True)
    error = models.TextField(blank=True, help_text="Why it failed, for a person.")
    attempts = models.PositiveIntegerField(
        default=0, help_text="Also the fence: an older attempt may not write."
    )
    worker = models.CharField(max_length=120, blank=True)
    dispatched_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    heartbeat_at = models.DateTimeField(null=True)
    parked_at = models.DateTimeField(
        null=True, help_text="Since when its work goes on elsewhere and no worker holds it."
    )
    cancel_requested_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            state_constraint(OperationState, "operation_state_known"),
            models.UniqueConstraint(
                fields=["kind", "subject_type", "subject_id"],
                condition=models.Q(state__in=["queued", "running"]),
                name="one_active_operation_per_kind_and_subject",
            ),
        ]
        indexes = [
            models.Index(
                fields=["workspace", "-id"],
                name="operation_active",
                condition=models.Q(state__in=["queued", "running"]),
            ),
            models.Index(fields=["subject_type", "subject_id", "-id"], name="operation_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.get_state_display()})"

    @property
    def is_active(self) -> bool:
        return self.state in self.ACTIVE

    @property
    def share(self) -> float | None:
        """Done share in 0..1; None while the total is unknown."""
        return None if not self.total else min(1.0, self.done / self.total)

    @property
    def seconds(self) -> float | None:
        """How long it ran so far, or in all."""
        if self.started_at is None:
            return None
        return ((self.finished_at or timezone.now()) - self.started_at).total_seconds()

    @property
    def rate(self) -> float | None:
        """Units a second since the start; None until there is something to divide."""
        seconds = self.seconds
        return self.done / seconds if seconds and self.done else None

    @property
    def seconds_left(self) -> float | None:
        """At the rate so far; None in the first hundredth, where the start of programs weighs more than the work."""
        if not (self.is_active and self.total and self.rate) or self.done < self.total / 100:
            return None
        return max(0.0, (self.total - self.done) / self.rate)
