"""Proposing the form of a project's answers from its gold answers, so that nobody has to configure it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from apps.scoring.answers import (
    KEY_LINE,
    Field,
    Form,
    FreeText,
    JsonObject,
    KeyValueLines,
    SingleLabel,
    parse_answer,
    without_fence,
)

REQUIRED_SHARE = 0.95
MOST_LABELS = 200
USES_PER_LABEL = 4
LONGEST_LABEL = 60


@dataclass(frozen=True, slots=True)
class FormProposal:
    """A proposed form, how many of the gold answers it reads without a problem, and why it was chosen."""

    form: Form
    conforming: int
    total: int
    reason: str


def propose_form(gold_answers: Sequence[str]) -> FormProposal:
    """The tightest form that at least 95 % of the gold answers are in.

    Tried in this order: JSON objects with the same fields, `name: value` lines with the same fields, one
    label from a small set, free text. A value set counts as labels when it has at most 200 values of at
    most 60 characters, each used four times on average: fewer uses are more likely free text that
    happens to repeat.
    """
    answers = [answer for answer in gold_answers if answer.strip()]
    candidates: tuple[tuple[Callable[[list[str]], Form | None], str], ...] = (
        (_json_form, "the gold answers are JSON objects with the same fields"),
        (_lines_form, "the gold answers are `name: value` lines with the same fields"),
        (_label_form, "the gold answers repeat a small set of labels"),
    )
    if answers:
        for build, reason in candidates:
            form = build(answers)
            if form is None:
                continue
            conforming = sum(not parse_answer(form, answer).problems for answer in answers)
            if conforming >= REQUIRED_SHARE * len(answers):
                return FormProposal(form, conforming, len(answers), reason)
    return FormProposal(FreeText(), len(answers), len(answers), "the gold answers share no tighter form")


def _json_form(answers: list[str]) -> Form | None:
    objects = []
    for answer in answers:
        try:
            data = json.loads(without_fence(answer))
        except ValueError:
            continue
        if isinstance(data, dict) and data:
            objects.append(data)
    if len(objects) < REQUIRED_SHARE * len(answers):
        return None
    names = _shared_names(objects, len(answers))
    fields = tuple(
        Field(name, _label_set([item[name] for item in objects if isinstance(item.get(name), str)], objects))
        for name in names
    )
    return JsonObject(fields) if fields else None


def _lines_form(answers: list[str]) -> Form | None:
    read = []
    for answer in answers:
        matches = (KEY_LINE.match(line) for line in without_fence(answer).strip().splitlines())
        read.append({found["name"]: found["value"] for found in matches if found is not None})
    names = _shared_names(read, len(answers))
    fields = tuple(
        Field(name, _label_set([item[name] for item in read if name in item], read)) for name in names
    )
    return KeyValueLines(fields) if fields else None


def _label_form(answers: list[str]) -> Form | None:
    labels = _label_set([without_fence(answer).strip() for answer in answers], answers)
    return None if labels is None else SingleLabel(labels)


def _shared_names(items: Sequence[dict[str, str]], total: int) -> list[str]:
    """The names that nearly every item has, in the order of first appearance."""
    counts = Counter(name for item in items for name in item)
    return [name for name, count in counts.items() if count >= REQUIRED_SHARE * total]


def _label_set(values: Iterable[str], all_items: Sequence[object]) -> tuple[str, ...] | None:
    """The distinct values, most frequent first, if they look like labels; otherwise None."""
    counts = Counter(values)
    few = 0 < len(counts) <= min(MOST_LABELS, max(1, counts.total() // USES_PER_LABEL))
    short = all(0 < len(value) <= LONGEST_LABEL and "\n" not in value for value in counts)
    whole = counts.total() >= REQUIRED_SHARE * len(all_items)
    if not (few and short and whole):
        return None
    return tuple(label for label, _ in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
