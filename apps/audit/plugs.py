"""What apps above this one plug in at start-up, to learn of what is recorded without being known here."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apps.audit.models import AuditEvent

Listener = Callable[["AuditEvent"], None]
_listeners: list[Listener] = []


def plug_in_listener(listener: Listener) -> None:
    """`listener` gets every new entry, inside the transaction of the change that it records."""
    if listener not in _listeners:
        _listeners.append(listener)


def tell_listeners(event: "AuditEvent") -> None:
    for listener in _listeners:
        listener(event)
