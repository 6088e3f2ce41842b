"""Label Studio's JSON export: a list of tasks, each with `data` and the `annotations` of its people.

Shape: labelstud.io/guide/task_format and /guide/export; the values of the tags Choices, Labels, TextArea,
Rating, Number, Pairwise and Ranker as in labelstud.io/tags. Offsets of text spans count characters;
the end is excluded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from apps.labeling.label_files.records import FoundLabel, RecordError, mapping, sequence, span, texts_of

NAME = "Label Studio JSON"
_SIDES = {"left": "1", "right": "2"}


def recognises(record: Mapping[str, Any]) -> bool:
    return isinstance(record.get("data"), Mapping) and any(
        name in record for name in ("annotations", "completions", "predictions")
    )


def labels_of(number: int, record: Mapping[str, Any], source: str) -> Iterator[FoundLabel | None]:
    """The labels of a task; None for an annotation that was cancelled."""
    data = mapping(record.get("data"), "`data`")
    common: dict[str, Any] = {"record": number, "key": str(record.get("id", "")), "texts": texts_of(data)}
    annotations = record.get("annotations", record.get("completions")) or []
    for annotation in map(_annotation, sequence(annotations, "`annotations`")):
        if annotation.get("was_cancelled"):
            yield None
            continue
        seconds = annotation.get("lead_time")
        yield FoundLabel(
            **common,
            labeler=_person(annotation.get("completed_by")),
            answers=_answers(annotation.get("result")),
            seconds=float(seconds) if isinstance(seconds, int | float) and seconds >= 0 else None,
            made_at=str(annotation.get("created_at") or ""),
        )
    for prediction in map(_annotation, sequence(record.get("predictions") or [], "`predictions`")):
        yield FoundLabel(
            **common,
            labeler=str(prediction.get("model_version") or "model"),
            answers=_answers(prediction.get("result")),
            is_draft=True,
        )


def _annotation(value: Any) -> Mapping[str, Any]:
    return mapping(value, "An annotation")


def _person(value: Any) -> str:
    if isinstance(value, Mapping):
        value = value.get("email") or value.get("username") or value.get("id")
    return "" if value is None else str(value)


def _answers(result: Any) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for region in sequence(result or [], "`result`"):
        part = mapping(region, "A part of `result`")
        name, kind = str(part.get("from_name", "")), str(part.get("type", ""))
        if not name or kind == "relation":
            continue
        value = mapping(part.get("value"), "`value`")
        if kind == "labels" or (kind == "hypertextlabels" and "globalOffsets" in value):
            place = value.get("globalOffsets", value)
            answers.setdefault(name, []).extend(
                span(place.get("start"), place.get("end"), label) for label in value.get("labels", [])
            )
        else:
            answers[name] = _value(kind, value)
    return answers


def _value(kind: str, value: Mapping[str, Any]) -> Any:
    match kind:
        case "choices":
            return [str(choice) for choice in sequence(value.get("choices"), "`choices`")]
        case "textarea":
            text = value.get("text")
            return "\n".join(map(str, text)) if isinstance(text, list) else str(text or "")
        case "rating" | "number":
            return value.get(kind)
        case "pairwise":
            return _SIDES.get(str(value.get("selected")), str(value.get("selected")))
        case "ranker":
            # One list, best first; or named buckets, of which the first one holds the order.
            ranked = value.get("ranker")
            ranked = next(iter(ranked.values()), []) if isinstance(ranked, Mapping) else ranked
            return [[str(each)] for each in sequence(ranked, "`ranker`")]
    raise RecordError(f"The tag {kind!r} is not read; text labels, choices, texts, ratings and rankings are.")
