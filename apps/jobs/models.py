"""Training jobs, what they reported, and what they left."""

from typing import Any, ClassVar

from django.db import models
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import User
from apps.artifacts.models import Blob
from apps.core.models import TimeStampedModel
from apps.core.states import state_constraint
from apps.datasets.models import Version
from apps.projects.models import Project
from apps.registry.models import BaseModel, ModelVersion


class JobState(models.TextChoices):
    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Training"
    PAUSED = "paused", "Paused"
    SUCCEEDED = "succeeded", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


class Method(models.TextChoices):
    LORA = "lora", "LoRA"
    FULL = "full", "Full fine-tuning"
    MANAGED = "managed", "Managed by the provider"


class Objective(models.TextChoices):
    SUPERVISED = "supervised", "Supervised"
    DPO = "dpo", "DPO"


class TrainingJob(TimeStampedModel):
    """One run of training with a frozen configuration. Last values are kept here; lists never read points."""

    State = JobState
    ALLOWED: ClassVar = {
        JobState.QUEUED: {JobState.RUNNING, JobState.PAUSED, JobState.CANCELLED, JobState.FAILED},
        JobState.RUNNING: {JobState.SUCCEEDED, JobState.PAUSED, JobState.FAILED, JobState.CANCELLED},
        JobState.PAUSED: {JobState.QUEUED, JobState.CANCELLED},
        JobState.SUCCEEDED: set(),
        JobState.FAILED: set(),
        JobState.CANCELLED: set(),
    }
    ACTIVE = (JobState.QUEUED, JobState.RUNNING)
    OPEN = (*ACTIVE, JobState.PAUSED)

    project = models.ForeignKey(Project, models.PROTECT, related_name="training_jobs")
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=120)
    version = models.ForeignKey(Version, models.PROTECT, related_name="training_jobs")
    base_model = models.ForeignKey(BaseModel, models.PROTECT, related_name="training_jobs")
    provider = models.CharField(max_length=30, default="local")
    method = models.CharField(max_length=10, choices=Method.choices)
    objective = models.CharField(max_length=12, choices=Objective.choices, default=Objective.SUPERVISED)
    configuration = models.JSONField(help_text="Everything the trainer is told; frozen.")
    configuration_hash = models.CharField(max_length=64)
    submission_key = models.UUIDField(
        null=True, help_text="Made with the form: sending the same form twice starts one job."
    )
    state = models.CharField(max_length=10, choices=JobState.choices, default=JobState.QUEUED)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    cancelled_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    pausing = models.BooleanField(default=False, help_text="It stops to be gone on with later.")
    paused_at = models.DateTimeField(null=True)
    pauses = models.PositiveIntegerField(default=0)

    phase = models.CharField(max_length=20, blank=True)
    phases = models.JSONField(default=list, help_text="[{phase, started (unix seconds)}]")
    plan = models.JSONField(
        default=dict, help_text="Examples, tokens, steps and parameters as the trainer counted."
    )
    environment = models.JSONField(
        default=dict, help_text="Packages, hardware, seed as the trainer saw them."
    )
    step = models.IntegerField(default=0)
    total_steps = models.IntegerField(null=True)
    train_loss = models.FloatField(null=True, help_text="Last value")
    validation_loss = models.FloatField(null=True, help_text="Last value")
    best_validation_loss = models.FloatField(null=True)
    best_step = models.IntegerField(null=True)
    tokens_per_second = models.FloatField(null=True, help_text="Last value")
    learning_rate = models.FloatField(null=True, help_text="Last value")
    grad_norm = models.FloatField(null=True, help_text="Last value")
    measured_tokens_per_second = models.FloatField(
        null=True, help_text="Over the whole training, validation included; set once it succeeded."
    )
    events_seen = models.BigIntegerField(default=0, help_text="Events stored: the next expected seq.")
    restarts = models.PositiveIntegerField(default=0, help_text="Times the trainer was started again.")
    rewinds = models.PositiveIntegerField(
        default=0, help_text="Times points were taken back because a restart repeats their steps."
    )
    log_tail = models.TextField(blank=True, help_text="Last lines of the trainer's log.")
    log = models.ForeignKey(
        Blob, models.PROTECT, null=True, related_name="+", help_text="Whole log, once ended."
    )
    error = models.TextField(blank=True)
    model_version = models.OneToOneField(ModelVersion, models.PROTECT, null=True, related_name="training_job")
    last_checkpoint = models.ForeignKey(
        Blob, models.PROTECT, null=True, related_name="+", help_text="What a cancelled job left."
    )
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    imported_at = models.DateTimeField(
        null=True, help_text="Of a job that ran at its provider before it was brought in."
    )

    # Only of jobs that a provider runs.
    submission_started_at = models.DateTimeField(
        null=True,
        help_text="Set before the job is created at the provider: from then on it is looked for first.",
    )
    handle = models.CharField(max_length=300, blank=True, help_text="The provider's name for the job.")
    cursor = models.TextField(blank=True, help_text="Where the next poll goes on.")
    next_poll_at = models.DateTimeField(null=True)
    poll_failures = models.PositiveIntegerField(default=0, help_text="In a row.")
    poll_error = models.TextField(blank=True, help_text="Why the provider could not be asked last.")
    expected_end_at = models.DateTimeField(null=True, help_text="As the provider says, where it does.")
    polled_at = models.DateTimeField(null=True, help_text="When the provider answered last.")
    provider_status = models.CharField(max_length=60, blank=True, help_text="The provider's own word.")
    provider_reply = models.JSONField(default=dict, help_text="Its last answer, for diagnosis.")
    trained_tokens = models.BigIntegerField(null=True, help_text="As the provider counts them.")
    estimated_cost = models.DecimalField(max_digits=12, decimal_places=4, null=True)
    cost = models.DecimalField(max_digits=12, decimal_places=4, null=True)
    currency = models.CharField(max_length=3, blank=True)
    price_date = models.DateField(null=True, help_text="Of the price list that the estimate stands on.")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="job_number_unique"),
            models.UniqueConstraint(fields=["project", "submission_key"], name="one_job_per_submission"),
            state_constraint(JobState, "job_state_known"),
        ]
        indexes = [
            models.Index(fields=["project", "-id"], name="job_page"),
            models.Index(fields=["base_model", "method", "-id"], name="job_measured_rate"),
            models.Index(
                fields=["next_poll_at"], name="job_due", condition=models.Q(next_poll_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("jobs:detail", args=[self.project.workspace.slug, self.project.slug, self.pk])

    @property
    def is_active(self) -> bool:
        return self.state in self.ACTIVE

    @property
    def has_ended(self) -> bool:
        return self.state not in self.OPEN

    @property
    def hyperparameters(self) -> dict[str, Any]:
        values: dict[str, Any] = self.configuration.get("hyperparameters", {})
        return values

    @property
    def seconds(self) -> float | None:
        """How long it runs, or ran; None before it started."""
        if self.started_at is None:
            return None
        return ((self.finished_at or self.paused_at or timezone.now()) - self.started_at).total_seconds()


class PointKind(models.TextChoices):
    TRAIN = "train", "Training"
    VALIDATION = "validation", "Validation"


class MetricPoint(models.Model):
    """One report of the trainer. `seq` is its event number: a second delivery is ignored."""

    job = models.ForeignKey(TrainingJob, models.CASCADE, related_name="points")
    seq = models.BigIntegerField()
    kind = models.CharField(max_length=10, choices=PointKind.choices)
    step = models.IntegerField()
    epoch = models.FloatField(null=True)
    tokens = models.BigIntegerField(null=True, help_text="Tokens seen so far, padding left out.")
    seconds = models.FloatField(null=True, help_text="Since the job's first training step.")
    loss = models.FloatField(null=True)
    learning_rate = models.FloatField(null=True)
    grad_norm = models.FloatField(null=True)
    tokens_per_second = models.FloatField(null=True)
    token_accuracy = models.FloatField(null=True)
    reward_accuracy = models.FloatField(
        null=True, help_text="DPO: share of pairs whose preferred answer has the higher reward."
    )
    reward_margin = models.FloatField(
        null=True, help_text="DPO: mean reward of the preferred answers over that of the rejected ones."
    )

    class Meta:
        ordering = ["seq"]
        constraints = [models.UniqueConstraint(fields=["job", "seq"], name="one_point_per_event")]
        indexes = [models.Index(fields=["job", "kind", "step"], name="point_zoom")]

    def __str__(self) -> str:
        return f"{self.kind} step {self.step}"


class Checkpoint(models.Model):
    job = models.ForeignKey(TrainingJob, models.CASCADE, related_name="checkpoints")
    step = models.IntegerField()
    path = models.CharField(max_length=300, blank=True, help_text="In the job's directory, while it is kept.")
    provider_model = models.CharField(max_length=300, blank=True, help_text="Its name at a provider.")
    artifact = models.ForeignKey(
        Blob, models.PROTECT, null=True, related_name="+", help_text="Its weights, once the job succeeded."
    )
    validation_loss = models.FloatField(null=True)
    is_best = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["step"]
        constraints = [models.UniqueConstraint(fields=["job", "step"], name="one_checkpoint_per_step")]

    def __str__(self) -> str:
        return f"step {self.step}"


# They point at the tables above.
from apps.jobs.archive_models import (  # noqa: E402
    Archive,
    FilesState,
    RecoveredFiles,
    RecoveredJob,
    RecoveryState,
)

__all__ = [
    "Archive",
    "Checkpoint",
    "FilesState",
    "JobState",
    "Method",
    "MetricPoint",
    "Objective",
    "PointKind",
    "RecoveredFiles",
    "RecoveredJob",
    "RecoveryState",
    "TrainingJob",
]
