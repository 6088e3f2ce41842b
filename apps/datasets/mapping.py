"""From a row of any shape to a chat row: which column means what, written down as a mapping that can be kept.

The row as received stays as it is; what is made here is its payload: `messages`, of a preference pair `rejected`, and
the columns that the mapping does not use.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from apps.core.canonical import canonical_json
from apps.datasets.chat_rows import PROBLEMS_A_LINE, ChatRow, check_chat, check_row, kind_of, shown
from apps.datasets.formats.records import UNREAD, Record
from apps.datasets.json_text import UnreadableJsonError, bad_text, decoded_json
from apps.datasets.problems import RowProblem, excerpt
from apps.datasets.turns import (
    TurnsError,
    answer_messages,
    pair,
    prompt_messages,
    sharegpt_messages,
    whole_tools,
)

CHAT, COMPLETION, INSTRUCTION, SHAREGPT = "chat", "prompt_completion", "instruction", "sharegpt"
PREFERENCE, OPENAI_PREFERENCE, TEMPLATE = "preference", "openai_preference", "template"
LINE = "line"
SECTION = "section"
"""The column that stands for the key under which a JSON file holds a row."""
RESERVED = ("messages", "rejected")
PLACEHOLDER = re.compile(r"\{\{\s*(.+?)\s*\}\}")
_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "development", "eval"),
    "test": ("test", "testing", "holdout"),
}
_SPLIT_NAMES = {name: split for split, names in _SPLITS.items() for name in names}


@dataclass(frozen=True)
class RowMapping:
    """How the rows of a file become conversations."""

    preset: str = CHAT
    fields: Mapping[str, str] = field(default_factory=lambda: {"messages": "messages"})
    """Part of the preset -> column. Parts that a file lacks are left out."""
    system: str = ""
    """A system message before every conversation that has none; may hold {{column}}."""
    prompt: str = ""
    answer: str = ""
    """Of the preset `template`: texts with {{column}} in the place of a column's value."""
    split: str = ""
    """The column that names the split; empty: none does."""
    into: str = ""
    """The split that all rows go to, as where a file is known to be the validation data."""

    @cached_property
    def is_plain_chat(self) -> bool:
        """Whether rows of JSON are taken as they stand."""
        has_system = self.system or self.fields.get("system")
        return self.preset == CHAT and self.fields.get("messages") == "messages" and not has_system

    @property
    def columns(self) -> set[str]:
        """What it needs from a row."""
        named = {column for column in self.fields.values() if column}
        for text in (self.system, self.prompt, self.answer):
            named.update(PLACEHOLDER.findall(text))
        return named | ({self.split} if self.split else set())

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"fields": dict(self.fields)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "RowMapping":
        return cls(**data)


@dataclass(slots=True)
class MappedRow:
    """A row that passed, as it is staged."""

    chat: ChatRow
    raw_is_chat: bool
    """Whether `raw` itself is the line of the conversation."""
    split: str
    line: bytes | None = None
    """Of an export: the line of chat that stood in one of its columns, which is the row; None: it is the record."""


def row_of(record: Record, mapping: RowMapping) -> MappedRow | list[RowProblem]:
    """The conversation of a record, or everything that is wrong with it. A pure function of the two."""
    if record.problem is not None:
        return [record.problem]
    try:
        value = decoded_json(record.raw) if record.value is UNREAD else record.value
    except UnreadableJsonError as error:
        return error.problems[:PROBLEMS_A_LINE]
    columns = columns_of(value, record.section)
    plain = mapping.is_plain_chat and (
        columns is None or not isinstance(columns.get("messages"), str) or record.value is UNREAD
    )
    try:
        if plain:
            split = record.split or (split_of(columns or {}, mapping) if mapping.split else mapping.into)
            found = check_chat(value, record.raw.decode())
        else:
            if columns is None:
                raise _MappingError(_no_columns(value))
            if mapping.preset == LINE:
                return _line_row(record, columns, mapping)
            _refuse_bad_text(record, value)
            split = record.split or split_of(columns, mapping)
            payload = payload_of(columns, mapping)
            found = check_chat(payload, canonical_json(payload).decode())
    except _MappingError as error:
        return [error.problem]
    if isinstance(found, list):
        return found
    return MappedRow(found, plain, split)


def _line_row(
    record: Record, columns: Mapping[str, Any], mapping: RowMapping
) -> MappedRow | list[RowProblem]:
    column = mapping.fields.get("row", "")
    text = value_at(columns, column)
    if not isinstance(text, str):
        raise _MappingError(
            RowProblem("no_line", "The column holds no line of chat.", path_of(column), shown(text))
        )
    line = text.encode("utf-8", "surrogatepass")
    found = check_row(line)
    if isinstance(found, list):
        return found
    return MappedRow(found, True, record.split or split_of(columns, mapping), line)


