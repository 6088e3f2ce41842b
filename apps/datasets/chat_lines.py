"""Rows as lines of chat, of whatever shape they were received in."""

import json

from django.db.models import Case, F, TextField, When
from django.db.models.functions import Cast

from apps.core.canonical import canonical_json


def chat_line(raw: bytes | memoryview, made: str | None) -> bytes:
    """The row as a line of chat: as it was received, or where that was no chat the canonical JSON of its payload.

    `made` is the payload's text, None where `raw` is the line.
    """
    return bytes(raw) if made is None else canonical_json(json.loads(made))


def made_payload(prefix: str = "") -> Case:
    """Beside `raw` in a query: the payload's text where `raw` is no line of chat, else nothing."""
    text = Cast(F(f"{prefix}payload"), TextField())
    return Case(When(**{f"{prefix}raw_is_chat": False}, then=text), default=None, output_field=TextField())
