"""Prodigy's JSONL, as `prodigy db-out` writes it: one line a task with its `answer`: accept, reject or ignore.

Fields by prodi.gy/docs/api-interfaces: `label` of a yes/no question, `options` with `accept` of a choice, `spans`
with `start`, `end` and `label`, `user_input` or the field's own name of a text input; the person is `_annotator_id`
or `_session_id`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from apps.labeling.label_files.records import FoundLabel, RecordError, mapping, sequence, span, texts_of

NAME = "Prodigy JSONL"
_ANSWERS = ("accept", "reject", "ignore")
_MARKS = ("_input_hash", "_task_hash", "_session_id", "_annotator_id", "_view_id")


def recognises(record: Mapping[str, Any]) -> bool:
    return record.get("answer") in _ANSWERS and any(name in record for name in _MARKS)


def labels_of(number: int, record: Mapping[str, Any], source: str) -> Iterator[FoundLabel | None]:
    """The one label of a task; None for a task that was ignored."""
    answer = record.get("answer")
    if answer not in _ANSWERS:
        raise RecordError(f"“answer” is {answer!r}; it should be accept, reject or ignore.")
    if answer == "ignore":
        yield None
        return
    made_at = record.get("_timestamp")
    yield FoundLabel(
        record=number,
        key=str(record.get("_task_hash", "")),
        texts=texts_of({name: record.get(name) for name in ("text", "html", "prompt", "input")}),
        labeler=_person(record) or source,
        answers=_answers(record, str(answer)),
        made_at=datetime.fromtimestamp(made_at, UTC).isoformat() if isinstance(made_at, int | float) else "",
    )


def _person(record: Mapping[str, Any]) -> str:
    person = record.get("_annotator_id") or record.get("_session_id")
    return "" if person is None else str(person)


def _answers(record: Mapping[str, Any], answer: str) -> dict[str, Any]:
    answers: dict[str, Any] = {"answer": answer}
    if answer == "reject":
        # What was rejected is no label that anybody gave.
        return answers
    if "accept" in record:
        texts = _texts_of_options(record)
        answers["accept"] = [texts.get(each, str(each)) for each in sequence(record["accept"], "`accept`")]
    elif isinstance(record.get("label"), str):
        answers["label"] = record["label"]
    if record.get("spans") is not None:
        spans = [mapping(each, "A span") for each in sequence(record["spans"], "`spans`")]
        answers["spans"] = [span(each.get("start"), each.get("end"), each.get("label")) for each in spans]
    name = str(record.get("field_id") or "user_input")
    if isinstance(record.get(name), str):
        answers[name] = record[name]
    return answers


def _texts_of_options(record: Mapping[str, Any]) -> dict[Any, str]:
    """Of options that are only counted: their text is the label. An id that is a word is the label itself."""
    options = [mapping(each, "An option") for each in sequence(record.get("options") or [], "`options`")]
    return {
        each["id"]: str(each["text"])
        for each in options
        if isinstance(each.get("id"), int) and "text" in each
    }
