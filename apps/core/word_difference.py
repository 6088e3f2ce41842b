"""Which words of two texts differ, for display side by side."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")
LIMIT = 4000
"""Words on either side above which the texts are shown as wholly different: the comparison is quadratic."""


@dataclass(frozen=True)
class Piece:
    text: str
    changed: bool


def _merge(pieces: list[Piece]) -> list[Piece]:
    merged: list[Piece] = []
    for piece in pieces:
        if merged and merged[-1].changed == piece.changed:
            merged[-1] = Piece(merged[-1].text + piece.text, piece.changed)
        else:
            merged.append(piece)
    return merged


def word_difference(before: str, after: str) -> tuple[list[Piece], list[Piece]]:
    """The pieces of both texts; joined again they give the texts unchanged. Changed pieces have no equal opposite."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if len(old) > LIMIT or len(new) > LIMIT:
        changed = before != after
        return [Piece(before, changed)], [Piece(after, changed)]
    left: list[Piece] = []
    right: list[Piece] = []
    for tag, old_start, old_end, new_start, new_end in SequenceMatcher(
        None, old, new, autojunk=False
    ).get_opcodes():
        changed = tag != "equal"
        if old_end > old_start:
            left.append(Piece("".join(old[old_start:old_end]), changed))
        if new_end > new_start:
            right.append(Piece("".join(new[new_start:new_end]), changed))
    return _merge(left), _merge(right)
