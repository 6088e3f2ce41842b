"""To which models and which servers an entry of a shipped list belongs. No database."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit


def closeness(pattern: str, model: str) -> int:
    """How well a pattern fits: 0 not at all; an exact name beats any beginning, a longer beginning a shorter one."""
    if pattern.endswith("*"):
        beginning = pattern[:-1]
        return 1 + len(beginning) if model.startswith(beginning) else 0
    return 1_000_000 if pattern == model else 0


def hosts_of(settings: Mapping[str, Any]) -> frozenset[str]:
    """The servers that a connection's addresses lead to."""
    found = set()
    for value in settings.values():
        if isinstance(value, str) and value.startswith(("https://", "http://")):
            found.add((urlsplit(value).hostname or "").lower())
    return frozenset(found - {""})
