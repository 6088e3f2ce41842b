"""How an answer is written out."""

from typing import Any

from django import template

from apps.datasets.models import Example
from apps.labeling.item_content import content_of
from apps.labeling.models import Answer

register = template.Library()


@register.filter
def asked(example: Example) -> str:
    """What the row asks: many rows begin with the same system prompt, which tells nobody which row it is."""
    return content_of(example.payload).question


@register.simple_tag
def answer_text(answer: Answer) -> str:
    """An answer of any kind as a line of text; the page escapes it."""
    return value_text(answer.question.kind, answer.value)


def value_text(kind: str, value: Any) -> str:
    if kind == "choose_several":
        return ", ".join(str(one) for one in value)
    if kind == "rank":
        return " > ".join(" = ".join(str(one) for one in group) for group in value)
    if kind == "spans":
        return (
            "; ".join(f"{span['label']} {span['start']}–{span['end']}" for span in value) or "nothing marked"
        )
    if kind == "prefer":
        return "a tie" if value == "tie" else f"answer {value}"
    return str(value)
