"""How a workspace reaches its providers, and what is known about their prices and models."""

import json
from collections.abc import Mapping
from typing import Any

from django.db import models
from django.urls import reverse

from apps.accounts.models import User, Workspace
from apps.core.encryption import decrypt_text
from apps.core.models import TimeStampedModel


class Connection(TimeStampedModel):
    """An account at a provider. Its secrets are stored encrypted and are shown nowhere."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="connections")
    name = models.CharField(max_length=80)
    provider = models.CharField(max_length=30, help_text="Name in the registry of adapters.")
    settings = models.JSONField(default=dict, help_text="What is told about it, without secrets.")
    sealed_secrets = models.TextField(blank=True, help_text="JSON, encrypted.")
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    removed_at = models.DateTimeField(null=True, help_text="Jobs and models keep what they know of it.")

    checked_at = models.DateTimeField(null=True)
    reachable = models.BooleanField(null=True)
    authenticated = models.BooleanField(null=True)
    check_message = models.TextField(blank=True)
    quota = models.CharField(max_length=300, blank=True)
    offered = models.JSONField(
        default=dict,
        help_text="{trainable, served}: models as last listed; a key is absent where none are listed.",
    )

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "name"],
                condition=models.Q(removed_at=None),
                name="connection_name_unique_in_workspace",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("providers:connection", args=[self.workspace.slug, self.pk])

    def secrets(self) -> Mapping[str, str]:
        """In the clear, for the adapter alone."""
        found: dict[str, str] = json.loads(decrypt_text(self.sealed_secrets)) if self.sealed_secrets else {}
        return found

    def adapter_settings(self) -> dict[str, Any]:
        return {**self.settings, **self.secrets()}


class SentFile(models.Model):
    """A file that was sent over a connection: the same content is not sent twice."""

    connection = models.ForeignKey(Connection, models.CASCADE, related_name="sent_files")
    sha256 = models.CharField(max_length=64)
    role = models.CharField(max_length=12)
    objective = models.CharField(max_length=12)
    filename = models.CharField(max_length=200)
    size = models.BigIntegerField(help_text="Bytes")
    provider_file = models.CharField(max_length=500, help_text="The provider's name for it.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "sha256", "role", "objective"], name="content_sent_once"
            )
        ]

    def __str__(self) -> str:
        return self.filename


class PriceKind(models.TextChoices):
    TRAINING = "training", "Training, 1M tokens"
    INPUT = "input", "Tuned model, 1M input tokens"
    OUTPUT = "output", "Tuned model, 1M output tokens"


class Price(TimeStampedModel):
    """What a workspace says a model costs. It stands before the price that ships."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="prices")
    provider = models.CharField(max_length=30)
    model = models.CharField(max_length=200, help_text="A model's name, or its beginning followed by *.")
    kind = models.CharField(max_length=10, choices=PriceKind.choices)
    objective = models.CharField(max_length=12, default="supervised")
    amount = models.DecimalField(max_digits=12, decimal_places=4)
    currency = models.CharField(max_length=3, default="USD")
    as_of = models.DateField()
    source = models.CharField(max_length=300, blank=True)
    changed_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["provider", "model", "kind"]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "provider", "model", "kind", "objective"], name="price_said_once"
            ),
            models.CheckConstraint(condition=models.Q(amount__gte=0), name="price_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.model}: {self.amount} {self.currency}"
