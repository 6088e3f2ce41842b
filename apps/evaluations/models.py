"""Suites of held-out items, runs of variants over them, and comparisons that end in a verdict."""

from typing import ClassVar

from django.db import models
from django.urls import reverse

from apps.accounts.models import User
from apps.artifacts.models import Blob
from apps.core.models import TimeStampedModel
from apps.core.states import state_constraint
from apps.datasets.models import Example, Version
from apps.projects.models import Project
from apps.registry.models import Variant


class SuiteKind(models.TextChoices):
    TASK = "task", "Task"
    GENERAL = "general", "General skill"


class Suite(models.Model):
    """A frozen list of items with expected answers. Its identity is the hash over them."""

    project = models.ForeignKey(Project, models.PROTECT, related_name="suites")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=10, choices=SuiteKind.choices)
    version = models.ForeignKey(Version, models.PROTECT, null=True, related_name="suites")
    split = models.CharField(max_length=10, blank=True)
    source = models.ForeignKey(Blob, models.PROTECT, null=True, related_name="+", help_text="Uploaded file.")
    answer_form = models.JSONField(help_text="How answers are read: see scoring.answers")
    item_count = models.IntegerField(default=0)
    hash = models.CharField(max_length=64)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["project", "hash"], name="suite_hash_unique_in_project")
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("evaluations:suite", args=[self.project.workspace.slug, self.project.slug, self.pk])


class SuiteItem(models.Model):
    suite = models.ForeignKey(Suite, models.CASCADE, related_name="items")
    position = models.IntegerField()
    messages = models.JSONField(help_text="What is asked: everything before the expected answer.")
    tools = models.JSONField(default=list, help_text="What the answer may call, as JSON schemas.")
    expected = models.TextField()
    group = models.CharField(max_length=200, blank=True, help_text="Items of one group are not independent.")
    skill = models.CharField(max_length=60, blank=True)
    example = models.ForeignKey(Example, models.PROTECT, null=True, related_name="+")
    content_hash = models.CharField(
        max_length=64,
        default="",
        help_text="SHA-256 over messages and expected answer, as datasets count it.",
    )
    expected_fields = models.JSONField(
        null=True, help_text="The expected answer as read in the suite's form; null when it is free text."
    )

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["suite", "position"], name="one_item_per_position")]

    def __str__(self) -> str:
        return f"item {self.position}"


class Run(TimeStampedModel):
    """One variant over one suite. Shared by every comparison that needs it; resumable: missing answers are asked."""

    suite = models.ForeignKey(Suite, models.PROTECT, related_name="runs")
    variant = models.ForeignKey(Variant, models.PROTECT, related_name="runs")
    answered = models.IntegerField(default=0)
    failed = models.IntegerField(default=0, help_text="Items without an answer after all tries: unscored.")
    asking_seconds = models.FloatField(default=0, help_text="Wall time spent asking, over all attempts.")
    metrics = models.JSONField(null=True, help_text="Set once complete.")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["suite", "variant"], name="one_run_per_suite_and_variant")
        ]

    def __str__(self) -> str:
        return f"{self.variant} on {self.suite}"

    @property
    def is_finished(self) -> bool:
        return self.finished_at is not None


class Answer(models.Model):
    """What a variant said to one item, and how it was scored. `exact` is null when unscored: not zero."""

    run = models.ForeignKey(Run, models.CASCADE, related_name="answers")
    item = models.ForeignKey(SuiteItem, models.PROTECT, related_name="answers")
    text = models.TextField(blank=True)
    finish_reason = models.CharField(max_length=20, blank=True)
    fields = models.JSONField(null=True, help_text="Parsed answer; null when it does not parse.")
    exact = models.BooleanField(null=True)
    format_ok = models.BooleanField(null=True)
    prompt_tokens = models.IntegerField(null=True)
    completion_tokens = models.IntegerField(null=True)
    seconds = models.FloatField(
        null=True, help_text="From asking to having the whole answer, queue left out."
    )
    compute_seconds = models.FloatField(
        null=True, help_text="This answer's share of the batch it was computed in, where the provider says."
    )
    error = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "item"], name="one_answer_per_item")]

    def __str__(self) -> str:
        return self.text[:60]


