"""Pages by cursor, as the protocol's lists have them: `after` is the id of the last thing of the page before."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.db.models import Model, QuerySet

from apps.gateway.errors import ApiError

Row = TypeVar("Row", bound=Model)
LONGEST_NUMBER = 9
ORDERS = ("asc", "desc", "ascending", "descending")


def limit_of(query: dict[str, str], *, default: int, most: int) -> int:
    text = query.get("limit", "")
    if not text:
        return default
    if not text.isascii() or not text.isdigit():
        raise ApiError(
            f"Invalid 'limit': {text!r} is not a whole number.", code="invalid_type", param="limit"
        )
    return most if len(text) > LONGEST_NUMBER else min(int(text), most)


def wants_descending(query: dict[str, str], *, default: bool) -> bool:
    """Raises ApiError for an order that is none."""
    order = query.get("order", "")
    if not order:
        return default
    if order not in ORDERS:
        known = " and ".join(f"'{name}'" for name in ORDERS[:2])
        raise ApiError(
            f"Invalid 'order': {order!r}. Supported values are {known}.", code="invalid_value", param="order"
        )
    return order.startswith("desc")


def page_of(
    rows: QuerySet[Row],
    query: dict[str, str],
    *,
    default: int,
    most: int,
    newest_first: bool = True,
    cursors: QuerySet[Row] | None = None,
) -> tuple[list[Row], bool]:
    """One page and whether there is more. Behind a cursor that names nothing there is nothing.

    `cursors` are the rows that a cursor may name: those of the list, and what was deleted from it since.
    """
    limit = limit_of(query, default=default, most=most)
    descending = wants_descending(query, default=newest_first)
    after = query.get("after", "")
    if after:
        key = (
            (rows if cursors is None else cursors)
            .filter(public_id=after)
            .values_list("pk", flat=True)
            .first()
        )
        if key is None:
            return [], False
        rows = rows.filter(pk__lt=key) if descending else rows.filter(pk__gt=key)
    found = list(rows.order_by("-pk" if descending else "pk")[: limit + 1])
    return found[:limit], len(found) > limit


def listing(things: Sequence[dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    return {
        "object": "list",
        "data": list(things),
        "first_id": things[0]["id"] if things else None,
        "last_id": things[-1]["id"] if things else None,
        "has_more": has_more,
    }


def listed(rows: Sequence[Row], shape: Callable[[Row], dict[str, Any]], *, has_more: bool) -> dict[str, Any]:
    return listing([shape(row) for row in rows], has_more=has_more)
