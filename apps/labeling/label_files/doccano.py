"""doccano's JSONL export: one line an example; the labels of one person a file, named after them, packed into a zip.

Text classification and sequence to sequence have `label`: ["…"], sequence labeling `label`: [[start, end, "…"]]
or, with relations, `entities`: [{start_offset, end_offset, label}], intent detection `entities` and `cats` (doccano's
documentation of its formats, and the examples that its export page shows).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from apps.labeling.label_files.records import FoundLabel, RecordError, mapping, sequence, span

NAME = "doccano JSONL"
_LABELS = ("label", "labels", "entities", "cats", "categories")


def recognises(record: Mapping[str, Any]) -> bool:
    return isinstance(record.get("text", record.get("data")), str) and any(name in record for name in _LABELS)


def labels_of(number: int, record: Mapping[str, Any], source: str) -> Iterator[FoundLabel | None]:
    """One label a line, of the person whose file it is; None where they gave none."""
    text = record.get("text", record.get("data"))
    if not isinstance(text, str):
        raise RecordError("`text` is missing.")
    answers = {name: value for name in _LABELS if (value := _value(name, record.get(name)))}
    if not answers:
        yield None
        return
    key = str(record.get("id", ""))
    yield FoundLabel(record=number, key=key, texts=(text,), labeler=source, answers=answers)


def _value(name: str, value: Any) -> Any:
    if value is None or isinstance(value, str | int):
        return value
    values = sequence(value, f"`{name}`")
    if not values or isinstance(values[0], str):
        return values
    return [_span(each) for each in values]


def _span(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        if len(value) != 3:
            raise RecordError("A span is [start, end, label].")
        return span(*value)
    each = mapping(value, "A span")
    return span(each.get("start_offset"), each.get("end_offset"), each.get("label"))
