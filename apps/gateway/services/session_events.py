"""What happens in labeling sessions, told to the workspace's webhooks.

Taken from the audit record as it is written: the message is queued in the transaction of what it tells of, so neither
is ever there without the other, and labeling knows nothing of webhooks.
"""

from apps.audit.models import AuditEvent
from apps.gateway.events import SESSION_EVENTS
from apps.gateway.services.webhooks import event_announce


def session_event_announce(entry: AuditEvent) -> None:
    """Events hold figures and names, never labels or texts of rows."""
    event_type = SESSION_EVENTS.get(entry.action)
    if event_type is None or entry.workspace is None:
        return
    event_announce(
        workspace=entry.workspace,
        event_type=event_type,
        data={"session": int(entry.target_id), "name": entry.target_label, **entry.data},
        key=f"audit-a{entry.pk}",
    )
