"""The page on which a project declares the form of its answers."""

import json
from typing import Any

from django import forms

from apps.core.formatting import format_number
from apps.scoring.answers import (
    Field,
    Form,
    FreeText,
    JsonObject,
    KeyValueLines,
    SingleLabel,
    TextPattern,
    form_from_dict,
    form_kind,
)
from apps.scoring.patterns import LONGEST, pattern_problem, reading_problem

PROPOSED = "proposed"
KINDS = [
    (PROPOSED, "As nearly all answers are: found in the data"),
    ("text", "Free text"),
    ("label", "One label of a list"),
    ("key_value", "Lines of name: value"),
    ("json", "A JSON object by a schema"),
    ("pattern", "Text that matches a regular expression"),
]
MOST_LABELS = 1000


class AnswerFormForm(forms.Form):
    """What an answer must look like. Only the fields of the chosen kind count."""

    kind = forms.ChoiceField(label="Answers are", choices=KINDS)
    labels = forms.CharField(
        label="Labels",
        required=False,
        widget=forms.Textarea(attrs={"rows": 5}),
        help_text="One a line.",
    )
    lines = forms.CharField(
        label="Lines",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="One field a line, its labels behind a colon: “category: billing, access”. Without labels any"
        " value will do.",
    )
    schema = forms.CharField(
        label="JSON Schema",
        required=False,
        max_length=50_000,
        widget=forms.Textarea(attrs={"rows": 8, "spellcheck": "false"}),
        help_text="Of an object, with its properties. An enum of texts is read as labels.",
    )
    pattern = forms.CharField(
        label="Regular expression",
        required=False,
        max_length=LONGEST,
        strip=False,
        widget=forms.TextInput(attrs={"spellcheck": "false"}),
        help_text="Over the whole answer. Named groups, (?P<name>…), become fields that are scored one by one."
        " Syntax of RE2: \\pL is any letter; there is no look-ahead.",
    )

    @classmethod
    def initial_of(cls, stored: dict[str, Any] | None) -> dict[str, str]:
        """What the form shows for what the project declares."""
        if not stored:
            return {"kind": PROPOSED}
        form = form_from_dict(stored)
        initial = {"kind": form_kind(form)}
        if isinstance(form, SingleLabel):
            initial["labels"] = "\n".join(form.labels)
        elif isinstance(form, KeyValueLines):
            initial["lines"] = "\n".join(
                f"{field.name}: {', '.join(field.labels)}" if field.labels else field.name
                for field in form.fields
            )
        elif isinstance(form, JsonObject):
            initial["schema"] = _pretty(form)
        elif isinstance(form, TextPattern):
            initial["pattern"] = form.pattern
        return initial

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        readers = {
            "label": ("labels", _label_form),
            "key_value": ("lines", _lines_form),
            "json": ("schema", _json_form),
            "pattern": ("pattern", _pattern_form),
        }
        kind = cleaned.get("kind", PROPOSED)
        self.declared: Form | None = FreeText() if kind == "text" else None
        if kind in readers:
            name, read = readers[kind]
            try:
                self.declared = read(cleaned.get(name) or "")
            except ValueError as error:
                self.add_error(name, str(error))
        return cleaned


def _label_form(text: str) -> Form:
    labels = tuple(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))
    if len(labels) < 2:
        raise ValueError("Name at least two labels, one a line.")
    if len(labels) > MOST_LABELS:
        raise ValueError(
            f"{format_number(len(labels))} labels are more than {format_number(MOST_LABELS)}. Use a regular expression."
        )
    return SingleLabel(labels)


def _lines_form(text: str) -> Form:
    fields = []
    for line in text.splitlines():
        name, _, listed = line.partition(":")
        if not name.strip():
            continue
        labels = tuple(dict.fromkeys(part.strip() for part in listed.split(",") if part.strip()))
        fields.append(Field(name.strip(), labels or None))
    if not fields:
        raise ValueError("Name at least one field.")
    if len({field.name.casefold() for field in fields}) < len(fields):
        raise ValueError("Two fields have the same name.")
    return KeyValueLines(tuple(fields))


def _json_form(text: str) -> Form:
    import jsonschema

    try:
        schema = json.loads(text)
    except ValueError as error:
        raise ValueError(f"This is no JSON: {error}") from None
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict) or not properties:
        raise ValueError("The schema must be of an object and name its properties.")
    if any("$ref" in part and not part["$ref"].startswith("#") for part in _objects_in(schema)):
        raise ValueError("References to other documents are not followed. Put everything into this schema.")
    try:
        jsonschema.validators.validator_for(schema).check_schema(schema)
    except jsonschema.SchemaError as error:
        raise ValueError(f"This is no JSON Schema: {error.message}") from None
    for part in _objects_in(schema):
        if "patternProperties" in part:
            raise ValueError("patternProperties are not known here. Name the properties.")
        pattern = part.get("pattern")
        if isinstance(pattern, str) and (problem := reading_problem(pattern)):
            raise ValueError(f"The pattern {pattern[:60]}: {problem}")
    fields = tuple(Field(name, _enum_of(part)) for name, part in properties.items())
    return JsonObject(fields, json.dumps(schema, ensure_ascii=False, sort_keys=True))


def _objects_in(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        return [value, *(found for inner in value.values() for found in _objects_in(inner))]
    if isinstance(value, list):
        return [found for inner in value for found in _objects_in(inner)]
    return []


def _enum_of(part: Any) -> tuple[str, ...] | None:
    values = part.get("enum") if isinstance(part, dict) else None
    if isinstance(values, list) and values and all(isinstance(value, str) for value in values):
        return tuple(values)
    return None


def _pattern_form(text: str) -> Form:
    if problem := pattern_problem(text):
        raise ValueError(problem)
    return TextPattern(text)


def _pretty(form: JsonObject) -> str:
    if form.schema is not None:
        return json.dumps(json.loads(form.schema), ensure_ascii=False, indent=2)
    properties = {
        field.name: {"enum": list(field.labels)} if field.labels else {"type": "string"}
        for field in form.fields
    }
    schema = {"type": "object", "properties": properties, "required": [field.name for field in form.fields]}
    return json.dumps(schema, ensure_ascii=False, indent=2)
