"""State machines: a `TextChoices`, its table of allowed moves, and one function that moves."""

from typing import Any

from django.db import models
from django.utils import timezone

from apps.core.errors import ConflictError, StaleStateError


def transition(row: Any, to: str, **fields: Any) -> None:
    """Move `row` to state `to` by compare-and-set and refresh it.

    Raises `ConflictError` when the table does not allow the move (an old tab, a second click), `StaleStateError`
    when another process moved the row first.
    """
    if to not in row.ALLOWED[row.state]:
        raise ConflictError(
            f"{str(row) or 'This'} is “{row.get_state_display().lower()}” now, so that can no longer be done."
            " Reload the page to see how it stands."
        )
    model: type[models.Model] = type(row)
    if any(field.name == "updated_at" for field in model._meta.get_fields()):
        fields.setdefault("updated_at", timezone.now())
    moved = model._default_manager.filter(pk=row.pk, state=row.state).update(state=to, **fields)
    if not moved:
        raise StaleStateError(
            f"{model._meta.verbose_name.capitalize()} {row.pk} changed in the meantime. Reload and look again."  # type: ignore[union-attr]
        )
    row.refresh_from_db()


def state_constraint(choices: type[models.TextChoices], name: str) -> models.CheckConstraint:
    """A check constraint that keeps unknown states out of the table."""
    return models.CheckConstraint(condition=models.Q(state__in=choices.values), name=name)
