"""Items, the seats that hand them out, and the labels that come back."""

from django.db import models
from django.db.models import Q

from apps.accounts.models import User
from apps.datasets.models import Example
from apps.labeling.models.guidelines import GuidelineVersion
from apps.labeling.models.sessions import Question, Session


class ItemStage(models.TextChoices):
    LABELING = "labeling", "Waiting for labels"
    LABELED = "labeled", "All labels in"
    REVIEW = "review", "In review"
    ADJUDICATION = "adjudication", "To adjudicate"
    RESOLVED = "resolved", "Resolved"
    SET_ASIDE = "set_aside", "Set aside"


class Item(models.Model):
    """One row in one session."""

    session = models.ForeignKey(Session, models.CASCADE, related_name="items")
    example = models.ForeignKey(Example, models.PROTECT, related_name="labeling_items")
    position = models.PositiveIntegerField(help_text="1, 2, …: its number for people.")
    wanted = models.PositiveSmallIntegerField(help_text="Labels wanted: its seats.")
    done = models.PositiveSmallIntegerField(default=0, help_text="Seats that are filled.")
    stage = models.CharField(max_length=14, choices=ItemStage.choices, default=ItemStage.LABELING)
    agreement = models.FloatField(
        null=True,
        help_text="Share of agreeing pairs of its labels, the lowest of its questions; null: unknown.",
    )
    audited = models.BooleanField(default=False, help_text="Unanimous, but drawn to be looked at.")
    open_flags = models.PositiveSmallIntegerField(default=0)
    comment_count = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["session", "position"], name="labeling_item_position_unique"),
            models.UniqueConstraint(fields=["session", "example"], name="labeling_item_once_in_session"),
            models.CheckConstraint(condition=Q(stage__in=ItemStage.values), name="labeling_item_stage_known"),
            models.CheckConstraint(
                condition=Q(done__lte=models.F("wanted")), name="labeling_item_never_more_than_wanted"
            ),
        ]
        indexes = [
            models.Index(fields=["session", "stage", "agreement", "position"], name="labeling_item_stage"),
            models.Index(
                fields=["session", "position"], name="labeling_item_flagged", condition=Q(open_flags__gt=0)
            ),
        ]

    def __str__(self) -> str:
        return f"item {self.position}"


class SeatState(models.TextChoices):
    OPEN = "open", "Free"
    HELD = "held", "Being labeled"
    FILLED = "filled", "Labeled"


class Seat(models.Model):
    """The room for one wanted label. There are exactly as many seats as labels are wanted, so there can't be more.

    `session` is the item's; it stands here for the indexes that the claim walks.
    """

    session = models.ForeignKey(Session, models.CASCADE, related_name="seats")
    item = models.ForeignKey(Item, models.CASCADE, related_name="seats")
    number = models.PositiveSmallIntegerField(help_text="1 to the item's wanted labels.")
    place = models.BigIntegerField(
        help_text="Where it stands in the session's order; random where that is random."
    )
    state = models.CharField(max_length=6, choices=SeatState.choices, default=SeatState.OPEN)
    user = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    token = models.UUIDField(
        null=True, help_text="Of the lease; a submit that brings another one comes late."
    )
    held_until = models.DateTimeField(null=True, help_text="Then anyone may take it over.")
    held_since = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["item", "number"], name="labeling_seat_number_unique"),
            models.UniqueConstraint(
                fields=["item", "user"],
                condition=Q(user__isnull=False),
                name="labeling_one_seat_per_person_and_item",
            ),
            models.CheckConstraint(
                condition=Q(state="open", user=None, token=None, held_until=None)
                | Q(state="held", user__isnull=False, token__isnull=False, held_until__isnull=False)
                | Q(state="filled", user__isnull=False, token__isnull=False, held_until=None),
                name="labeling_seat_state_whole",
            ),
        ]
        indexes = [
            models.Index(fields=["session", "place"], name="labeling_seat_open", condition=Q(state="open")),
            models.Index(
                fields=["session", "held_until"], name="labeling_seat_held", condition=Q(state="held")
            ),
            models.Index(fields=["session", "user"], name="labeling_seat_holder", condition=Q(state="held")),
        ]

    def __str__(self) -> str:
        return f"seat {self.number} of {self.item}"


class SubmissionState(models.TextChoices):
    COUNTS = "counts", "Counts"
    SURPLUS = "surplus", "Surplus"
    UNDONE = "undone", "Undone"
    RETURNED = "returned", "Returned to its author"
    REPLACED = "replaced", "Replaced"