def columns_of(value: Any, section: str = "") -> dict[str, Any] | None:
    """The columns of a row: the keys of an object, the places 1, 2, … of a list. None: it has none."""
    if isinstance(value, dict):
        columns = value
    elif isinstance(value, list):
        columns = {str(index): item for index, item in enumerate(value, start=1)}
    else:
        return None
    return columns if not section or SECTION in columns else {SECTION: section, **columns}


class _MappingError(Exception):
    def __init__(self, problem: RowProblem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def _no_columns(value: Any) -> RowProblem:
    return RowProblem(
        "not_an_object", f"The row is {kind_of(value)}; an object or a list is needed.", "$", shown(value)
    )


def _refuse_bad_text(record: Record, value: Any) -> None:
    if b"\x00" in record.raw or (record.value is not UNREAD and b"\\u" in record.raw):
        for problem in bad_text(value, "$"):
            raise _MappingError(problem)


# --- Splits -------------------------------------------------------------------------------------------------


def split_named(name: str) -> str | None:
    """The split that a name means: train, val, oos_test, … None: it names none."""
    plain = name.strip().lower()
    return _SPLIT_NAMES.get(plain) or _SPLIT_NAMES.get(re.split(r"[\W_]+", plain)[-1])


def split_of(columns: Mapping[str, Any], mapping: RowMapping) -> str:
    """The split that the row names; empty without one. Raises for a name that means none."""
    if not mapping.split:
        return mapping.into
    value = value_at(columns, mapping.split)
    if value is None or value == "":
        return ""
    split = split_named(str(value))
    if split is None:
        raise _MappingError(
            RowProblem(
                "unknown_split",
                f"“{excerpt(str(value))}” names no split. Train, validation and test are known, also as val, dev,"
                " oos_test and the like.",
                path_of(mapping.split),
                excerpt(str(value)),
            )
        )
    return split


# --- Columns ------------------------------------------------------------------------------------------------


def value_at(columns: Mapping[str, Any], name: str) -> Any:
    """The value of a column, or one inside it by a dotted path; None where there is none."""
    if name in columns:
        return columns[name]
    value: Any = columns
    for step in name.split("."):
        if not isinstance(value, Mapping) or step not in value:
            return None
        value = value[step]
    return value


def path_of(column: str) -> str:
    """Where the column stands in the row, as a JSON path."""
    return f"$[{int(column) - 1}]" if column.isdigit() and column != "0" else f"$.{column}"


def _needed(columns: Mapping[str, Any], name: str, part: str) -> Any:
    value = value_at(columns, name) if name else None
    if value is None:
        has = excerpt(", ".join(columns))
        what = f"“{name}”, which is mapped to the {part}" if name else f"column for the {part}"
        raise _MappingError(
            RowProblem("missing_field", f"There is no {what}. The row has: {has}.", path_of(name), has)
        )
    return value


def _text(columns: Mapping[str, Any], name: str, part: str) -> str:
    value = _needed(columns, name, part)
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return canonical_json(value).decode()
    raise _MappingError(
        RowProblem(
            "field_not_text",
            f"“{name}” is {kind_of(value)}; the {part} must be a text.",
            path_of(name),
            shown(value),
        )
    )


def _optional(columns: Mapping[str, Any], name: str, part: str) -> str:
    return _text(columns, name, part) if name and value_at(columns, name) is not None else ""


def _listed(columns: Mapping[str, Any], name: str, part: str) -> list[Any]:
    """A list, also one that is written as JSON in a text, as CSV must."""
    value = _needed(columns, name, part)
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        try:
            value = decoded_json(value.encode("utf-8", "surrogatepass"))
        except UnreadableJsonError as error:
            raise _MappingError(error.problems[0]) from None
    if not isinstance(value, list):
        raise _MappingError(
            RowProblem(
                "field_not_text",
                f"“{name}” is {kind_of(value)}; a list of messages is needed.",
                path_of(name),
                shown(value),
            )
        )
    return value


def filled(template: str, columns: Mapping[str, Any], part: str) -> str:
    """The template with the values of the columns that it names."""
    return PLACEHOLDER.sub(lambda found: _text(columns, found.group(1), part), template)


# --- Presets ------------------------------------------------------------------------------------------------


def payload_of(columns: Mapping[str, Any], mapping: RowMapping) -> dict[str, Any]:
    """The canonical form of the row: its messages and whatever the mapping leaves alone."""
    try:
        made = _MAKERS[mapping.preset](columns, mapping.fields, mapping)
    except TurnsError as error:
        column = mapping.fields.get(error.part, "")
        raise _MappingError(
            RowProblem(error.code, str(error), path_of(column) + error.path, shown(error.value))
        ) from None
    system = _optional(columns, mapping.fields.get("system", ""), "system message")
    if mapping.system and not system.strip():
        system = filled(mapping.system, columns, "system message")
    messages = made["messages"]
    if system.strip() and not (messages and messages[0].get("role") in ("system", "developer")):
        made["messages"] = [{"role": "system", "content": system}, *messages]
    used = mapping.columns
    others = {
        f"{name}_" if name in RESERVED else name: value
        for name, value in columns.items()
        if name not in used and name not in made
    }
    return {**others, **made}


def _chat(columns: Mapping[str, Any], fields: Mapping[str, str], mapping: RowMapping) -> dict[str, Any]:
    return {"messages": _messages(columns, fields, "messages")}


def _messages(columns: Mapping[str, Any], fields: Mapping[str, str], part: str) -> list[dict[str, Any]]:
    messages = _listed(columns, fields.get(part, ""), part)
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise TurnsError(
                f"A message must be an object; this is {kind_of(message)}.", part, message, f"[{index}]"
            )
    return messages


def _completion(columns: Mapping[str, Any], fields: Mapping[str, str], mapping: RowMapping) -> dict[str, Any]:
    prompt = _needed(columns, fields.get("prompt", ""), "prompt")
    answer = _needed(columns, fields.get("completion", ""), "completion")
    if columns.get("label") is False:
        raise _MappingError(
            RowProblem(
                "unwanted_answer",
                "The row says that its answer is an unwanted one (label: false). Only wanted answers are learnt from;"
                " to learn from both, make preference pairs of them.",
                "$.label",
                "false",
            )
        )
    return {"messages": prompt_messages(prompt, "prompt") + answer_messages(answer, "completion")}


def _instruction(
    columns: Mapping[str, Any], fields: Mapping[str, str], mapping: RowMapping
) -> dict[str, Any]:
    asked = _text(columns, fields.get("instruction", ""), "instruction")
    more = _optional(columns, fields.get("input", ""), "input")
    answer = _text(columns, fields.get("output", ""), "output")
    asked = f"{asked}\n\n{more}" if more.strip() else asked
    return {"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": answer}]}


