"""What people say about items: skips, flags, comments."""

from django.db import models
from django.db.models import Q

from apps.accounts.models import User
from apps.labeling.models.queue import Item
from apps.labeling.models.sessions import Session


class Skip(models.Model):
    """Somebody passed an item on; they do not get it again."""

    item = models.ForeignKey(Item, models.CASCADE, related_name="skips")
    user = models.ForeignKey(User, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=300)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["item", "user"], name="labeling_skip_once"),
            models.CheckConstraint(condition=~Q(reason=""), name="labeling_skip_has_reason"),
        ]

    def __str__(self) -> str:
        return f"{self.user} skipped {self.item}"


class Flag(models.Model):
    """A call for the lead about an item; open until somebody settles it."""

    item = models.ForeignKey(Item, models.CASCADE, related_name="flags")
    user = models.ForeignKey(User, models.PROTECT, related_name="+")
    reason = models.CharField(max_length=300)
    created_at = models.DateTimeField(auto_now_add=True)
    settled_at = models.DateTimeField(null=True)
    settled_by = models.ForeignKey(User, models.SET_NULL, null=True, related_name="+")

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["item", "user"],
                condition=Q(settled_at=None),
                name="labeling_one_open_flag_per_person",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="labeling_flag_has_reason"),
        ]

    def __str__(self) -> str:
        return f"flag on {self.item}"


class Comment(models.Model):
    """A line in the thread that one labeler and the reviewers have about an item.

    A thread belongs to one labeler, so that nobody reads of another's answer before giving their own.
    """

    item = models.ForeignKey(Item, models.CASCADE, related_name="comments")
    thread_of = models.ForeignKey(User, models.PROTECT, related_name="+")
    author = models.ForeignKey(User, models.PROTECT, related_name="+")
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        constraints = [models.CheckConstraint(condition=~Q(text=""), name="labeling_comment_has_text")]
        indexes = [models.Index(fields=["item", "thread_of", "id"], name="labeling_thread")]

    def __str__(self) -> str:
        return f"comment on {self.item}"


class Unread(models.Model):
    """Comments that somebody has not read yet, of a thread that they take part in; gone once they have.

    A thread's people are its labeler, whoever wrote in it, and who set the session up: somebody must hear a question.
    """

    session = models.ForeignKey(Session, models.CASCADE, related_name="unread")
    item = models.ForeignKey(Item, models.CASCADE, related_name="unread")
    thread_of = models.ForeignKey(User, models.CASCADE, related_name="+")
    user = models.ForeignKey(User, models.CASCADE, related_name="+")
    count = models.PositiveIntegerField(default=1)
    since = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        verbose_name_plural = "unread comments"
        constraints = [
            models.UniqueConstraint(fields=["item", "thread_of", "user"], name="labeling_unread_once"),
        ]
        indexes = [models.Index(fields=["session", "user"], name="labeling_unread_of_person")]

    def __str__(self) -> str:
        return f"{self.count} unread by {self.user} on {self.item}"
