"""Regular expressions that people declare, matched by RE2: its time grows with the text's length, whatever the pattern.

So `(a+)+b` can hold nobody up, neither a check of a million answers nor an evaluation. In return RE2 has no look-ahead,
no look-behind and no back-references, and `\\w` means ASCII letters: `\\pL` means all.
"""

from functools import lru_cache
from typing import Any

import re2

from apps.core.formatting import format_number

LONGEST = 1000


def pattern_problem(pattern: str) -> str:
    """Why the pattern can't be declared; empty when it can."""
    if not pattern.strip():
        return "Write a pattern."
    if len(pattern) > LONGEST:
        return f"The pattern has {format_number(len(pattern))} characters; at most {format_number(LONGEST)} are taken."
    if problem := reading_problem(pattern):
        return problem
    if compiled(pattern).fullmatch("") is not None:
        return "The pattern matches an empty answer, so it would say nothing."
    return ""


def reading_problem(pattern: str) -> str:
    """Why RE2 can't read the pattern; empty when it can."""
    try:
        compiled(pattern)
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if error.args else "unknown"
        return f"This pattern can't be read: {reason}. Look-ahead, look-behind and back-references are not known here."
    return ""


def is_found(pattern: str, text: str) -> bool:
    """Whether any part of the text matches, as JSON Schema has it."""
    return compiled(pattern).search(text) is not None


@lru_cache(maxsize=64)
def compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    return re2.compile(pattern, options=options)


def group_names(pattern: str) -> tuple[str, ...]:
    """The named groups, in their order."""
    index: dict[str, int] = compiled(pattern).groupindex
    return tuple(sorted(index, key=lambda name: index[name]))


def matched_groups(pattern: str, text: str) -> dict[str, str] | None:
    """The named groups that the whole text gives; None where it does not match."""
    found = compiled(pattern).fullmatch(text)
    if found is None:
        return None
    return {name: value for name, value in found.groupdict().items() if value is not None}
