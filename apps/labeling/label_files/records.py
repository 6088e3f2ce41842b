"""What every reader makes of a file from elsewhere: labels, and the records that could not be read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

EXCERPT_CHARACTERS = 200
_UNSTORABLE = "It holds a character that cannot be stored (NUL or half of a surrogate pair)."


class RecordError(ValueError):
    """This record can't be read; the message says why, for the person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundLabel:
    """What one person, or one model, answered about one record.

    `texts` are the texts of the record, by which its row is found. `answers` goes from the name that the question had
    to its value: a text, a number, a list of labels, a list of spans {start, end, label}, or a ranking
    [[best], …, [worst]]. Which kind of question that answers is known only where it is imported.
    """

    record: int
    key: str
    texts: tuple[str, ...]
    labeler: str
    answers: Mapping[str, Any]
    is_draft: bool = False
    seconds: float | None = None
    made_at: str = ""


@dataclass(frozen=True, slots=True)
class ReadingProblem:
    """Why a record was left out."""

    record: int
    message: str
    excerpt: str = ""


@dataclass(slots=True)
class LabelFile:
    """All that a file held. `left_out` counts what its people had skipped, discarded or not finished."""

    format: str
    labels: list[FoundLabel] = field(default_factory=list)
    problems: list[ReadingProblem] = field(default_factory=list)
    records: int = 0
    left_out: int = 0

    @property
    def labelers(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(label.labeler for label in self.labels if not label.is_draft))

    @property
    def questions(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for label in self.labels for name in label.answers))


def excerpt(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= EXCERPT_CHARACTERS else text[: EXCERPT_CHARACTERS - 1] + "…"


def parsed_records(data: bytes) -> Iterator[tuple[int, Any]]:
    """The records of a JSON array or of JSON lines with their numbers from 1; a `RecordError` where one is broken."""
    text = data.removeprefix(b"\xef\xbb\xbf").lstrip()
    whole = _parsed(text, "file") if text.startswith(b"[") else _one_object(text)
    if isinstance(whole, list):
        yield from enumerate(whole, start=1)
    elif whole is not None:
        yield 1, whole
    else:
        for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").splitlines(), start=1):
            if line.strip():
                yield number, _parsed(line, "line")


def _one_object(text: bytes) -> Any:
    """The one record of a file that has it over several lines, as single tasks are exported; else None."""
    first, _, more = text.partition(b"\n")
    if not more.strip() or not isinstance(_parsed(first, "line"), RecordError):
        return None
    whole = _parsed(text, "file")
    return None if isinstance(whole, RecordError) else whole


def _parsed(text: bytes, what: str) -> Any:
    """The JSON of a line or of the file, or the `RecordError` that says why it is none."""
    try:
        return json.loads(text.decode())
    except UnicodeDecodeError:
        return RecordError(f"The {what} is not UTF-8.")
    except RecursionError:
        return RecordError(f"The {what} is nested too deeply to be read.")
    except ValueError as error:
        return RecordError(f"The {what} is no valid JSON: {error}.")


def checked_storable(label: FoundLabel) -> FoundLabel:
    """The label, unless it holds text that Postgres refuses."""
    for text in _texts_in((label.key, label.texts, label.labeler, label.answers)):
        if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
            raise RecordError(_UNSTORABLE)
    return label


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _texts_in(key)
            yield from _texts_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _texts_in(each)


def texts_of(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The texts that a row may be found by: string fields, and the contents of a chat in one of them."""
    found = []
    for value in data.values():
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, list):
            found += [
                message["content"]
                for message in value
                if isinstance(message, Mapping) and isinstance(message.get("content"), str)
            ]
    return tuple(text for text in dict.fromkeys(found) if text.strip())


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise RecordError(f"{what} should be an object with fields.")
    return value


def sequence(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise RecordError(f"{what} should be a list.")
    return value


def span(start: Any, end: Any, label: Any) -> dict[str, Any]:
    """A span in its one form; some tools write offsets as text."""
    try:
        first, last = int(start), int(end)
    except (OverflowError, TypeError, ValueError):
        raise RecordError("A span has no readable start and end.") from None
    if not isinstance(label, str) or not 0 <= first < last:
        raise RecordError(f"A span has no label or lies nowhere: {first} to {last}.")
    return {"start": first, "end": last, "label": label}
