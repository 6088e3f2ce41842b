"""What happened to one row since it came in: its forms, who made them and when, and what each step changed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q

from apps.accounts.models import User
from apps.datasets.message_differences import MessageDifference, message_differences
from apps.datasets.models import Change, ChangeRow, Example
from apps.datasets.selectors import forms_of

STEPS_SHOWN = 100


@dataclass(frozen=True)
class Step:
    """One thing that was done to the row."""

    change: Change
    form: Example
    """What stood after it; after a removal what was removed."""
    differences: list[MessageDifference]

    @property
    def who(self) -> User | None:
        return self.change.created_by

    @property
    def when(self) -> datetime:
        return self.change.created_at

    @property
    def is_undone(self) -> bool:
        return self.change.undone_at is not None


@dataclass(frozen=True)
class History:
    first: Example
    """As it came in."""
    current: Example | None
    """What stands in the dataset now; None: the row is removed."""
    forms: list[Example]
    steps: list[Step]
    """The newest first."""


def history_of(example: Example) -> History:
    forms = list(forms_of(example.key).defer("raw", "text", "words").select_related("created_by"))
    by_id = {form.pk: form for form in forms}
    touched = ChangeRow.objects.filter(Q(before__in=list(by_id)) | Q(after__in=list(by_id)))
    rows = touched.select_related("change__created_by", "change__undone_by").order_by("-pk")[:STEPS_SHOWN]
    steps = []
    for row in rows:
        before = by_id.get(row.before_id or 0)
        after = by_id.get(row.after_id or 0)
        shown = after or before
        if shown is None:
            continue
        differences: list[MessageDifference] = []
        if before is not None and after is not None and before.pk != after.pk:
            differences = message_differences(_messages(before), _messages(after))
        steps.append(Step(row.change, shown, differences))
    current = next((form for form in forms if form.removed_at is None), None)
    return History(forms[0], current, forms, steps)


def _messages(form: Example) -> list[dict[str, Any]]:
    messages = form.payload.get("messages")
    return messages if isinstance(messages, list) else []