class Submission(models.Model):
    """The answers of one person to the questions about one item, as sent. Kept for ever; only its state moves.

    `is_independent`: a first submission, made before its author could see anything of the others. Agreement counts
    only those in state `counts` that are independent.
    """

    session = models.ForeignKey(Session, models.CASCADE, related_name="submissions")
    item = models.ForeignKey(Item, models.CASCADE, related_name="submissions")
    user = models.ForeignKey(User, models.PROTECT, related_name="labeling_submissions")
    seat = models.ForeignKey(
        Seat,
        models.PROTECT,
        null=True,
        related_name="submissions",
        help_text="Null: surplus, it had none any more.",
    )
    state = models.CharField(max_length=8, choices=SubmissionState.choices)
    client_id = models.UUIDField(
        help_text="Made by the browser for this submit: sent twice, it is kept once."
    )
    guideline_version = models.ForeignKey(
        GuidelineVersion, models.PROTECT, null=True, related_name="submissions"
    )
    is_independent = models.BooleanField(default=True)
    look_again = models.BooleanField(
        default=False, help_text="The guideline's meaning changed since: it deserves another look."
    )
    seconds = models.FloatField(help_text="Time in front of the item, as the browser counted it.")
    claimed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, help_text="Since when it does not count any more.")

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(fields=["user", "client_id"], name="labeling_submit_once"),
            models.UniqueConstraint(
                fields=["seat"], condition=Q(state="counts"), name="labeling_one_label_per_seat"
            ),
            models.UniqueConstraint(
                fields=["item", "user"],
                condition=Q(state="counts"),
                name="labeling_one_label_per_person_and_item",
            ),
            models.CheckConstraint(
                condition=Q(state__in=SubmissionState.values), name="labeling_submission_state_known"
            ),
            models.CheckConstraint(
                condition=~Q(state="counts") | Q(seat__isnull=False),
                name="labeling_label_that_counts_has_a_seat",
            ),
            models.CheckConstraint(condition=Q(seconds__gte=0), name="labeling_seconds_not_negative"),
        ]
        indexes = [
            models.Index(fields=["session", "user", "-id"], name="labeling_submission_newest"),
            models.Index(fields=["item", "user"], name="labeling_submission_of_item"),
            models.Index(
                fields=["session", "created_at"],
                name="labeling_submission_pace",
                condition=Q(state="counts"),
            ),
            models.Index(
                fields=["session", "id"], name="labeling_submission_look_again", condition=Q(look_again=True)
            ),
        ]

    def __str__(self) -> str:
        return f"label {self.pk}"


class DraftUse(models.TextChoices):
    NONE = "none", "No draft"
    UNCHANGED = "unchanged", "Draft accepted unchanged"
    EDITED = "edited", "Draft edited"
    REJECTED = "rejected", "Draft rejected"


class Answer(models.Model):
    """The answer to one question. A question that was left out has none. `value`: see `apps.labeling.answers`."""

    submission = models.ForeignKey(Submission, models.CASCADE, related_name="answers")
    question = models.ForeignKey(Question, models.PROTECT, related_name="answers")
    value = models.JSONField()
    draft = models.ForeignKey("labeling.Draft", models.PROTECT, null=True, related_name="uses")
    draft_use = models.CharField(max_length=9, choices=DraftUse.choices, default=DraftUse.NONE)
    edit_distance = models.FloatField(
        null=True,
        help_text="Of a text to what it started from, 0..1 of the longer one; null: it started from nothing.",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["submission", "question"], name="labeling_answer_once"),
            models.CheckConstraint(
                condition=Q(draft=None, draft_use="none") | Q(draft__isnull=False) & ~Q(draft_use="none"),
                name="labeling_draft_use_known",
            ),
        ]
        indexes = [models.Index(fields=["question", "id"], name="labeling_answer_of_question")]

    def __str__(self) -> str:
        return f"answer {self.pk}"


class Unsent(models.Model):
    """What somebody has filled in and not submitted yet, as the page saved it."""

    item = models.ForeignKey(Item, models.CASCADE, related_name="unsent")
    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    answers = models.JSONField(
        default=dict, help_text="Question key -> value, as in the form; may be incomplete."
    )
    seconds = models.FloatField(default=0)
    revision = models.BigIntegerField(
        default=0, help_text="Counted by the browser: an older save never wins."
    )
    saved_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["item", "user"], name="labeling_unsent_once")]

    def __str__(self) -> str:
        return f"unsent answers to {self.item}"
