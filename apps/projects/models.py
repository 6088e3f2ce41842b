from django.db import models
from django.urls import reverse

from apps.accounts.models import User, Workspace
from apps.core.bundled_model import BUNDLED_MODEL
from apps.core.models import TimeStampedModel


def default_base_model() -> str:
    """The model that ships with the product, unless the operator names another."""
    return BUNDLED_MODEL


class Project(TimeStampedModel):
    """One thing a team wants a model to do well: its data, its models, its verdicts."""

    workspace = models.ForeignKey(Workspace, models.CASCADE, related_name="projects")
    name = models.CharField(max_length=80)
    slug = models.SlugField(max_length=50)
    goal = models.TextField(
        blank=True, help_text="What the model should do, and how you will know that it does."
    )
    base_model = models.CharField(
        max_length=300,
        default=default_base_model,
        help_text="A directory with a Hugging Face model, or a hub id. Its tokenizer counts the tokens of your data.",
    )
    answer_form = models.JSONField(
        null=True,
        blank=True,
        help_text="How answers are read (see scoring.answers); empty: proposed from the data.",
    )
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["workspace", "slug"], name="project_slug_unique_in_workspace")
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("overview:project", args=[self.workspace.slug, self.slug])
