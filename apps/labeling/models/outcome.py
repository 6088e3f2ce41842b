"""What becomes of labels: reviews, and the one answer of each item that is final."""

from django.db import models
from django.db.models import Q

from apps.accounts.models import User
from apps.labeling.models.guidelines import GuidelineVersion
from apps.labeling.models.queue import Item, Submission
from apps.labeling.models.sessions import Question, Session


class ReviewVerdict(models.TextChoices):
    ACCEPTED = "accepted", "Accepted"
    REJECTED = "rejected", "Returned"


class Review(models.Model):
    """A reviewer's word on one submission. Rejected, the item returns to its author, who submits anew."""

    submission = models.OneToOneField(Submission, models.CASCADE, related_name="review")
    reviewer = models.ForeignKey(User, models.PROTECT, related_name="+")
    verdict = models.CharField(max_length=8, choices=ReviewVerdict.choices)
    reason = models.TextField(blank=True)
    seconds = models.FloatField(null=True, help_text="Time that the reviewer took; null: unknown.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(verdict="accepted") | Q(verdict="rejected") & ~Q(reason=""),
                name="labeling_rejection_has_reason",
            )
        ]

    def __str__(self) -> str:
        return f"review of {self.submission}"


class Provenance(models.TextChoices):
    SINGLE = "single", "One label"
    UNANIMOUS = "unanimous", "Unanimous"
    MAJORITY = "majority", "Majority"
    ADJUDICATED = "adjudicated", "Adjudicated"


class Cause(models.TextChoices):
    """Why labelers disagreed."""

    AMBIGUOUS_TEXT = "ambiguous_text", "The text is ambiguous"
    GUIDELINE_GAP = "guideline_gap", "The guideline has a gap"
    LABELER_ERROR = "labeler_error", "A labeler's error"
    EDGE_CASE = "edge_case", "An edge case"
    SUBJECTIVE = "subjective", "Legitimately subjective"
    BAD_ITEM = "bad_item", "The item is bad"


class Resolution(models.Model):
    """The authoritative answer of an item. At most one stands; one that is replaced is kept."""

    item = models.ForeignKey(Item, models.CASCADE, related_name="resolutions")
    provenance = models.CharField(max_length=11, choices=Provenance.choices)
    cause = models.CharField(max_length=14, choices=Cause.choices, blank=True)
    note = models.TextField(blank=True)
    decided_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    guideline_version = models.ForeignKey(GuidelineVersion, models.PROTECT, null=True, related_name="+")
    seconds = models.FloatField(null=True, help_text="Time that the adjudicator took.")
    created_at = models.DateTimeField(auto_now_add=True)
    replaced_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["item"], condition=Q(replaced_at=None), name="labeling_one_resolution_stands"
            ),
            models.CheckConstraint(
                condition=Q(provenance__in=Provenance.values), name="labeling_provenance_known"
            ),
            models.CheckConstraint(
                condition=~Q(provenance="adjudicated") | Q(decided_by__isnull=False) & ~Q(cause=""),
                name="labeling_adjudication_has_author_and_cause",
            ),
        ]

    def __str__(self) -> str:
        return f"resolution of {self.item}"


class ResolvedAnswer(models.Model):
    """The authoritative answer to one question, and how the labels were spread."""

    resolution = models.ForeignKey(Resolution, models.CASCADE, related_name="answers")
    question = models.ForeignKey(Question, models.PROTECT, related_name="+")
    value = models.JSONField()
    taken_from = models.ForeignKey(
        Submission,
        models.PROTECT,
        null=True,
        related_name="+",
        help_text="Null: written, or a majority of several.",
    )
    distribution = models.JSONField(default=dict, help_text="Label -> number of labelers who gave it.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["resolution", "question"], name="labeling_resolved_answer_once")
        ]

    def __str__(self) -> str:
        return f"resolved answer {self.pk}"


class TimeUse(models.TextChoices):
    """What people's time went into, beside the labels that stand: their time is counted with them."""

    TAKEN_BACK = "taken_back", "Labels that were taken back or returned"
    REVIEW = "review", "Review"
    ADJUDICATION = "adjudication", "Adjudication"


class TimeSpent(models.Model):
    """Somebody's time in a session, one row for each use: a page adds up a few rows, whatever was decided."""

    session = models.ForeignKey(Session, models.CASCADE, related_name="time_spent")
    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    use = models.CharField(max_length=12, choices=TimeUse.choices)
    count = models.PositiveIntegerField(default=0, help_text="Labels or items that it went into.")
    seconds = models.FloatField(default=0)

    class Meta:
        ordering = ["pk"]
        verbose_name_plural = "time spent"
        constraints = [
            models.UniqueConstraint(fields=["session", "user", "use"], name="labeling_time_spent_once"),
            models.CheckConstraint(condition=Q(use__in=TimeUse.values), name="labeling_time_use_known"),
            models.CheckConstraint(condition=Q(seconds__gte=0), name="labeling_time_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.get_use_display()} by {self.user} in {self.session}"
