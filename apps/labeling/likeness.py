"""How alike two answers to one question are, what of them can be compared, and how they read. No Django."""

from collections.abc import Hashable, Mapping, Sequence
from itertools import combinations
from typing import Any

from apps.labeling.agreement import Span, edit_distance, masi_distance, ranking_distance, span_f1
from apps.labeling.answers import CATEGORICAL, TEXTUAL, TIE

NO_ANSWER = "(no answer)"
_VERDICTS = {"accept": "Accept", "reject": "Reject"}


def comparable(kind: str, value: Any) -> Hashable:
    """The stored value as something that equals another one exactly if the two answers are the same."""
    if kind == "choose_several":
        return frozenset(value)
    if kind == "rank":
        return tuple((str(one), place) for place, group in enumerate(value) for one in group)
    if kind == "spans":
        return tuple(Span(span["start"], span["end"], span["label"]) for span in value)
    return value if isinstance(value, Hashable) else str(value)


def likeness(kind: str, first: Any, second: Any) -> float:
    """1 the same, 0 nothing alike; of two answers as `comparable` gives them."""
    if first == second:
        return 1.0
    if kind == "choose_several":
        return 1 - masi_distance(first, second)
    if kind == "rank":
        return 1 - ranking_distance(first, second)
    if kind == "spans":
        return span_f1({0: {"a": first, "b": second}}).value or 0.0
    if kind in TEXTUAL:
        return 1 - edit_distance(str(first), str(second))
    return 0.0


def item_likeness(kind: str, values: Sequence[Any]) -> float | None:
    """The mean over pairs of the answers to one item; None stands for a question that was left out, unlike any answer.

    The result is None where there is no pair.
    """
    pairs = list(combinations(values, 2))
    if not pairs:
        return None
    alike = [
        float(one is other) if one is None or other is None else likeness(kind, one, other)
        for one, other in pairs
    ]
    return sum(alike) / len(alike)


def majority(kind: str, values: Sequence[Any]) -> Any | None:
    """What more than half of the answers say; None where there is no such answer."""
    for value in values:
        if value is not None and 2 * sum(other == value for other in values) > len(values):
            return value
    return None


def distribution(kind: str, values: Sequence[Any]) -> dict[str, int]:
    """How the labels were spread: label -> number of people who gave it. Texts and spans have none."""
    counts: dict[str, int] = {}
    values = [value for value in values if value is not None]
    if kind in CATEGORICAL or kind == "rate":
        for value in values:
            counts[str(value)] = counts.get(str(value), 0) + 1
    elif kind == "choose_several":
        for chosen in values:
            for label in chosen:
                counts[str(label)] = counts.get(str(label), 0) + 1
    return dict(sorted(counts.items()))


def readable(kind: str, value: Any, text: str = "") -> str:
    """The stored value in words. `text` is what spans stand in."""
    if value is None:
        return NO_ANSWER
    match kind:
        case "prefer":
            words = "Tie" if value == TIE else f"Answer {candidate_letter(value)}"
        case "verdict":
            words = _VERDICTS.get(value, str(value))
        case "choose_several":
            words = ", ".join(map(str, value)) or "none of them"
        case "rank":
            words = " > ".join(" = ".join(candidate_letter(one) for one in group) for group in value)
        case "spans":
            words = "; ".join(_readable_span(span, text) for span in value) or "no spans"
        case _:
            words = str(value)
    return words


def candidate_letter(number: Any) -> str:
    """Candidate answers have numbers in the data and letters on the pages."""
    return chr(ord("A") + int(number) - 1) if str(number).isdigit() and 0 < int(number) <= 26 else str(number)


def _readable_span(span: Mapping[str, Any], text: str) -> str:
    start, end = int(span["start"]), int(span["end"])
    words = text[start:end]
    return f"{span['label']}: “{words}”" if words else f"{span['label']}: {start} to {end}"
