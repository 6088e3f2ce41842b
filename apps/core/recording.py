"""The port through which `accounts`, which lies below `audit`, gets its changes into the audit record.

`audit` plugs in its writer at start-up; without one nothing may be changed, so that no change goes unrecorded.

Why so: docs/adr/0008-layers.md.
"""

from collections.abc import Callable
from typing import Any

_writer: Callable[..., Any] | None = None


def plug_in_writer(writer: Callable[..., Any]) -> None:
    global _writer  # noqa: PLW0603 - set once, at start-up
    _writer = writer


def record(**event: Any) -> None:
    """Append an event; takes what `apps.audit.services.record` takes."""
    if _writer is None:
        raise RuntimeError("No audit writer is plugged in: is apps.audit installed?")
    _writer(**event)
