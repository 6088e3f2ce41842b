"""Reading an answer in the form that a project declared.

Two questions are kept apart. *What does it say?* is read tolerantly: a code fence around the whole answer,
surrounding white space, upper and lower case of names and labels, emphasis marks around a name, quotes or
emphasis marks around a label and one full stop after it, the order of fields, and blank lines do not matter.
*Is it in the declared form?* (`format_ok`) is strict: apart from white space at the very end, the text must
be what a program that knows only the declared form would accept. Words around a label are never searched for
it: "It is billing, I think" says no label.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from apps.scoring.answer_forms import (
    LABEL_FIELD,
    TEXT_FIELD,
    Field,
    Form,
    FreeText,
    JsonObject,
    KeyValueLines,
    SingleLabel,
    TextPattern,
    describe_form,
    form_from_dict,
    form_kind,
    form_to_dict,
)
from apps.scoring.patterns import is_found, matched_groups

__all__ = [
    "LABEL_FIELD",
    "TEXT_FIELD",
    "Field",
    "Form",
    "FreeText",
    "JsonObject",
    "KeyValueLines",
    "ParsedAnswer",
    "SingleLabel",
    "TextPattern",
    "describe_form",
    "form_from_dict",
    "form_kind",
    "form_to_dict",
    "parse_answer",
    "without_fence",
]

_FENCE = re.compile(r"\A\s*```[\w+-]*[ \t]*\n(?P<body>.*?)\n?[ \t]*```\s*\Z", re.DOTALL)
KEY_LINE = re.compile(
    r"\A[ \t]*(?:\*\*)?(?P<name>[^\W\d][\w \-]{0,40}?)[ \t]*(?::\*\*|\*\*:|:)[ \t]*(?P<value>.*?)[ \t]*\Z"
)
_AROUND_LABEL = "\"'`*_ \t\n"


@dataclass(frozen=True, slots=True)
class ParsedAnswer:
    """What could be read.

    `fields` holds the valid values only, under the declared names and with the declared spelling of
    labels; None when nothing could be read. `problems` are sentences for a person. `format_ok` is the
    strict check.
    """

    fields: Mapping[str, str] | None
    problems: tuple[str, ...]
    format_ok: bool

    def value(self, name: str) -> str | None:
        """The value of one field, or None where it is missing or invalid."""
        return None if self.fields is None else self.fields.get(name)


def parse_answer(form: Form, text: str) -> ParsedAnswer:
    """Read `text` in the declared form. Never raises: a text that says nothing has `fields` None."""
    if not text.strip():
        return ParsedAnswer(None, ("The answer is empty.",), False)
    match form:
        case FreeText():
            return ParsedAnswer({TEXT_FIELD: text.strip()}, (), True)
        case SingleLabel(labels=labels):
            return _parse_label(labels, text)
        case KeyValueLines():
            return _parse_lines(form, text)
        case JsonObject():
            return _parse_json(form, text)
        case TextPattern(pattern=pattern):
            return _parse_pattern(pattern, text)


def without_fence(text: str) -> str:
    """The text inside a code fence that surrounds the whole answer; without one, the text itself."""
    found = _FENCE.match(text)
    return found["body"] if found else text


@lru_cache(maxsize=256)
def _spelling(labels: tuple[str, ...]) -> dict[str, str]:
    # The first of two labels that differ only in case wins; an exact match is tried before this.
    return {label.strip().casefold(): label for label in reversed(labels)}


def _match_label(labels: tuple[str, ...], value: str) -> str | None:
    if value in labels:
        return value
    known = _spelling(labels)
    bare = value.strip(_AROUND_LABEL)
    for candidate in (bare, bare.removesuffix(".").strip(_AROUND_LABEL)):
        if (label := known.get(candidate.casefold())) is not None:
            return label
    return None


def _not_allowed(name: str, value: str) -> str:
    shown = value if len(value) <= 60 else value[:57] + "…"
    return f"{name!r} is {shown!r}, which is not one of its labels."


def _parse_label(labels: tuple[str, ...], text: str) -> ParsedAnswer:
    label = _match_label(labels, without_fence(text).strip())
    if label is None:
        return ParsedAnswer(None, (_not_allowed(LABEL_FIELD, text.strip()),), False)
    return ParsedAnswer({LABEL_FIELD: label}, (), text.rstrip() == label)


def _parse_pattern(pattern: str, text: str) -> ParsedAnswer:
    bare = without_fence(text).strip()
    groups = matched_groups(pattern, bare)
    if groups is None:
        return ParsedAnswer(None, (f"It does not match {pattern}",), False)
    strict = matched_groups(pattern, text.rstrip()) is not None
    return ParsedAnswer(groups or {TEXT_FIELD: bare}, (), strict)


def _parse_lines(form: KeyValueLines, text: str) -> ParsedAnswer:
    """One declared field a line. Lines that follow a free field and name no declared field belong to it."""
    declared = {field.name.casefold(): field for field in form.fields}
    found: dict[str, str] = {}
    problems: list[str] = []
    last_free: str | None = None
    for number, line in enumerate(without_fence(text).strip().splitlines(), start=1):
        matched = KEY_LINE.match(line)
        field = declared.get(matched["name"].casefold()) if matched else None
        if matched is None or field is None:
            if last_free is not None:
                found[last_free] += f"\n{line}"
            elif line.strip():
                problems.append(f"Line {number} names no declared field.")
        elif field.name in found:
            problems.append(f"{field.name!r} is given twice; the first one counts.")
            last_free = None
        else:
            found[field.name] = matched["value"]
            last_free = field.name if field.labels is None else None
    fields = _valid_fields(form.fields, found, problems)
    return ParsedAnswer(fields, tuple(problems), not problems and _lines_in_form(form, text))


def _lines_in_form(form: KeyValueLines, text: str) -> bool:
    """Whether the text is exactly `name: value` lines in the declared order and spelling."""
    position = 0
    open_ended = False
    for line in text.rstrip().splitlines():
        name, separator, value = line.partition(": ")
        expected = form.fields[position] if position < len(form.fields) else None
        if separator and expected is not None and name == expected.name:
            if not value.strip() or (expected.labels is not None and value not in expected.labels):
                return False
            open_ended = expected.labels is None
            position += 1
        elif not open_ended:
            return False
    return position == len(form.fields)


def _parse_json(form: JsonObject, text: str) -> ParsedAnswer:
    try:
        data = json.loads(without_fence(text))
    except ValueError as error:
        return ParsedAnswer(None, (f"The answer is not valid JSON: {error}.",), False)
    if not isinstance(data, dict):
        return ParsedAnswer(None, ("The answer is JSON, but not an object.",), False)
    problems: list[str] = []
    by_name = {str(key).casefold(): value for key, value in reversed(data.items())}
    found = {}
    for field in form.fields:
        if field.name in data:
            found[field.name] = _json_value(data[field.name])
        elif field.name.casefold() in by_name:
            found[field.name] = _json_value(by_name[field.name.casefold()])
    known = {field.name.casefold() for field in form.fields}
    problems += [f"{key!r} is not a declared field." for key in data if str(key).casefold() not in known]
    problems += _schema_problems(form.schema, data)
    fields = _valid_fields(form.fields, found, problems)
    strict = (
        not problems
        and without_fence(text) == text
        and all(field.name in data for field in form.fields)
        and all(field.labels is None or found[field.name] in field.labels for field in form.fields)
    )
    return ParsedAnswer(fields, tuple(problems), strict)


def _json_value(value: Any) -> str:
    """Strings as they are; everything else as JSON with sorted keys, so that key order does not matter."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


