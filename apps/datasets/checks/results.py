"""What a check returns."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from apps.core.formatting import format_number

PROBLEM, ATTENTION, INFO = "problem", "attention", "info"
SEVERITIES = (PROBLEM, ATTENTION, INFO)

DROP_ROWS, DROP_REPEATS, DROP_TRAIN, MASK, PLACEHOLDER, TRUNCATE, REFUSE, ACCEPT = (
    "drop_rows",
    "drop_repeats",
    "drop_train",
    "mask",
    "placeholder",
    "truncate",
    "refuse",
    "accept",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an item: its place in the columns, what it is there for, and whether a clean-up keeps it."""

    index: int
    note: str = ""
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to decide about: a cluster, a pair, a row. Without rows it speaks of the data as a whole."""

    key: str
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Found:
    """All items of one kind. `blocks` keeps a version from being frozen until every item is decided."""

    check: str
    code: str
    severity: str
    title: str
    detail: str
    items: list[Item]
    actions: tuple[str, ...] = (ACCEPT,)
    evidence: dict[str, Any] = field(default_factory=dict)
    blocks: bool = False

    @property
    def row_count(self) -> int:
        return sum(len(item.rows) for item in self.items)


def item_key(code: str, parts: Iterable[object]) -> str:
    """The same for the same kind and the same content, in any order and in every report: 32 hexadecimal digits."""
    digest = hashlib.blake2b(code.encode(), digest_size=16)
    for part in sorted(str(part) for part in parts):
        digest.update(b"\x00" + part.encode())
    return digest.hexdigest()


def rows_text(count: int, what: str = "row") -> str:
    """1 row, 2 rows, 12 480 rows."""
    return f"{format_number(count)} {what}{'' if count == 1 else 's'}"
