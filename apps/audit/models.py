"""The append-only record of who did what. It knows no domain model: a target is a type, an id and a label."""

from dataclasses import dataclass
from typing import Any

from django.db import models

from apps.accounts.models import User, Workspace


@dataclass(frozen=True)
class ChangedValue:
    """One value before and after; `had_before` is false for something new."""

    name: str
    had_before: bool
    before: Any
    after: Any


class AuditEvent(models.Model):
    """Never changed, never deleted by the application; a trigger refuses both."""

    workspace = models.ForeignKey(Workspace, models.PROTECT, null=True, related_name="+")
    actor = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    actor_label = models.CharField(
        max_length=254, help_text="Who, as they were called then; 'system' for none."
    )
    action = models.CharField(max_length=80, help_text="Dotted, past tense: dataset.version_frozen")
    target_type = models.CharField(max_length=60, blank=True)
    target_id = models.CharField(max_length=64, blank=True)
    target_label = models.CharField(max_length=200, blank=True)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    data = models.JSONField(default=dict, blank=True)
    source = models.CharField(max_length=10, help_text="page, api, worker, command or system")
    address = models.GenericIPAddressField(null=True, blank=True)
    request_id = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["workspace", "-id"], name="audit_workspace_newest"),
            models.Index(fields=["target_type", "target_id"], name="audit_target"),
            models.Index(fields=["workspace", "action"], name="audit_action"),
        ]

    def __str__(self) -> str:
        return f"{self.actor_label} {self.action} {self.target_label}".strip()

    @property
    def changes(self) -> list[ChangedValue]:
        """What differs between before and after, and further facts as values without a before."""
        before, after = self.before or {}, self.after or {}
        names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        changed = [ChangedValue(name, name in before, before.get(name), after.get(name)) for name in names]
        return changed + [ChangedValue(name, False, None, value) for name, value in self.data.items()]
