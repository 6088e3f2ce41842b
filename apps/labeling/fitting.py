"""A value from another tool as an answer to one of our questions. No Django."""

from collections.abc import Mapping
from typing import Any

from apps.labeling.answers import TEXTUAL, AnswerError, label_values

_SIDES = {"a": "1", "b": "2", "left": "1", "right": "2", "1": "1", "2": "2", "tie": "tie", "equal": "tie"}


def fitted(kind: str, options: Mapping[str, Any], value: Any) -> Any:
    """The value in the shape that `answers.checked_value` checks; raises `AnswerError` where it can't be one."""
    match kind:
        case "choose_one":
            return _one_label(options, value)
        case "choose_several":
            return [_known(options, each) for each in (value if isinstance(value, list) else [value])]
        case "rate":
            return _number(value)
        case "prefer":
            return _side(value)
        case "verdict":
            return str(value).strip().lower()
    if kind in TEXTUAL:
        value = "\n".join(map(str, value)) if isinstance(value, list) else str(value)
    return value


def _side(value: Any) -> str:
    side = _SIDES.get(str(value).strip().lower())
    if side is None:
        raise AnswerError(f"{value!r} says neither A, B nor a tie.")
    return side


def _one_label(options: Mapping[str, Any], value: Any) -> str:
    if isinstance(value, list):
        if len(value) != 1:
            raise AnswerError(f"The question takes one label; here are {len(value)}.")
        (value,) = value
    return _known(options, value)


def _known(options: Mapping[str, Any], value: Any) -> str:
    """The label as the question spells it."""
    if not isinstance(value, str | int):
        raise AnswerError("A label is a text.")
    spelled = {label.casefold().strip(): label for label in label_values(options)}
    return spelled.get(str(value).casefold().strip(), str(value))


def _number(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value[0] if isinstance(value, list) and len(value) == 1 else value
