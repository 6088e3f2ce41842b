from decimal import Decimal

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
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
    hourly_rate = models.DecimalField(
        max_digits=10,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(Decimal("0.01"))],
        help_text="What an hour of people's time costs, in `currency`; null: unknown, which is never zero.",
    )
    currency = models.CharField(
        max_length=3, blank=True, help_text="Of the hourly rate: three capital letters (ISO 4217)."
    )
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    archived_at = models.DateTimeField(
        null=True, blank=True, help_text="Since when it is out of the lists; its pages stay."
    )

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["workspace", "slug"], name="project_slug_unique_in_workspace"),
            models.CheckConstraint(
                condition=Q(hourly_rate=None, currency="")
                | Q(hourly_rate__gt=0, hourly_rate__isnull=False, currency__regex=r"^[A-Z]{3}$"),
                name="project_rate_has_a_currency",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def cost_of(self, seconds: float) -> Decimal | None:
        """What people's time costs at the project's rate, to the cent; None: the rate is not known."""
        if self.hourly_rate is None:
            return None
        return (self.hourly_rate * Decimal(str(seconds)) / 3600).quantize(Decimal("0.01"))

    def get_absolute_url(self) -> str:
        return reverse("overview:project", args=[self.workspace.slug, self.slug])
