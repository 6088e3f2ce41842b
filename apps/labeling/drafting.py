"""From what a model wrote to proposed answers, and the prompt that asks for them. No Django."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from apps.labeling.answers import TEXTUAL, VERDICTS, label_values
from apps.scoring.answers import Field, Form, KeyValueLines, SingleLabel, parse_answer, without_fence

CHOSEN = frozenset({"choose_one", "rate", "verdict"})
"""Kinds whose answer is one of a few: two answers can be the same."""
DRAFTED = TEXTUAL | CHOSEN
"""Kinds of questions that a text can answer."""


class Asked(Protocol):
    key: str
    kind: str
    title: str
    options: dict[str, Any]


def drafted_questions(questions: Sequence[Asked]) -> list[Asked]:
    return [question for question in questions if question.kind in DRAFTED]


def proposed_prompt(questions: Sequence[Asked]) -> str:
    """A system prompt to start from: what is asked, and the form in which the answer can be read."""
    asked = drafted_questions(questions)
    if len(asked) == 1:
        return f"{asked[0].title} {_how(asked[0])}".strip()
    lines = [f"{question.key}: <{question.title} {_how(question)}>" for question in asked]
    return "Answer with exactly these lines:\n" + "\n".join(lines)


def _how(question: Asked) -> str:
    labels = _labels(question)
    return f"Answer with one of: {', '.join(labels)}." if labels else ""


def _labels(question: Asked) -> tuple[str, ...] | None:
    if question.kind == "choose_one":
        return tuple(label_values(question.options))
    if question.kind == "verdict":
        return VERDICTS
    if question.kind == "rate":
        low, high = int(question.options.get("low", 1)), int(question.options.get("high", 5))
        return tuple(str(number) for number in range(low, high + 1))
    return None


def read_answers(questions: Sequence[Asked], text: str) -> dict[str, Any]:
    """What the text proposes, by question; a question that it does not answer in the asked form is left out.

    One question: the whole text answers it. Several: a line `key: value` each.
    """
    asked = drafted_questions(questions)
    if len(asked) == 1:
        values = _single(asked[0], text)
    else:
        fields = tuple(Field(_name(question), _labels(question)) for question in asked)
        form: Form = KeyValueLines(fields)
        found: Mapping[str, str] = parse_answer(form, text).fields or {}
        values = {question.key: found[_name(question)] for question in asked if _name(question) in found}
    kinds = {question.key: question.kind for question in asked}
    return {
        key: int(value) if kinds[key] == "rate" else value
        for key, value in values.items()
        if str(value).strip()
    }


def _name(question: Asked) -> str:
    return re.sub(r"[^\w]+", "_", question.key)


def _single(question: Asked, text: str) -> dict[str, str]:
    labels = _labels(question)
    if labels is None:
        return {question.key: without_fence(text).strip()}
    label = parse_answer(SingleLabel(labels), text).value("label")
    return {} if label is None else {question.key: label}


def asks_for_chances(questions: Sequence[Asked]) -> bool:
    """Whether the chance of a whole reply says how certain it is: not where it is free text, the longer the less."""
    return all(question.kind in CHOSEN for question in drafted_questions(questions))


def reply_chance(raw: Mapping[str, Any]) -> float | None:
    """The model's own chance of exactly the tokens that it wrote, 0..1; None where the provider tells none."""
    chances = raw.get("chances")
    if not chances:
        return None
    return min(1.0, math.exp(sum(float(one["chosen"]["logarithm"]) for one in chances)))
