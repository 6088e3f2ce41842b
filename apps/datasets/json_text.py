"""Decoding JSON strictly: what passes means one thing only, and can be stored in Postgres as it is."""

import json
import re
from collections.abc import Iterator
from typing import Any

from apps.datasets.problems import RowProblem, excerpt
from apps.datasets.quick_rows import UNCERTAIN, quick_decoder

DEPTH_LIMIT = 100
NUMBER_CHARACTERS = 320  # longer than any finite double; Postgres stops far above
EXPONENT_LIMIT = 400
EXCERPT_END = 60
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACKETS = re.compile(r"[\[\]{}]")


class _DuplicateKeyError(Exception):
    pass


class _NotANumberError(Exception):
    pass


class _NumberTooLargeError(Exception):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateKeyError(key)
            seen.add(key)
    return result


def _float(text: str) -> float:
    value = float(text)
    exponent = text.lower().partition("e")[2]
    if (
        value in (float("inf"), float("-inf"))
        or len(text) > NUMBER_CHARACTERS
        or (exponent and abs(int(exponent)) > EXPONENT_LIMIT)
    ):
        raise _NumberTooLargeError(text)
    return value


def _int(text: str) -> int:
    if len(text) > NUMBER_CHARACTERS:
        raise _NumberTooLargeError(text)
    return int(text)


def _constant(text: str) -> float:
    raise _NotANumberError(text)


_decoder = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_float, parse_int=_int, parse_constant=_constant
)
_quick = quick_decoder(_float)


class UnreadableJsonError(Exception):
    """The bytes are no JSON, or none that can be kept; `problems` says why."""

    def __init__(self, *problems: RowProblem) -> None:
        super().__init__()
        self.problems = list(problems)


def decoded_json(data: bytes) -> Any:
    """The value of a line. Raises `UnreadableJsonError`."""
    value = _quick(data)
    if value is not UNCERTAIN:
        return value
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableJsonError(
            RowProblem(
                "not_utf8",
                f"Byte {error.start + 1} of the line is not UTF-8. Save the file as UTF-8 and upload it again.",
                excerpt=excerpt(data.decode("utf-8", "replace"), around=error.start),
                byte=error.start,
            )
        ) from None
    value = _parse(data, text)
    if isinstance(value, RowProblem):
        raise UnreadableJsonError(value)
    problems = list(bad_text(value, "$")) if b"\\u" in data else []
    if problems:
        raise UnreadableJsonError(*problems)
    return value


def _parse(data: bytes, text: str) -> Any:
    """The value of the line, or the `RowProblem` that kept it from being read."""
    unsafe = _unsafe_to_parse(data, text)
    if unsafe is not None:
        return unsafe
    try:
        return _decoder.decode(text)
    except _DuplicateKeyError as error:
        return RowProblem(
            "duplicate_key",
            "A key is given twice in one object, so it is unclear which value counts.",
            excerpt=excerpt(str(error)),
        )
    except _NotANumberError as error:
        return RowProblem(
            "not_a_number",
            "NaN and Infinity are no JSON. Write null or a number.",
            excerpt=excerpt(text, around=max(0, text.find(str(error)))),
        )
    except _NumberTooLargeError as error:
        return RowProblem(
            "number_too_large",
            "A number is too large to be kept exactly. Write it as a text in quotes.",
            excerpt=excerpt(str(error)),
        )
    except json.JSONDecodeError as error:
        return _json_problem(text, error)


def _unsafe_to_parse(data: bytes, text: str) -> RowProblem | None:
    nul = data.find(b"\x00")
    if nul >= 0:
        return RowProblem(
            "nul_character",
            "The line holds a NUL character, which text in the database can't. Remove it.",
            excerpt=excerpt(text, around=len(data[:nul].decode())),
            byte=nul,
        )
    if data.count(b"[") + data.count(b"{") > DEPTH_LIMIT and _depth(text) > DEPTH_LIMIT:
        return RowProblem(
            "nested_too_deeply",
            f"Objects and lists are nested more than {DEPTH_LIMIT} deep.",
            excerpt=excerpt(text),
        )
    return None


def _json_problem(text: str, error: json.JSONDecodeError) -> RowProblem:
    byte = len(text[: error.pos].encode("utf-8"))
    cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
    if cut and text.lstrip()[:1] in ("{", "["):
        return RowProblem(
            "cut_json",
            "The line ends in the middle of its JSON. One whole object must stand on one line.",
            excerpt=excerpt(text, around=max(0, len(text) - EXCERPT_END)),
            byte=byte,
        )
    reason = error.msg[:1].lower() + error.msg[1:]
    return RowProblem(
        "not_json",
        f"The line is no valid JSON: {reason}, at character {error.pos + 1}.",
        excerpt=excerpt(text, around=error.pos),
        byte=byte,
    )


def _depth(text: str) -> int:
    """How deep brackets nest, those inside strings left out."""
    depth = deepest = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def bad_text(value: Any, path: str) -> Iterator[RowProblem]:
    """Characters that JSON can escape and Postgres can't store, in values and in keys."""
    if isinstance(value, str):
        if "\x00" in value:
            yield RowProblem(
                "nul_character",
                "The text holds an escaped NUL character (\\u0000), which text in the database can't. Remove it.",
                path,
                excerpt(value, around=value.index("\x00")),
            )
        position = next((i for i, c in enumerate(value) if "\ud800" <= c <= "\udfff"), None)
        if position is not None:
            yield RowProblem(
                "lone_surrogate",
                f"\\u{ord(value[position]):04x} is half of a character; its other half is missing. The text was cut"
                " in the middle of an emoji or a rare letter.",
                path,
                excerpt(value, around=position),
            )
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from bad_text(item, f"{path}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from bad_text(key, f"{path} (key)")
            yield from bad_text(item, f"{path}.{excerpt(key)}")
