"""Reports of the checks: what was looked at, what was found in which rows, and what people decided about it."""

from typing import ClassVar

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.urls import reverse

from apps.accounts.models import User
from apps.core.models import TimeStampedModel
from apps.core.states import state_constraint


class ExampleFacts(models.Model):
    """What the checks know of one form of one row (`checks.row_facts`). It never changes, so it is worked out once."""

    example = models.OneToOneField("datasets.Example", models.CASCADE, primary_key=True, related_name="facts")
    facts_version = models.SmallIntegerField(help_text="checks.row_facts.FACTS_VERSION")
    whole = models.BigIntegerField()
    system = models.BigIntegerField()
    asked = models.BigIntegerField()
    answer = models.BigIntegerField()
    rejected = models.BigIntegerField()
    opening = models.BigIntegerField()
    conversation = models.BigIntegerField()
    answer_text = models.TextField()
    asked_characters = models.IntegerField()
    answer_characters = models.IntegerField()
    turns = models.IntegerField()
    language = models.CharField(max_length=40)
    personal = ArrayField(models.CharField(max_length=20))
    problems = ArrayField(models.CharField(max_length=40))
    word_signature = models.BinaryField()
    character_signature = models.BinaryField()
    tokenizer = models.CharField(
        max_length=32, help_text="Which tokenizer counted: see tokenizers.tokenizer_key; empty: none."
    )
    tokens = models.IntegerField(null=True)
    answer_tokens = models.IntegerField(null=True)

    def __str__(self) -> str:
        return f"facts of example {self.pk}"


class CheckState(models.TextChoices):
    CHECKING = "checking", "Checking"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"


class CheckReport(TimeStampedModel):
    """One run of all checks over what stands in a dataset, or over a version."""

    State = CheckState
    ALLOWED: ClassVar = {
        CheckState.CHECKING: {CheckState.DONE, CheckState.FAILED},
        CheckState.FAILED: {CheckState.CHECKING},
        CheckState.DONE: set(),
    }

    dataset = models.ForeignKey("datasets.Dataset", models.CASCADE, related_name="check_reports")
    version = models.ForeignKey(
        "datasets.Version",
        models.CASCADE,
        null=True,
        related_name="check_reports",
        help_text="Null: the dataset's head.",
    )
    state = models.CharField(max_length=10, choices=CheckState.choices, default=CheckState.CHECKING)
    head_mark = models.CharField(
        max_length=60, blank=True, help_text="Which rows stood in the dataset: see selectors_checks.head_mark"
    )
    row_count = models.BigIntegerField(default=0)
    new_count = models.BigIntegerField(default=0, help_text="Rows whose facts this report worked out.")
    checks = models.JSONField(
        default=list, help_text="Each check: name, title, rows seen, of how many, seconds, findings."
    )
    evidence = models.JSONField(default=dict, help_text="Suites compared with, tokenizer, languages.")
    problem_count = models.IntegerField(
        default=0, help_text="Findings of each severity that are not decided yet."
    )
    attention_count = models.IntegerField(default=0)
    info_count = models.IntegerField(default=0)
    error = models.TextField(blank=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [state_constraint(CheckState, "check_report_state_known")]
        indexes = [models.Index(fields=["dataset", "version", "-id"], name="check_report_newest")]

    def __str__(self) -> str:
        return f"checks of {self.version or self.dataset}"

    def get_absolute_url(self) -> str:
        project = self.dataset.project
        subject = ("version_checks", self.version_id) if self.version_id else ("checks", self.dataset_id)
        return reverse(f"datasets:{subject[0]}", args=[project.workspace.slug, project.slug, subject[1]])

    @property
    def tone(self) -> str:
        """What a badge looks like."""
        if self.state != CheckState.DONE:
            return "failed" if self.state == CheckState.FAILED else "working"
        return "failed" if self.problem_count else ("attention" if self.attention_count else "done")

    @property
    def badge(self) -> str:
        if self.state != CheckState.DONE:
            return "Checks failed" if self.state == CheckState.FAILED else "Checking"
        parts = [
            f"{count} {word}{'' if count == 1 or word == 'to look at' else 's'}"
            for count, word in ((self.problem_count, "problem"), (self.attention_count, "to look at"))
            if count
        ]
        return ", ".join(parts) or "Checked"


class CheckPart(models.Model):
    """Rows that one worker at a time looks at, held by a lock on this. Gone once the report is written."""

    report = models.ForeignKey(CheckReport, models.CASCADE, related_name="parts")
    number = models.IntegerField()
    first = models.BigIntegerField(help_text="The least id of its rows.")
    last = models.BigIntegerField()
    row_count = models.IntegerField()
    tokenizer = models.CharField(max_length=32, help_text="Only a worker that has it may take the part.")
    done = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["report", "number"], name="check_part_once")]

    def __str__(self) -> str:
        return f"part {self.number} of {self.report}"


