"""What the OpenAI-compatible API knows beside the things themselves: names, files, requests for jobs, deliveries."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from apps.accounts.models import ApiKey, User, Workspace
from apps.artifacts.models import Blob
from apps.core.models import TimeStampedModel
from apps.core.states import state_constraint
from apps.datasets.models import Dataset, Version
from apps.gateway.ids import PUBLIC_ID_LENGTH
from apps.jobs.models import Checkpoint, TrainingJob
from apps.projects.models import Project
from apps.registry.models import BaseModel, ModelVersion


class Purpose(models.TextChoices):
    ASSISTANTS = "assistants"
    BATCH = "batch"
    FINE_TUNE = "fine-tune"
    RESULTS = "fine-tune-results"
    VISION = "vision"
    USER_DATA = "user_data"


class File(models.Model):
    """A file that a program uploaded, or that a job wrote for it. Its bytes never change."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="api_files")
    public_id = models.CharField(max_length=PUBLIC_ID_LENGTH, unique=True)
    name = models.CharField(max_length=200)
    purpose = models.CharField(max_length=20, choices=Purpose.choices)
    blob = models.ForeignKey(Blob, models.PROTECT, related_name="+")
    expires_at = models.DateTimeField(null=True)
    deleted_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(purpose__in=Purpose.values), name="api_file_purpose_known"
            )
        ]
        indexes = [
            models.Index(fields=["workspace", "-id"], name="api_file_page"),
            models.Index(
                fields=["expires_at"],
                name="api_file_expiring",
                condition=models.Q(deleted_at=None, expires_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class IntakeState(models.TextChoices):
    WORKING = "working", "Being taken in"
    READY = "ready", "Ready"
    FAILED = "failed", "Failed"


class Intake(TimeStampedModel):
    """How files become something to train on: a dataset of one project with a frozen version of exactly their rows."""

    State = IntakeState
    ALLOWED: ClassVar = {
        IntakeState.WORKING: {IntakeState.READY, IntakeState.FAILED},
        IntakeState.READY: set(),
        IntakeState.FAILED: set(),
    }

    project = models.ForeignKey(Project, models.CASCADE, related_name="intakes")
    training_file = models.ForeignKey(File, models.CASCADE, related_name="intakes")
    validation_file = models.ForeignKey(File, models.CASCADE, null=True, related_name="+")
    state = models.CharField(max_length=8, choices=IntakeState.choices, default=IntakeState.WORKING)
    dataset = models.ForeignKey(Dataset, models.SET_NULL, null=True, related_name="+")
    version = models.ForeignKey(Version, models.SET_NULL, null=True, related_name="+")
    error = models.TextField(blank=True)
    error_in_validation = models.BooleanField(default=False)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "training_file", "validation_file"],
                nulls_distinct=False,
                name="one_intake_of_the_same_files",
            ),
            state_constraint(IntakeState, "intake_state_known"),
        ]
        indexes = [
            models.Index(fields=["id"], name="intake_working", condition=models.Q(state="working")),
        ]

    def __str__(self) -> str:
        return f"{self.training_file}"


class JobState(models.TextChoices):
    VALIDATING = "validating", "Checking its files"
    STARTED = "started", "Given to the trainer"
    ENDED = "ended", "Ended"


class FineTuningJob(TimeStampedModel):
    """A job as a program asked for it. What it does is the training job that the pages show."""

    State = JobState
    ALLOWED: ClassVar = {
        JobState.VALIDATING: {JobState.STARTED, JobState.ENDED},
        JobState.STARTED: {JobState.ENDED},
        JobState.ENDED: set(),
    }

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="fine_tuning_jobs")
    project = models.ForeignKey(Project, models.PROTECT, related_name="fine_tuning_jobs")
    public_id = models.CharField(max_length=PUBLIC_ID_LENGTH, unique=True)
    model = models.CharField(max_length=300, help_text="As it was asked for.")
    base_model = models.ForeignKey(BaseModel, models.PROTECT, related_name="+")
    intake = models.ForeignKey(Intake, models.PROTECT, related_name="jobs")
    method = models.CharField(max_length=20, default="supervised")
    hyperparameters = models.JSONField(help_text="As asked for, a number or auto each.")
    suffix = models.CharField(max_length=64, blank=True)
    seed = models.BigIntegerField()
    metadata = models.JSONField(null=True)
    integrations = models.JSONField(null=True)
    state = models.CharField(max_length=10, choices=JobState.choices, default=JobState.VALIDATING)
    training_job = models.OneToOneField(
        TrainingJob, models.PROTECT, null=True, related_name="fine_tuning_job"
    )
    cancelled_at = models.DateTimeField(null=True)
    paused_at = models.DateTimeField(
        null=True,
        help_text="While its files are checked: it is not given to the trainer before it is resumed.",
    )
    error = models.JSONField(null=True, help_text="{code, message, param}")
    trained_tokens = models.BigIntegerField(null=True)
    result_file = models.ForeignKey(File, models.SET_NULL, null=True, related_name="+")
    finished_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-pk"]
        constraints = [state_constraint(JobState, "fine_tuning_job_state_known")]
        indexes = [
            models.Index(fields=["workspace", "-id"], name="fine_tuning_job_page"),
            models.Index(fields=["id"], name="fine_tuning_job_open", condition=~models.Q(state="ended")),
        ]

    def __str__(self) -> str:
        return self.public_id


