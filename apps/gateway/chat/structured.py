"""Answers that must be JSON: checked, tried again a few times, and then refused rather than passed on broken."""

import json
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
    if _refers_elsewhere(schema):
        raise ApiError(
            "A schema may only refer to its own parts.",
            code="invalid_json_schema",
            param="response_format.json_schema.schema",
        )
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise ApiError(
            f"Invalid schema: {error.message[:300]}.",
            code="invalid_json_schema",
            param="response_format.json_schema.schema",
        ) from error
    return Format(is_json=True, validator=Draft202012Validator(schema))


def _refers_elsewhere(value: Any) -> bool:
    """References to other documents are never followed: the server would fetch them."""
    if isinstance(value, dict):
        for name, part in value.items():
            if name in ("$ref", "$dynamicRef") and isinstance(part, str) and not part.startswith("#"):
                return True
            if name not in ("const", "enum", "default", "examples") and _refers_elsewhere(part):
                return True
        return False
    return isinstance(value, list) and any(_refers_elsewhere(part) for part in value)
