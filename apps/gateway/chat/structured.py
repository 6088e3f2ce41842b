"""Answers that must be JSON: checked, tried again a few times, and then refused rather than passed on broken."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match

from apps.gateway.errors import ApiError

TRIES = 3


@dataclass(frozen=True)
class Format:
    """`validator` None: any JSON object. Plain text has no format to keep."""

    is_json: bool = False
    validator: Draft202012Validator | None = None

    def problem(self, text: str) -> str:
        """Why the text does not fit; empty where it does."""
        if not self.is_json:
            return ""
        try:
            value = json.loads(text)
        except ValueError as error:
            return f"it is not JSON ({error})"
        if self.validator is None:
            return "" if isinstance(value, dict) else "it is not a JSON object"
        worst = best_match(self.validator.iter_errors(value))
        return f"{worst.json_path}: {worst.message[:200]}" if worst is not None else ""

    def refusal(self, problem: str) -> str:
        return f"The model did not answer in the requested format in {TRIES} tries: {problem}."


def read_format(given: dict[str, Any] | None) -> Format:
    """Raises ApiError."""
    kind = (given or {}).get("type", "text")
    if kind == "text":
        return Format()
    if kind == "json_object":
        return Format(is_json=True)
    if kind != "json_schema":
        raise ApiError(
            f"Invalid value: {kind!r}. Supported values are: 'text', 'json_object' and 'json_schema'.",
            code="invalid_value",
            param="response_format.type",
        )
    block = (given or {}).get("json_schema")
    schema = block.get("schema") if isinstance(block, dict) else None
    if not isinstance(block, dict) or not isinstance(block.get("name"), str) or not isinstance(schema, dict):
        raise ApiError(
            "'json_schema' needs a 'name' and a 'schema'.",
            code="missing_required_parameter",
            param="response_format.json_schema",
        )
    if _any_text(schema, ("$ref", "$dynamicRef"), lambda reference: not reference.startswith("#")):
        raise _bad_schema("A schema may only refer to its own parts.")
    if _has_patterns(schema):
        raise _bad_schema(
            "Patterns are not available in schemas here: a slow one would hold up everybody else."
        )
    validator = Draft202012Validator(schema)
    try:
        Draft202012Validator.check_schema(schema)
        validator.is_valid(None)
    except SchemaError as error:
        raise _bad_schema(f"Invalid schema: {error.message[:300]}.") from error
    except RecursionError:
        raise _bad_schema("The schema refers to itself without end.") from None
    return Format(is_json=True, validator=validator)


def _has_patterns(value: Any) -> bool:
    if isinstance(value, dict):
        own = isinstance(value.get("pattern"), str) or isinstance(value.get("patternProperties"), dict)
        return own or any(_has_patterns(part) for part in value.values())
    return isinstance(value, list) and any(_has_patterns(part) for part in value)


def _bad_schema(message: str) -> ApiError:
    return ApiError(message, code="invalid_json_schema", param="response_format.json_schema.schema")


def _any_text(value: Any, names: tuple[str, ...], is_bad: Callable[[str], bool]) -> bool:
    """Whether a text under one of these names is bad, anywhere in the schema. References to other documents would be
    fetched by the server; a property may have such a name, but then a schema stands under it."""
    if isinstance(value, dict):
        for name, part in value.items():
            if name in names and isinstance(part, str) and is_bad(part):
                return True
            if name not in ("const", "enum", "default", "examples") and _any_text(part, names, is_bad):
                return True
        return False
    return isinstance(value, list) and any(_any_text(part, names, is_bad) for part in value)
