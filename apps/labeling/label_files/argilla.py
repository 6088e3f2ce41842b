"""Argilla's records: `dataset.records.to_json()` (nested), and the Hugging Face dataset of `to_datasets()` (flat).

Nested: `responses` is {question: [{value, user_id, status?}]}; flat: the columns `question.responses`,
`question.responses.users`, `question.responses.status` and `question.suggestion` (docs.argilla.io, "Import and
export").
Argilla 1 wrote a column a question, `question`: [{user_id, value, status}] or {user_id: […], value: […], status: […]},
and `question-suggestion`.
Only submitted responses are labels; a suggestion is a model's draft.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from apps.labeling.label_files.records import FoundLabel, RecordError, mapping, sequence, span, texts_of

NAME = "Argilla records"
_PARTS = (
    ".responses",
    ".responses.users",
    ".responses.status",
    ".suggestion",
    ".suggestion.score",
    ".suggestion.agent",
    "-suggestion",
    "-suggestion-metadata",
)
_OWN = frozenset({"id", "status", "_server_id", "inserted_at", "updated_at", "external_id", "vectors"})


def recognises(record: Mapping[str, Any]) -> bool:
    nested = isinstance(record.get("responses"), Mapping) and isinstance(record.get("fields"), Mapping)
    return nested or any(name.endswith(".responses") or _first_version(record[name]) for name in record)


def _first_version(column: Any) -> list[Mapping[str, Any]]:
    """The responses in a column as Argilla 1 wrote it; none in any other."""
    if isinstance(column, Mapping) and {"user_id", "value", "status"} <= column.keys():
        parts = (column["user_id"], column["value"], column["status"])
        if all(isinstance(part, list) for part in parts):
            return [
                {"user_id": user, "value": value, "status": status}
                for user, value, status in zip(*parts, strict=True)
            ]
    if isinstance(column, list) and column and all(isinstance(each, Mapping) for each in column):
        return [each for each in column if {"value", "status"} <= each.keys()]
    return []


def labels_of(number: int, record: Mapping[str, Any], source: str) -> Iterator[FoundLabel | None]:
    """One label a person; None for a response that was discarded or not submitted."""
    nested = isinstance(record.get("responses"), Mapping)
    given, drafts = _nested(record) if nested else _flat(record)
    fields = mapping(record["fields"], "`fields`") if nested else _fields(record)
    common: dict[str, Any] = {"record": number, "key": str(record.get("id") or ""), "texts": texts_of(fields)}
    people: dict[str, dict[str, Any]] = {}
    for person, question, value, status in given:
        if status not in (None, "submitted"):
            yield None
        elif value is not None:
            people.setdefault(person, {})[question] = _value(value)
    for person, answers in people.items():
        yield FoundLabel(**common, labeler=person, answers=answers)
    agents: dict[str, dict[str, Any]] = {}
    for agent, question, value in drafts:
        agents.setdefault(agent, {})[question] = _value(value)
    for agent, answers in agents.items():
        yield FoundLabel(**common, labeler=agent, answers=answers, is_draft=True)


_Given = list[tuple[str, str, Any, str | None]]
_Drafts = list[tuple[str, str, Any]]


def _nested(record: Mapping[str, Any]) -> tuple[_Given, _Drafts]:
    given: _Given = []
    for question, responses in mapping(record["responses"], "`responses`").items():
        for response in sequence(responses, f"The responses to {question!r}"):
            each = mapping(response, "A response")
            given.append((str(each.get("user_id") or ""), question, each.get("value"), each.get("status")))
    drafts: _Drafts = []
    for question, suggestion in mapping(record.get("suggestions") or {}, "`suggestions`").items():
        each = mapping(suggestion, "A suggestion")
        if each.get("value") is not None:
            drafts.append((str(each.get("agent") or "model"), question, each["value"]))
    return given, drafts


def _flat(record: Mapping[str, Any]) -> tuple[_Given, _Drafts]:
    given: _Given = []
    drafts: _Drafts = []
    for name, column in record.items():
        if name.endswith(".responses") and column is not None:
            question = name.removesuffix(".responses")
            values = sequence(column, f"{name!r}")
            users = sequence(record.get(f"{name}.users") or [""] * len(values), f"'{name}.users'")
            states = sequence(record.get(f"{name}.status") or [None] * len(values), f"'{name}.status'")
            if not len(values) == len(users) == len(states):
                raise RecordError(f"{name!r} and its users or status have different lengths.")
            given += [
                (str(user or ""), question, value, state)
                for user, value, state in zip(users, values, states, strict=True)
            ]
        elif name.endswith(".suggestion") and column is not None:
            drafts.append(
                (str(record.get(f"{name}.agent") or "model"), name.removesuffix(".suggestion"), column)
            )
        elif name.endswith("-suggestion") and column is not None:
            drafts.append(("model", name.removesuffix("-suggestion"), column))
        else:
            given += [
                (str(one.get("user_id") or ""), name, one["value"], one["status"])
                for one in _first_version(column)
            ]
    return given, drafts


def _fields(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in record.items()
        if name not in _OWN and not name.endswith(_PARTS) and not _first_version(value)
    }


def _value(value: Any) -> Any:
    """Spans and rankings are lists of objects; the rest is as it stands."""
    if not isinstance(value, list) or not value or not isinstance(value[0], Mapping):
        return value
    if "rank" in value[0]:
        places: dict[int, list[str]] = {}
        for each in value:
            places.setdefault(int(each["rank"]), []).append(str(each.get("value")))
        return [places[rank] for rank in sorted(places)]
    return [span(each.get("start"), each.get("end"), each.get("label")) for each in value]
