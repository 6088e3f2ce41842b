"""Models and the frozen ways to ask them."""

from django.db import models
from django.urls import reverse

from apps.accounts.models import User, Workspace
from apps.artifacts.models import Blob
from apps.core.models import TimeStampedModel
from apps.projects.models import Project
from apps.providers.models import Connection


class BaseModel(TimeStampedModel):
    """A model to start from, as a workspace knows it: a directory or hub id that this installation loads, or a
    model of a provider, reached over a connection."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="base_models")
    provider = models.CharField(max_length=30, default="local", help_text="Name in the registry of adapters.")
    connection = models.ForeignKey(
        Connection, models.PROTECT, null=True, blank=True, related_name="base_models"
    )
    reference = models.CharField(max_length=300, help_text="Directory, hub id or provider's model name.")
    revision = models.CharField(max_length=64, blank=True, help_text="Commit of a hub model, if pinned.")
    name = models.CharField(max_length=120)
    parameters = models.BigIntegerField(null=True, help_text="Unknown until read from its weights.")
    context_length = models.IntegerField(null=True)
    licence = models.CharField(max_length=60, blank=True)
    description = models.TextField(blank=True)
    end_of_life = models.DateField(null=True, blank=True, help_text="As its provider announced it.")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "provider", "connection", "reference", "revision"],
                name="base_model_unique_in_workspace",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=models.Q(provider="local", connection=None)
                | ~models.Q(provider="local") & models.Q(connection__isnull=False),
                name="remote_base_model_has_connection",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ModelKind(models.TextChoices):
    ADAPTER = "adapter", "LoRA adapter"
    FULL = "full", "Full weights"
    REMOTE = "remote", "At its provider"


class ModelVersion(models.Model):
    """What a training job made. Never changed."""

    project = models.ForeignKey(Project, models.PROTECT, related_name="model_versions")
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=120)
    base_model = models.ForeignKey(BaseModel, models.PROTECT, related_name="versions")
    kind = models.CharField(max_length=10, choices=ModelKind.choices)
    artifact = models.ForeignKey(Blob, models.PROTECT, null=True, related_name="+")
    provider_model = models.CharField(max_length=300, blank=True, help_text="Its name at a remote provider.")
    validation_loss = models.FloatField(null=True)
    best_step = models.IntegerField(null=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="model_number_unique"),
            models.CheckConstraint(
                condition=models.Q(artifact__isnull=False) | ~models.Q(provider_model=""),
                name="model_version_is_somewhere",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("registry:model", args=[self.project.workspace.slug, self.project.slug, self.pk])


class Variant(models.Model):
    """The one frozen, hashed way to produce an answer: model + system prompt + few-shot examples + sampling."""

    project = models.ForeignKey(Project, models.PROTECT, related_name="variants")
    name = models.CharField(max_length=120)
    base_model = models.ForeignKey(BaseModel, models.PROTECT, related_name="variants")
    model_version = models.ForeignKey(
        ModelVersion, models.PROTECT, null=True, blank=True, related_name="variants"
    )
    system_prompt = models.TextField(
        blank=True, default="", help_text="Replaces the item's own system message; empty: the item as it is."
    )
    few_shot = models.JSONField(default=list, help_text="Messages put before the item's own, in pairs.")
    sampling = models.JSONField(default=dict, help_text="max_tokens, temperature, top_p, seed, stop")
    hash = models.CharField(max_length=64, help_text="SHA-256 over everything that decides the answer.")
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["project", "hash"], name="variant_hash_unique_in_project")
        ]

    def __str__(self) -> str:
        return self.name
