"""Replies as plain dictionaries: servers leave fields out or add their own, and that must not matter."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

from openai import omit

from apps.providers.openai_protocol.access import Access
from apps.providers.openai_protocol.errors import asking, bad_reply

Raw = Any
"""A raw reply of the client library."""
LARGEST_TIME = 253_402_300_799
"""The last second of the year 9999."""


def body_of(access: Access, raw: Raw) -> dict[str, Any]:
    """The reply's JSON object; ProviderUnavailableError with code "bad_reply" for anything else."""
    with asking(access):
        body = raw.http_response.json()
    if not isinstance(body, dict):
        raise bad_reply(access, body)
    return body


def entries(body: dict[str, Any]) -> list[dict[str, Any]]:
    data = body.get("data")
    return [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []


def pages(
    access: Access, ask: Callable[..., Raw], *, limit: int, most: int, after: str = "", **filters: Any
) -> Iterator[list[dict[str, Any]]]:
    """At most so many pages of a list. `ask` is the library's raw method."""
    for _ in range(most):
        with asking(access):
            raw = ask(limit=limit, after=after or omit, **filters)
        body = body_of(access, raw)
        page = entries(body)
        if page:
            yield page
        more = body.get("has_more")
        last = str(page[-1].get("id") or "") if page else ""
        # Some servers don't know pages and send everything at once, whatever the cursor.
        if not (more or more is None and len(page) == limit) or not last or last == after:
            return
        after = last


def number(value: Any) -> float | None:
    """A finite number, also where it came as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except ValueError:
        return None
    return found if abs(found) < float("inf") else None


def text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def moment(value: Any) -> datetime | None:
    """Unix seconds, as the protocol has them, or a time in ISO 8601."""
    seconds = number(value)
    if seconds is not None:
        return datetime.fromtimestamp(seconds, UTC) if 0 < seconds <= LARGEST_TIME else None
    try:
        found = datetime.fromisoformat(text(value))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def day(value: Any) -> date | None:
    found = moment(value)
    return found.date() if found else None