class EventLevel(models.TextChoices):
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class Event(models.Model):
    """A turn in the life of a job. What its metrics say is read from the curves."""

    job = models.ForeignKey(FineTuningJob, models.CASCADE, related_name="events")
    number = models.PositiveIntegerField()
    after_training = models.BooleanField(
        default=False, help_text="It comes behind the steps of the training."
    )
    level = models.CharField(max_length=5, choices=EventLevel.choices, default=EventLevel.INFO)
    message = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="one_event_per_number")]

    def __str__(self) -> str:
        return self.message


class ServedModel(models.Model):
    """The name under which a tuned model, or a checkpoint of its training, is asked for."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="served_models")
    name = models.CharField(max_length=400)
    model_version = models.ForeignKey(ModelVersion, models.PROTECT, related_name="served_as")
    checkpoint = models.ForeignKey(Checkpoint, models.CASCADE, null=True, related_name="+")
    deleted_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["workspace", "name"], name="served_model_name_unique"),
            models.UniqueConstraint(
                fields=["model_version", "checkpoint"], nulls_distinct=False, name="served_under_one_name"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ModelAlias(TimeStampedModel):
    """Another name for a base model, so that code which names a model of elsewhere runs unchanged."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="model_aliases")
    name = models.CharField(max_length=200)
    base_model = models.ForeignKey(BaseModel, models.CASCADE, related_name="aliases")

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["workspace", "name"], name="model_alias_unique")]

    def __str__(self) -> str:
        return f"{self.name} = {self.base_model}"


class CheckpointPermission(models.Model):
    """That a project may use a checkpoint. Kept for programs that manage such rights; a workspace shares its models."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="+")
    public_id = models.CharField(max_length=PUBLIC_ID_LENGTH, unique=True)
    model = models.CharField(max_length=400)
    project_id_text = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["workspace", "model", "-id"], name="permission_page")]

    def __str__(self) -> str:
        return f"{self.model} for {self.project_id_text}"


class StoredCompletion(models.Model):
    """A chat that was asked for with store=true, with its answer."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="stored_completions")
    public_id = models.CharField(max_length=PUBLIC_ID_LENGTH, unique=True)
    model = models.CharField(max_length=400)
    metadata = models.JSONField(default=dict)
    request = models.JSONField(help_text="The messages and parameters as they were sent.")
    reply = models.JSONField()
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["workspace", "id"], name="stored_completion_page")]

    def __str__(self) -> str:
        return self.public_id


class WebhookEndpoint(TimeStampedModel):
    """Where a workspace wants to hear how its jobs ended."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="webhook_endpoints")
    public_id = models.CharField(max_length=PUBLIC_ID_LENGTH, unique=True)
    name = models.CharField(max_length=120)
    url = models.CharField(max_length=2000)
    event_types = ArrayField(models.CharField(max_length=60))
    secret = models.TextField(help_text="Encrypted.")
    old_secret = models.TextField(blank=True, help_text="Encrypted; signs, too, until it expires.")
    old_secret_until = models.DateTimeField(null=True)
    hint = models.CharField(max_length=20)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return self.name


class WebhookDelivery(TimeStampedModel):
    """One message to one place, tried until it is taken or given up."""

    endpoint = models.ForeignKey(WebhookEndpoint, models.CASCADE, related_name="deliveries")
    event_id = models.CharField(max_length=PUBLIC_ID_LENGTH)
    event_type = models.CharField(max_length=60)
    body = models.TextField()
    attempts = models.PositiveIntegerField(default=0)
    next_at = models.DateTimeField(null=True, help_text="Null: delivered or given up.")
    delivered_at = models.DateTimeField(null=True)
    status_code = models.PositiveIntegerField(null=True)
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "event_id"], name="one_delivery_per_event")
        ]
        indexes = [
            models.Index(fields=["next_at"], name="delivery_due", condition=models.Q(next_at__isnull=False))
        ]

    def __str__(self) -> str:
        return f"{self.event_type} to {self.endpoint}"


class IdempotentRequest(models.Model):
    """A request that was sent with an Idempotency-Key: sent again, it gets the reply of the first time."""

    api_key = models.ForeignKey(ApiKey, models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64, help_text="Method, path and body.")
    status = models.PositiveIntegerField(null=True, help_text="Null: still being answered.")
    reply = models.BinaryField(default=bytes, help_text="Encrypted.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["api_key", "key"], name="one_request_per_key")]
        indexes = [models.Index(fields=["created_at"], name="idempotent_request_age")]

    def __str__(self) -> str:
        return self.key
