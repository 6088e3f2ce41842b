"""The output forms a project can declare for its answers.

A form is a frozen value with a JSON shape, so that it can be stored with a project, hashed with an
evaluation, and compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.scoring.patterns import group_names

TEXT_FIELD = "text"
LABEL_FIELD = "label"


@dataclass(frozen=True, slots=True)
class Field:
    """One named value. `labels` is its allowed set; None means that any text will do."""

    name: str
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class FreeText:
    """Any text. Its one field is called "text"."""

    @property
    def fields(self) -> tuple[Field, ...]:
        return (Field(TEXT_FIELD),)


@dataclass(frozen=True, slots=True)
class SingleLabel:
    """The whole answer is one label out of a set. Its one field is called "label"."""

    labels: tuple[str, ...]

    @property
    def fields(self) -> tuple[Field, ...]:
        return (Field(LABEL_FIELD, self.labels),)


@dataclass(frozen=True, slots=True)
class KeyValueLines:
    """One `name: value` line a field, in the declared order."""

    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class JsonObject:
    """A JSON object with these fields. `schema` is a JSON Schema, as JSON text so that it can be hashed."""

    fields: tuple[Field, ...]
    schema: str | None = None


@dataclass(frozen=True, slots=True)
class TextPattern:
    """The whole answer matches a regular expression. Its fields are the named groups; without any, "text"."""

    pattern: str

    @property
    def fields(self) -> tuple[Field, ...]:
        return tuple(Field(name) for name in group_names(self.pattern)) or (Field(TEXT_FIELD),)


Form = FreeText | SingleLabel | KeyValueLines | JsonObject | TextPattern

_KINDS: dict[str, type[Form]] = {
    "text": FreeText,
    "label": SingleLabel,
    "key_value": KeyValueLines,
    "json": JsonObject,
    "pattern": TextPattern,
}


def form_kind(form: Form) -> str:
    """The stored name of the form: "text", "label", "key_value", "json" or "pattern"."""
    return next(name for name, kind in _KINDS.items() if isinstance(form, kind))


def form_to_dict(form: Form) -> dict[str, Any]:
    """The form as plain JSON values; `form_from_dict` reads it back."""
    data: dict[str, Any] = {"kind": form_kind(form)}
    if isinstance(form, SingleLabel):
        data["labels"] = list(form.labels)
    elif isinstance(form, TextPattern):
        data["pattern"] = form.pattern
    elif isinstance(form, KeyValueLines | JsonObject):
        data["fields"] = [
            {"name": field.name, "labels": None if field.labels is None else list(field.labels)}
            for field in form.fields
        ]
        if isinstance(form, JsonObject):
            data["schema"] = form.schema
    return data


def form_from_dict(data: Mapping[str, Any]) -> Form:
    """Read a form written by `form_to_dict`. Raises ValueError for an unknown kind."""
    kind = data.get("kind")
    if kind == "text":
        return FreeText()
    if kind == "label":
        return SingleLabel(tuple(data["labels"]))
    if kind in {"key_value", "json"}:
        fields = tuple(
            Field(item["name"], None if item.get("labels") is None else tuple(item["labels"]))
            for item in data["fields"]
        )
        return KeyValueLines(fields) if kind == "key_value" else JsonObject(fields, data.get("schema"))
    if kind == "pattern":
        return TextPattern(data["pattern"])
    raise ValueError(f"Unknown form of answers: {kind!r}")


def describe_form(form: Form) -> str:
    """The form in a sentence for a page."""
    match form:
        case FreeText():
            return "Free text."
        case SingleLabel(labels=labels):
            return f"One label out of {len(labels)}: {_some(labels)}."
        case KeyValueLines(fields=fields):
            return "Lines of the form `name: value` with " + _fields_phrase(fields) + "."
        case JsonObject(fields=fields):
            return "A JSON object with " + _fields_phrase(fields) + "."
        case TextPattern(pattern=pattern):
            return f"Text that matches {pattern}"


def _fields_phrase(fields: tuple[Field, ...]) -> str:
    return "; ".join(
        f"{field.name} (free)" if field.labels is None else f"{field.name} ({_some(field.labels)})"
        for field in fields
    )


def _some(labels: tuple[str, ...], shown: int = 6) -> str:
    rest = len(labels) - shown
    return ", ".join(labels[:shown]) + (f" and {rest} more" if rest > 0 else "")
