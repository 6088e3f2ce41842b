"""What labelers go by. A version never changes; each label knows the version that it was made under."""

from django.db import models
from django.urls import reverse

from apps.accounts.models import User
from apps.core.models import TimeStampedModel
from apps.projects.models import Project


class Guideline(TimeStampedModel):
    """The instructions for one kind of label, shared by the sessions that ask for it."""

    project = models.ForeignKey(Project, models.CASCADE, related_name="guidelines")
    name = models.CharField(max_length=80)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="guideline_name_unique_in_project")
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("labeling:guideline", args=[self.project.workspace.slug, self.project.slug, self.pk])


class GuidelineChange(models.TextChoices):
    FIRST = "first", "First version"
    STRUCTURE = "structure", "Structure"
    WORDING = "wording", "Wording"
    MEANING = "meaning", "Meaning"


class GuidelineVersion(models.Model):
    """One saved state of a guideline. Only a change of meaning makes older labels worth another look."""

    guideline = models.ForeignKey(Guideline, models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    change = models.CharField(max_length=10, choices=GuidelineChange.choices)
    meaning = models.PositiveIntegerField(
        help_text="Which meaning this is: versions with the same number ask for the same labels."
    )
    text = models.TextField(help_text="Markdown.")
    examples = models.JSONField(
        default=list, help_text="[{text, answer, why, good}]; good false: a counter-example."
    )
    note = models.CharField(max_length=300, blank=True, help_text="What changed, and why.")
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["guideline", "number"], name="guideline_version_number_unique"),
            models.CheckConstraint(
                condition=models.Q(change__in=GuidelineChange.values), name="guideline_change_known"
            ),
            models.CheckConstraint(
                condition=models.Q(number=1, change="first")
                | models.Q(number__gt=1) & ~models.Q(change="first"),
                name="guideline_first_version_is_first",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.guideline.name} v{self.number}"

    def get_absolute_url(self) -> str:
        project = self.guideline.project
        slugs = [project.workspace.slug, project.slug]
        return reverse("labeling:guideline_version", args=[*slugs, self.guideline_id, self.number])
