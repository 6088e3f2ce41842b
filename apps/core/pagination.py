"""Keyset pages: constant cost however deep, and stable while rows are added.

The key is one indexed, unique, ordered column (a position or an id). The URL carries `after` or `before`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class KeysetPage(Generic[Row]):
    rows: list[Row]
    after: int | None
    """Key for the next page, or None at the end."""
    before: int | None
    """Key for the previous page, or None at the start."""
    query: str = ""
    """The other parameters of the URL, encoded, to be kept in the links."""

    @property
    def has_other_pages(self) -> bool:
        return self.after is not None or self.before is not None


def _as_int(value: object) -> int | None:
    text = str(value or "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def keyset_page(
    queryset: QuerySet[Row],
    parameters: Mapping[str, Any],
    *,
    key: str = "pk",
    size: int = 50,
    descending: bool = False,
) -> KeysetPage[Row]:
    """One page of `queryset` by `key`, from the URL parameters `after`/`before`. Bad values mean the first page."""
    after, before = _as_int(parameters.get("after")), _as_int(parameters.get("before"))
    forwards = before is None
    ascending_scan = forwards != descending
    order = key if ascending_scan else f"-{key}"
    bound = after if forwards else before
    if bound is not None:
        queryset = queryset.filter(**{f"{key}__{'gt' if ascending_scan else 'lt'}": bound})
    rows = list(queryset.order_by(order)[: size + 1])
    more = len(rows) > size
    rows = rows[:size]
    if not forwards:
        rows.reverse()
    has_next = more if forwards else True
    has_previous = (after is not None) if forwards else more
    attribute = "pk" if key == "pk" else key
    kept = [(name, value) for name, value in _pairs(parameters) if name not in ("after", "before")]
    return KeysetPage(
        rows=rows,
        after=getattr(rows[-1], attribute) if rows and has_next else None,
        before=getattr(rows[0], attribute) if rows and has_previous else None,
        query=urlencode(kept),
    )


def _pairs(parameters: Mapping[str, Any]) -> list[tuple[str, str]]:
    if hasattr(parameters, "lists"):
        return [(name, value) for name, values in parameters.lists() for value in values]
    return [(name, str(value)) for name, value in parameters.items()]