class ComparisonState(models.TextChoices):
    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Evaluating"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


OUTCOME_TONES = {
    "wins": "done",
    "loses": "failed",
    "no_difference_shown": "neutral",
    "too_few_items": "attention",
}


class Comparison(TimeStampedModel):
    """Candidate against baselines on one locked suite, with the verdict, which never changes once written."""

    State = ComparisonState
    ALLOWED: ClassVar = {
        ComparisonState.QUEUED: {ComparisonState.RUNNING, ComparisonState.CANCELLED, ComparisonState.FAILED},
        ComparisonState.RUNNING: {ComparisonState.DONE, ComparisonState.FAILED, ComparisonState.CANCELLED},
        # A stopped comparison can be taken up again: answers already given are kept.
        ComparisonState.FAILED: {ComparisonState.QUEUED},
        ComparisonState.CANCELLED: {ComparisonState.QUEUED},
        ComparisonState.DONE: set(),
    }
    ACTIVE = (ComparisonState.QUEUED, ComparisonState.RUNNING)

    project = models.ForeignKey(Project, models.PROTECT, related_name="comparisons")
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=160)
    suite = models.ForeignKey(Suite, models.PROTECT, related_name="comparisons")
    general_suite = models.ForeignKey(Suite, models.PROTECT, null=True, related_name="+")
    candidate = models.ForeignKey(Variant, models.PROTECT, related_name="comparisons_as_candidate")
    general_base = models.ForeignKey(
        Variant, models.PROTECT, null=True, related_name="+", help_text="The untuned model on general items."
    )
    baselines = models.ManyToManyField(Variant, through="ComparisonBaseline", related_name="+")
    smallest_gain = models.FloatField(default=0.02, help_text="The smallest gain worth having, as a share.")
    general_margin = models.FloatField(
        default=0.03, help_text="The largest loss of general skill accepted, a share."
    )
    state = models.CharField(max_length=10, choices=ComparisonState.choices, default=ComparisonState.QUEUED)
    verdict = models.JSONField(null=True)
    verdict_hash = models.CharField(max_length=64, blank=True)
    outcome = models.CharField(max_length=24, blank=True)
    sentence = models.TextField(blank=True)
    details = models.JSONField(
        default=dict,
        help_text="What stands behind the verdict: skills, macro-F1, the computed reference, software.",
    )
    look = models.PositiveIntegerField(
        default=1, help_text="How many comparisons had looked at this suite, with this."
    )
    error = models.TextField(blank=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="comparison_number_unique"),
            state_constraint(ComparisonState, "comparison_state_known"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse(
            "evaluations:comparison", args=[self.project.workspace.slug, self.project.slug, self.pk]
        )

    @property
    def is_active(self) -> bool:
        return self.state in self.ACTIVE

    @property
    def tone(self) -> str:
        """What the verdict looks like: done, failed, attention, or neutral before there is one.

        A win that is not to be deployed as it is, for what it costs or what is not known, asks for attention.
        """
        if self.outcome == "wins" and (self.verdict or {}).get("recommendation") != "ship":
            return "attention"
        return OUTCOME_TONES.get(self.outcome, "neutral")


class ComparisonBaseline(models.Model):
    comparison = models.ForeignKey(Comparison, models.CASCADE, related_name="contenders")
    variant = models.ForeignKey(Variant, models.PROTECT, related_name="+")
    label = models.CharField(max_length=60, help_text="As the verdict's sentence calls it: the best prompt")
    order = models.PositiveIntegerField()

    class Meta:
        ordering = ["order"]
        constraints = [
            models.UniqueConstraint(fields=["comparison", "variant"], name="baseline_once_per_comparison")
        ]

    def __str__(self) -> str:
        return self.label