def _sharegpt(columns: Mapping[str, Any], fields: Mapping[str, str], mapping: RowMapping) -> dict[str, Any]:
    turns = _listed(columns, fields.get("conversations", ""), "conversation")
    made: dict[str, Any] = {"messages": sharegpt_messages(turns, "conversations")}
    tools = value_at(columns, fields.get("tools", "")) if fields.get("tools") else None
    if tools not in (None, "", "[]"):
        made["tools"] = whole_tools(_listed(columns, fields["tools"], "tools"))
    return made


def _preference(columns: Mapping[str, Any], fields: Mapping[str, str], mapping: RowMapping) -> dict[str, Any]:
    chosen = _needed(columns, fields.get("chosen", ""), "chosen answer")
    refused = _needed(columns, fields.get("rejected", ""), "rejected answer")
    prompt = value_at(columns, fields["prompt"]) if fields.get("prompt") else None
    return pair(prompt, chosen, refused)


def _openai_preference(
    columns: Mapping[str, Any], fields: Mapping[str, str], mapping: RowMapping
) -> dict[str, Any]:
    asked = _needed(columns, fields.get("input", ""), "input")
    if not isinstance(asked, dict) or not isinstance(asked.get("messages"), list):
        raise TurnsError('The input must be an object with "messages".', "input", asked)
    made = pair(
        asked["messages"],
        _needed(columns, fields.get("preferred", ""), "preferred output"),
        _needed(columns, fields.get("non_preferred", ""), "non-preferred output"),
    )
    return made | {name: value for name, value in asked.items() if name != "messages"}


def _template(columns: Mapping[str, Any], fields: Mapping[str, str], mapping: RowMapping) -> dict[str, Any]:
    return {
        "messages": [
            {"role": "user", "content": filled(mapping.prompt, columns, "prompt")},
            {"role": "assistant", "content": filled(mapping.answer, columns, "answer")},
        ]
    }


_Maker = Callable[[Mapping[str, Any], Mapping[str, str], RowMapping], dict[str, Any]]
_MAKERS: dict[str, _Maker] = {
    CHAT: _chat,
    COMPLETION: _completion,
    INSTRUCTION: _instruction,
    SHAREGPT: _sharegpt,
    PREFERENCE: _preference,
    OPENAI_PREFERENCE: _openai_preference,
    TEMPLATE: _template,
}
