"""What apps above this one plug in at start-up, so that a connection is not taken away from under them."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apps.providers.models import Connection

UseSource = Callable[["Connection"], Sequence[str]]
_uses: list[UseSource] = []


def plug_in_use(source: UseSource) -> None:
    """`source` names what runs over a connection right now, in words for a page, such as "the job “Tickets 3”"."""
    if source not in _uses:
        _uses.append(source)


def uses_of(connection: "Connection") -> list[str]:
    return [use for source in _uses for use in source(connection)]
