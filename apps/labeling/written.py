"""Answers that an adjudicator writes by hand, as text that can be typed. No Django.

A ranking is `B > A = C`, best first. A span is a line `label: words`; `label: words #2` is the second place where the
words stand.
"""

import re
from collections.abc import Mapping
from typing import Any

from apps.labeling.answers import AnswerError

_SPAN = re.compile(r"\A(?P<label>[^:]+):\s*[“\"]?(?P<words>.+?)[”\"]?\s*(?:#(?P<place>\d+))?\Z", re.DOTALL)


def written_value(kind: str, written: Any, text: str) -> Any:
    """What a form field holds, as a value that `answers.checked_value` checks. `text` is what spans stand in."""
    if kind == "rank":
        return _ranking(str(written or ""))
    if kind == "spans":
        return _spans(str(written or ""), text)
    return written


def _ranking(written: str) -> list[list[str]] | None:
    if not written.strip():
        return None
    groups = []
    for group in written.upper().split(">"):
        letters = [letter.strip() for letter in group.split("=")]
        if not all(len(letter) == 1 and "A" <= letter <= "Z" for letter in letters):
            raise AnswerError("Write the order with letters, best first: B > A = C.")
        groups.append([str(ord(letter) - ord("A") + 1) for letter in letters])
    return groups


def _spans(written: str, text: str) -> list[Mapping[str, Any]] | None:
    lines = [line.strip() for line in written.splitlines() if line.strip()]
    if not lines:
        return None
    if lines == ["none"]:
        return []
    return [_span(line, text) for line in lines]


def _span(line: str, text: str) -> dict[str, Any]:
    found = _SPAN.match(line)
    if found is None:
        raise AnswerError(f"“{line}” is no span. Write a line for each: label: words of the text.")
    words, wanted = found["words"], int(found["place"] or 1)
    start = -1
    for _ in range(wanted):
        start = text.find(words, start + 1)
        if start < 0:
            raise AnswerError(
                f"“{words}” does not stand {wanted} times in the text."
                if wanted > 1
                else f"“{words}” does not stand in the text."
            )
    return {"start": start, "end": start + len(words), "label": found["label"].strip()}
