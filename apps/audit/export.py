"""The record as CSV, streamed."""

import csv
import json
from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from apps.audit.models import AuditEvent

COLUMNS = (
    "time",
    "actor",
    "action",
    "target_type",
    "target_id",
    "target",
    "before",
    "after",
    "data",
    "source",
    "address",
    "request_id",
)


class _Echo:
    """What `csv.writer` writes to: hands each line back."""

    def write(self, value: str) -> bytes:
        return value.encode()


def audit_csv(events: QuerySet[AuditEvent]) -> Iterator[bytes]:
    """Lines of CSV, newest event first. Text that a spreadsheet would take for a formula is quoted as text."""
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    for event in events.iterator(chunk_size=2000):
        yield writer.writerow([_plain(value) for value in _values(event)])


def _values(event: AuditEvent) -> list[Any]:
    return [
        event.created_at.isoformat(timespec="milliseconds"),
        event.actor_label,
        event.action,
        event.target_type,
        event.target_id,
        event.target_label,
        _as_json(event.before),
        _as_json(event.after),
        _as_json(event.data or None),
        event.source,
        event.address or "",
        event.request_id,
    ]


def _as_json(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _plain(value: str) -> str:
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