@lru_cache(maxsize=64)
def _validator(schema: str) -> Any:
    import jsonschema

    document = json.loads(schema)
    base = jsonschema.validators.validator_for(document)
    extend: Any = jsonschema.validators.extend
    return extend(base, {"pattern": _pattern_keyword})(document)


def _pattern_keyword(validator: Any, pattern: str, instance: Any, schema: Any) -> Any:
    """By RE2: the library's own matching can take for ever on a pattern that was made for it."""
    import jsonschema

    if isinstance(instance, str) and not is_found(pattern, instance):
        yield jsonschema.ValidationError(f"{instance[:60]!r} does not match {pattern!r}")


def _schema_problems(schema: str | None, data: dict[str, Any]) -> list[str]:
    if schema is None:
        return []
    errors = sorted(_validator(schema).iter_errors(data), key=lambda error: error.json_path)
    return [f"{error.json_path}: {error.message}." for error in errors[:10]]


def _valid_fields(
    declared: tuple[Field, ...], found: Mapping[str, str], problems: list[str]
) -> dict[str, str] | None:
    """The found values that are allowed, in declared order; adds a problem for every other one."""
    valid = {}
    for field in declared:
        value = found.get(field.name)
        if value is None or not value.strip():
            problems.append(f"{field.name!r} is missing.")
        elif field.labels is None:
            valid[field.name] = value.strip()
        elif (label := _match_label(field.labels, value)) is not None:
            valid[field.name] = label
        else:
            problems.append(_not_allowed(field.name, value))
    return valid or None
