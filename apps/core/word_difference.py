"""The word-level difference of two texts, as segments; a page draws them, escaping each text itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from rapidfuzz.distance import Indel

Operation = Literal["equal", "delete", "insert"]

# Words (with inner apostrophes and hyphens), single line ends, runs of other white space, single other characters.
_TOKENS = re.compile(r"\w+(?:['’\-]\w+)*|\n|[^\S\n]+|[^\w\s]")
_MOST_TOKEN_PAIRS = 400_000_000
"""Beyond this the comparison is by lines: it needs a bit of memory for each pair of tokens."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of text that is in both texts (equal), only in the first (delete) or only in the second (insert)."""

    op: Operation
    text: str


def word_difference(before: str, after: str) -> list[Segment]:
    """What to delete from `before` and insert to get `after`, with as few words changed as possible.

    The equal and deleted texts in order give `before`, the equal and inserted ones `after`, character by
    character. Within a change the deletion comes first. Spaces between two changed words belong to the change.
    """
    first, second = _TOKENS.findall(before), _TOKENS.findall(after)
    if len(first) * len(second) > _MOST_TOKEN_PAIRS:
        first, second = before.splitlines(keepends=True), after.splitlines(keepends=True)
    changes: list[Segment] = []
    for code in Indel.opcodes(first, second):
        if code.tag == "insert":
            changes.append(Segment("insert", "".join(second[code.dest_start : code.dest_end])))
        else:
            op: Operation = "delete" if code.tag == "delete" else "equal"
            changes.append(Segment(op, "".join(first[code.src_start : code.src_end])))
    return _ordered(_without_lone_spaces(changes))


def _without_lone_spaces(segments: list[Segment]) -> list[Segment]:
    """Turn an equal run of spaces between two changes into a part of both: "old text" -> "new words" is one change."""
    result: list[Segment] = []
    for position, segment in enumerate(segments):
        between = 0 < position < len(segments) - 1
        if segment.op == "equal" and between and not segment.text.strip() and "\n" not in segment.text:
            result += [Segment("delete", segment.text), Segment("insert", segment.text)]
        else:
            result.append(segment)
    return result


def _ordered(segments: list[Segment]) -> list[Segment]:
    """Join neighbours of one kind; in each change all deletions come before all insertions."""
    result: list[Segment] = []
    for equal, run in groupby(segments, key=lambda segment: segment.op == "equal"):
        members = list(run)
        kinds: tuple[Operation, ...] = ("equal",) if equal else ("delete", "insert")
        for kind in kinds:
            text = "".join(member.text for member in members if member.op == kind)
            if text:
                result.append(Segment(kind, text))
    return result
