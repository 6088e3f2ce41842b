"""What happens in labeling sessions, told to the workspace's webhooks.

Taken from the audit record as it is written: the message is queued in the transaction of what it tells of, so neither
is ever there without the other, and labeling knows nothing of webhooks.
"""

from typing import Any

from apps.audit.models import AuditEvent
from apps.gateway.events import SESSION_EVENTS
from apps.gateway.services.webhooks import event_announce


def session_event_announce(*, sender: type[AuditEvent], instance: AuditEvent, **signal: Any) -> None:
    """Receiver of a new entry in the audit record. Events hold figures and names, never labels or texts of rows."""
    event_type = SESSION_EVENTS.get(instance.action)
    if event_type is None or instance.workspace is None:
        return
    event_announce(
        workspace=instance.workspace,
        event_type=event_type,
        data={"session": int(instance.target_id), "name": instance.target_label, **instance.data},
        key=f"audit-a{instance.pk}",
    )
