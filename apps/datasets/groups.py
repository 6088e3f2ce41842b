"""Groups: rows that belong together, by a value in their data, and must not be torn apart by a split."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from apps.core.canonical import canonical_json, sha256_hex
from apps.datasets.checks.row_facts import GROUP_KEYS

GROUP_CHARACTERS = 200
PATHS_OFFERED = 20
MOST_ROWS_OF_ONE = 50
"""On average; what more rows share is a kind of rows rather than one conversation."""
_DEPTH = 3


@dataclass(frozen=True)
class GroupPath:
    """A place in the data whose values repeat, so that it could name groups."""

    path: str
    example: str
    distinct: int
    rows: int

    @property
    def names_conversations(self) -> bool:
        """Whether rows are to be kept together by it unless somebody says otherwise: the checks take rows of one
        conversation in two splits for leakage."""
        return self.path.rpartition(".")[2] in GROUP_KEYS and self.rows <= MOST_ROWS_OF_ONE * self.distinct


def group_of(payload: Mapping[str, Any], path: str) -> str:
    """The value at a dotted path (`metadata.wording`) as a text; empty where there is none."""
    if not path:
        return ""
    value: Any = payload
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return ""
        value = value[name]
    if value is None or value == "":
        return ""
    text = value if isinstance(value, str) else canonical_json(value).decode()
    if len(text) <= GROUP_CHARACTERS:
        return text
    return f"{text[: GROUP_CHARACTERS - 18]}… {sha256_hex(text.encode())[:16]}"


def group_paths(payloads: Iterable[Mapping[str, Any]]) -> list[GroupPath]:
    """Places outside the messages where values repeat among these rows, the most telling first."""
    values: dict[str, Counter[str]] = defaultdict(Counter)
    for payload in payloads:
        for path in _scalar_paths(payload, "", _DEPTH):
            text = group_of(payload, path)
            if text:
                values[path][text] += 1
    found = [
        GroupPath(path, counts.most_common(1)[0][0], len(counts), counts.total())
        for path, counts in values.items()
        if 1 < len(counts) < counts.total()
    ]
    # Many small groups are what a group is for; a value with two or three kinds is a label rather.
    return sorted(found, key=lambda group: (-group.distinct, group.path))[:PATHS_OFFERED]


def _scalar_paths(value: Mapping[str, Any], prefix: str, depth: int) -> Iterable[str]:
    for name, item in value.items():
        if "." in name or (not prefix and name == "messages"):
            continue
        path = f"{prefix}{name}"
        if isinstance(item, Mapping):
            if depth > 1:
                yield from _scalar_paths(item, f"{path}.", depth - 1)
        elif isinstance(item, str | int) and not isinstance(item, bool) and len(path) <= 100:
            yield path
