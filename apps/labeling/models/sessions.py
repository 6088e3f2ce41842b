"""Sessions: which rows are labeled, what is asked about each, who takes part."""

from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse

from apps.accounts.models import User
from apps.core.models import TimeStampedModel
from apps.core.states import state_constraint
from apps.datasets.models import Version
from apps.labeling.models.guidelines import Guideline, GuidelineVersion
from apps.projects.models import Project

MOST_LABELS = 20


class SessionState(models.TextChoices):
    DRAFT = "draft", "Being set up"
    PREPARING = "preparing", "Being prepared"
    OPEN = "open", "Open"
    PAUSED = "paused", "Paused"
    CLOSED = "closed", "Closed"


class ItemOrder(models.TextChoices):
    RANDOM = "random", "Random for each person"
    GIVEN = "given", "As in the version"
    SHORT_FIRST = "short_first", "Short first, long last"
    UNCERTAIN_FIRST = "uncertain_first", "Uncertain first"


class GateState(models.TextChoices):
    NONE = "none", "No gate"
    WAITING = "waiting", "Waiting for the pilot"
    OPEN = "open", "Passed"
    CLOSED = "closed", "Not passed"


class Session(TimeStampedModel):
    """One piece of labeling work: rows of a frozen version, questions about each, people who answer them.

    Its questions and rows are fixed once it is open: labels of one session are made under the same conditions.
    """

    State = SessionState
    ALLOWED: ClassVar = {
        SessionState.DRAFT: {SessionState.PREPARING},
        SessionState.PREPARING: {SessionState.OPEN, SessionState.DRAFT},
        SessionState.OPEN: {SessionState.PAUSED, SessionState.CLOSED},
        SessionState.PAUSED: {SessionState.OPEN, SessionState.CLOSED},
        SessionState.CLOSED: {SessionState.OPEN},
    }

    project = models.ForeignKey(Project, models.CASCADE, related_name="labeling_sessions")
    name = models.CharField(max_length=80)
    instructions = models.TextField(blank=True, help_text="What is special about this session.")
    state = models.CharField(max_length=10, choices=SessionState.choices, default=SessionState.DRAFT)
    version = models.ForeignKey(Version, models.PROTECT, related_name="labeling_sessions")
    row_filter = models.TextField(blank=True, help_text="Query of a datasets.row_filters.RowFilter.")
    row_limit = models.PositiveIntegerField(null=True, help_text="Take a random sample of so many rows.")
    guideline = models.ForeignKey(Guideline, models.PROTECT, null=True, related_name="sessions")
    guideline_version = models.ForeignKey(
        GuidelineVersion,
        models.PROTECT,
        null=True,
        related_name="+",
        help_text="What labels are made under now.",
    )

    shows_answer = models.BooleanField(
        default=True, help_text="False: the row's own answer is hidden, so that it leads nobody."
    )
    overlap = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(MOST_LABELS)]
    )
    overlap_share = models.FloatField(
        default=1.0,
        validators=[MinValueValidator(0), MaxValueValidator(1)],
        help_text="Share of the items that get `overlap` labels; the others get one.",
    )
    order = models.CharField(max_length=16, choices=ItemOrder.choices, default=ItemOrder.RANDOM)
    seed = models.BigIntegerField(default=42, help_text="Decides the sample, and which items overlap.")
    lease_seconds = models.PositiveIntegerField(
        default=600, help_text="How long an item waits for somebody who is silent."
    )
    deadline = models.DateTimeField(null=True, blank=True)
    everyone = models.BooleanField(
        default=False, help_text="Every member who may label takes part; else only participants."
    )

    is_pilot = models.BooleanField(default=False)
    pilot = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="followers",
        help_text="Opens only if it passed.",
    )
    gate_minimum = models.FloatField(
        null=True, help_text="Of a pilot: what the lower bound of agreement must reach."
    )
    gate_state = models.CharField(max_length=8, choices=GateState.choices, default=GateState.NONE)
    gate_result = models.JSONField(
        default=dict, help_text="Of a pilot: for each question {coefficient, value, low, high, n, reason}."
    )
    gate_decided_at = models.DateTimeField(null=True)

    reviews_every_label = models.BooleanField(
        default=False, help_text="A reviewer accepts or rejects each label before it counts."
    )
    audit_share = models.FloatField(
        default=0.05, help_text="Share of the unanimous items that an adjudicator looks at anyway."
    )

    item_count = models.PositiveIntegerField(default=0)
    seat_count = models.PositiveIntegerField(default=0, help_text="Labels wanted in all.")
    error = models.TextField(blank=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    opened_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="labeling_session_name_unique"),
            state_constraint(SessionState, "labeling_session_state_known"),
            models.CheckConstraint(
                condition=models.Q(overlap__gte=1, overlap__lte=MOST_LABELS), name="labeling_overlap_in_range"
            ),
            models.CheckConstraint(
                condition=models.Q(overlap_share__gte=0, overlap_share__lte=1),
                name="labeling_overlap_share_in_range",
            ),
            models.CheckConstraint(
                condition=models.Q(order__in=ItemOrder.values), name="labeling_order_known"
            ),
            models.CheckConstraint(
                condition=models.Q(gate_state__in=GateState.values), name="labeling_gate_state_known"
            ),
            models.CheckConstraint(
                condition=models.Q(is_pilot=True) | models.Q(gate_minimum=None),
                name="labeling_only_a_pilot_has_a_gate",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def tone(self) -> str:
        """What a badge looks like."""
        return {
            SessionState.PREPARING: "working",
            SessionState.OPEN: "working",
            SessionState.PAUSED: "attention",
            SessionState.CLOSED: "done",
        }.get(SessionState(self.state), "neutral")

    def get_absolute_url(self) -> str:
        return reverse("labeling:session", args=[self.project.workspace.slug, self.project.slug, self.pk])


class QuestionKind(models.TextChoices):
    CHOOSE_ONE = "choose_one", "Choose one label"
    CHOOSE_SEVERAL = "choose_several", "Choose several labels"
    RATE = "rate", "Rate on a scale"
    TEXT = "text", "Free text"
    EDIT = "edit", "Edit the assistant's answer"
    WRITE = "write", "Write the answer"
    PREFER = "prefer", "Prefer A or B"
    RANK = "rank", "Rank several answers"
    SPANS = "spans", "Mark spans"
    VERDICT = "verdict", "Accept or reject the answer"


class Question(models.Model):
    """One thing asked about every item. `apps.labeling.answers` says what `options` and answers look like."""

    session = models.ForeignKey(Session, models.CASCADE, related_name="questions")
    position = models.PositiveSmallIntegerField()
    key = models.SlugField(max_length=40, help_text="Its name in exports and for programs.")
    kind = models.CharField(max_length=16, choices=QuestionKind.choices)
    title = models.CharField(max_length=200)
    help = models.TextField(blank=True, help_text="Markdown.")
    required = models.BooleanField(default=True)
    options = models.JSONField(default=dict)

    class Meta:
        ordering = ["session", "position"]
        constraints = [
            models.UniqueConstraint(
                fields=["session", "position"],
                name="labeling_question_position_unique",
                deferrable=models.Deferrable.DEFERRED,
            ),
            models.UniqueConstraint(fields=["session", "key"], name="labeling_question_key_unique"),
            models.CheckConstraint(
                condition=models.Q(kind__in=QuestionKind.values), name="labeling_question_kind_known"
            ),
        ]

    def __str__(self) -> str:
        return self.title


class Participant(models.Model):
    """Somebody who labels in a session, with what they did so far.

    The counters stand here, one row a person, because a single row for the session would make every submit wait for
    every other; the session's figures are the sums.
    """

    session = models.ForeignKey(Session, models.CASCADE, related_name="participants")
    user = models.ForeignKey(User, models.CASCADE, related_name="labeling_participations")
    is_active = models.BooleanField(default=True, help_text="False: taken out; what they did is kept.")
    cursor = models.BigIntegerField(
        default=-1, help_text="Place of the seat claimed last, where items have an order."
    )
    submitted_count = models.PositiveIntegerField(default=0, help_text="Labels that count.")
    surplus_count = models.PositiveIntegerField(default=0)
    skipped_count = models.PositiveIntegerField(default=0)
    completed_count = models.IntegerField(
        default=0,
        help_text="Items that a label of theirs completed, less those that taking one back opened; the sum counts.",
    )
    seconds = models.FloatField(default=0, help_text="Time spent on labels that were submitted.")
    added_at = models.DateTimeField(auto_now_add=True)
    added_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")
    last_submitted_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["session", "user"], name="labeling_participant_once"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.session}"

    @property
    def seconds_a_label(self) -> float | None:
        return self.seconds / self.submitted_count if self.submitted_count else None