class Severity(models.TextChoices):
    PROBLEM = "problem", "Problem"
    ATTENTION = "attention", "To look at"
    INFO = "info", "For information"


class Finding(models.Model):
    """All that one check found of one kind."""

    report = models.ForeignKey(CheckReport, models.CASCADE, related_name="findings")
    check_name = models.CharField(max_length=20)
    code = models.CharField(max_length=40)
    severity = models.CharField(max_length=10, choices=Severity.choices)
    title = models.CharField(max_length=300)
    detail = models.TextField()
    actions = ArrayField(models.CharField(max_length=20))
    evidence = models.JSONField(default=dict)
    blocks = models.BooleanField(default=False, help_text="Nothing is frozen before every item is decided.")
    item_count = models.IntegerField()
    open_count = models.IntegerField(help_text="Items that nobody has decided about.")
    row_count = models.IntegerField()
    deciding = models.JSONField(
        default=dict, help_text="What a worker does about it: action, reason, items; empty: nothing."
    )
    decide_error = models.TextField(blank=True, help_text="Why the last decision was not carried out.")

    class Meta:
        ordering = ["pk"]
        constraints = [models.UniqueConstraint(fields=["report", "code"], name="one_finding_per_code")]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        project = self.report.dataset.project
        return reverse("datasets:finding", args=[project.workspace.slug, project.slug, self.pk])


class FindingRow(models.Model):
    """A row in an item of a finding. An item without rows stands as one line without an example."""

    finding = models.ForeignKey(Finding, models.CASCADE, related_name="rows")
    item = models.IntegerField(help_text="1, 2, …: rows of one cluster have the same.")
    key = models.CharField(max_length=32, help_text="Of the item: the same in later reports.")
    example = models.ForeignKey("datasets.Example", models.CASCADE, null=True, related_name="+")
    note = models.CharField(max_length=200, blank=True)
    keep = models.BooleanField(default=False, help_text="A clean-up leaves this row.")
    decided = models.CharField(
        max_length=20, blank=True, help_text="The action that was decided; empty: open."
    )

    class Meta:
        indexes = [
            models.Index(fields=["finding", "id"], name="finding_page"),
            models.Index(fields=["finding", "item"], name="finding_item"),
        ]

    def __str__(self) -> str:
        return f"item {self.item}"


class Decision(models.Model):
    """What somebody decided about an item, for all reports to come that find it again."""

    dataset = models.ForeignKey("datasets.Dataset", models.CASCADE, related_name="check_decisions")
    key = models.CharField(max_length=32)
    code = models.CharField(max_length=40)
    title = models.CharField(max_length=300, help_text="Of the finding then.")
    action = models.CharField(max_length=20)
    rule = models.CharField(
        max_length=10,
        blank=True,
        default="",
        db_default="",
        help_text="Of rows that are too long and stay: truncate, what training does to them.",
    )
    reason = models.CharField(max_length=300, blank=True)
    actor = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["dataset", "key"], name="decision_key")]

    def __str__(self) -> str:
        return f"{self.action}: {self.title}"
