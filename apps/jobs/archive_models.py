"""What an account at a provider has on record, and what of it was brought in."""

from typing import Any, ClassVar

from django.db import models
from django.urls import reverse

from apps.accounts.models import User
from apps.artifacts.models import Blob
from apps.core.models import TimeStampedModel
from apps.core.states import state_constraint
from apps.datasets.models import Dataset, Version
from apps.projects.models import Project
from apps.providers.models import Connection


class Archive(TimeStampedModel):
    """The files, jobs and tuned models of a connection's account, as listed last for a project."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="archives")
    connection = models.ForeignKey(Connection, models.CASCADE, related_name="archives")
    files = models.JSONField(default=list, help_text="As listed, newest first: see archive_entries")
    jobs = models.JSONField(default=list, help_text="As listed, newest first: see archive_entries")
    listed_models = models.JSONField(
        null=True, help_text="Ids of models that answer; null: it doesn't list them."
    )
    fetched_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True, help_text="Why the last listing failed.")
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "connection"], name="one_archive_per_project_and_connection"
            )
        ]

    def __str__(self) -> str:
        return str(self.connection)

    def get_absolute_url(self) -> str:
        return reverse("jobs:archive", args=[self.project.workspace.slug, self.project.slug, self.pk])


class FilesState(models.TextChoices):
    WORKING = "working", "Being brought in"
    READY = "ready", "Brought in"
    UNAVAILABLE = "unavailable", "Not available"
    FAILED = "failed", "Failed"


class RecoveredFiles(TimeStampedModel):
    """A training file of a provider, with the validation file that went with it, on the way to a frozen version.

    The rows of the validation file become the test split: the old model never learned from them.
    """

    State = FilesState
    ALLOWED: ClassVar = {
        FilesState.WORKING: {FilesState.READY, FilesState.UNAVAILABLE, FilesState.FAILED},
        FilesState.UNAVAILABLE: {FilesState.WORKING},
        FilesState.FAILED: {FilesState.WORKING},
        FilesState.READY: set(),
    }

    project = models.ForeignKey(Project, models.CASCADE, related_name="recovered_files")
    connection = models.ForeignKey(Connection, models.PROTECT, related_name="recovered_files")
    training_file = models.CharField(max_length=300, help_text="The provider's name for it.")
    validation_file = models.CharField(max_length=300, blank=True)
    training_name = models.CharField(max_length=200)
    validation_name = models.CharField(max_length=200, blank=True)
    training_blob = models.ForeignKey(Blob, models.PROTECT, null=True, related_name="+")
    validation_blob = models.ForeignKey(Blob, models.PROTECT, null=True, related_name="+")
    validation_missing = models.TextField(blank=True, help_text="Why the validation file can't be had.")
    dataset = models.ForeignKey(Dataset, models.SET_NULL, null=True, related_name="+")
    version = models.ForeignKey(Version, models.SET_NULL, null=True, related_name="+")
    state = models.CharField(max_length=12, choices=FilesState.choices, default=FilesState.WORKING)
    error = models.TextField(blank=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "connection", "training_file", "validation_file"],
                name="one_recovery_of_the_same_files",
            ),
            state_constraint(FilesState, "recovered_files_state_known"),
        ]
        indexes = [
            models.Index(fields=["id"], name="files_being_recovered", condition=models.Q(state="working"))
        ]

    def __str__(self) -> str:
        return self.training_name


class RecoveryState(models.TextChoices):
    WORKING = "working", "Being brought in"
    DONE = "done", "Brought in"
    FAILED = "failed", "Failed"


class RecoveredJob(TimeStampedModel):
    """A job of a provider on the way to a training job of the project."""

    State = RecoveryState
    ALLOWED: ClassVar = {
        RecoveryState.WORKING: {RecoveryState.DONE, RecoveryState.FAILED},
        RecoveryState.FAILED: {RecoveryState.WORKING},
        RecoveryState.DONE: set(),
    }

    project = models.ForeignKey(Project, models.CASCADE, related_name="recovered_jobs")
    connection = models.ForeignKey(Connection, models.PROTECT, related_name="recovered_jobs")
    handle = models.CharField(max_length=300, help_text="The provider's name for the job.")
    details: Any = models.JSONField(help_text="The job as the provider listed it: see archive_entries")
    files = models.ForeignKey(
        RecoveredFiles, models.PROTECT, null=True, related_name="jobs", help_text="Null: it names none."
    )
    stand_in = models.ForeignKey(
        Version,
        models.PROTECT,
        null=True,
        related_name="+",
        help_text="What somebody says that it was trained on, for when its file can't be had.",
    )
    job = models.OneToOneField(
        "jobs.TrainingJob", models.CASCADE, null=True, related_name="recovered", help_text="What came of it."
    )
    state = models.CharField(max_length=8, choices=RecoveryState.choices, default=RecoveryState.WORKING)
    error = models.TextField(blank=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["project", "connection", "handle"], name="one_recovery_of_the_same_job"
            ),
            state_constraint(RecoveryState, "recovered_job_state_known"),
            models.CheckConstraint(
                condition=~models.Q(state="done") | models.Q(job__isnull=False),
                name="recovered_job_has_a_job",
            ),
        ]
        indexes = [
            models.Index(fields=["id"], name="jobs_being_recovered", condition=models.Q(state="working"))
        ]

    def __str__(self) -> str:
        return self.handle

    @property
    def used_stand_in(self) -> bool:
        """Whether the data of the job is what somebody said, and not what the provider had."""
        files_there = self.files is not None and self.files.state == FilesState.READY
        return self.stand_in_id is not None and not files_there
