"""Graders that score an answer by comparing texts. No Django."""

import re
from collections.abc import Mapping
from typing import Any

from rapidfuzz import fuzz

PLACEHOLDER = re.compile(r"\{\{\s*(.+?)\s*\}\}")
OPERATIONS = ("eq", "ne", "like", "ilike")
SIMILARITIES = ("fuzzy_match",)


class GraderError(ValueError):
    """The grader is not one that is known here, or its template names what there is not."""


def check_grader(grader: Any) -> None:
    """Raises GraderError."""
    if not isinstance(grader, dict) or not isinstance(grader.get("type"), str):
        raise GraderError("A grader is an object with a type.")
    known = {
        "string_check": ("operation", OPERATIONS),
        "text_similarity": ("evaluation_metric", SIMILARITIES),
    }
    if grader["type"] not in known:
        raise GraderError(f"The grader '{grader['type']}' is not available here; {' and '.join(known)} are.")
    for name in ("name", "input", "reference"):
        if not isinstance(grader.get(name), str):
            raise GraderError(f"The grader needs a text '{name}'.")
    name, values = known[grader["type"]]
    if grader.get(name) not in values:
        raise GraderError(f"'{name}' must be one of {', '.join(values)}.")


def score(grader: Mapping[str, Any], *, sample: str, item: Mapping[str, Any]) -> float:
    """1 or 0 of a string check, 0 to 1 of a similarity. Raises GraderError."""
    given = fill(grader["input"], sample=sample, item=item)
    reference = fill(grader["reference"], sample=sample, item=item)
    if grader["type"] == "text_similarity":
        return float(fuzz.ratio(given, reference)) / 100
    operation = grader["operation"]
    if operation == "eq":
        return float(given == reference)
    if operation == "ne":
        return float(given != reference)
    if operation == "like":
        return float(reference in given)
    return float(reference.lower() in given.lower())


def fill(template: str, *, sample: str, item: Mapping[str, Any]) -> str:
    """{{sample.output_text}} and {{item.field}} replaced by what they stand for."""

    def value(match: re.Match[str]) -> str:
        root, *steps = match[1].split(".")
        found: Any = {"sample": {"output_text": sample}, "item": item}.get(root)
        for step in steps:
            found = found.get(step) if isinstance(found, Mapping) else None
        if found is None or not steps:
            raise GraderError(f"There is no value for {match[0]}.")
        return str(found)

    return PLACEHOLDER.sub(value, template)
