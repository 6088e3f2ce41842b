"""A hold of a seat, as it goes from the queue to the page."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class Lease:
    """Somebody's hold of a seat; whoever submits shows the token."""

    seat_id: int
    item_id: int
    token: UUID
    held_until: datetime
