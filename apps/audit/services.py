"""Writing the record. Called inside the transaction of the change that it records."""

from typing import Any

from django.db.models import Model

from apps.accounts.models import User, Workspace
from apps.audit.models import AuditEvent
from apps.audit.plugs import tell_listeners
from apps.core.request_context import current_request


def record(
    *,
    workspace: Workspace | None,
    actor: User | None,
    action: str,
    target: Model | None = None,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    data: dict[str, Any] | None = None,
) -> AuditEvent:
    """Append one event. `action` is dotted and in the past tense; values must be JSON and hold no secret."""
    origin = current_request()
    event = AuditEvent.objects.create(
        workspace=workspace,
        actor=actor,
        actor_label=actor.email if actor else "system",
        action=action,
        target_type=target._meta.label_lower if target is not None else "",
        target_id=str(target.pk) if target is not None else "",
        target_label=str(target)[:200] if target is not None else "",
        before=before,
        after=after,
        data=data or {},
        source=origin.source,
        address=origin.address or None,
        request_id=origin.request_id,
    )
    tell_listeners(event)
    return event
