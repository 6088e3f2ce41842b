"""The shapes of rows that are known, and finding out which one a file has."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.datasets.mapping import (
    CHAT,
    COMPLETION,
    INSTRUCTION,
    LINE,
    OPENAI_PREFERENCE,
    PREFERENCE,
    SECTION,
    SHAREGPT,
    TEMPLATE,
    RowMapping,
    split_named,
)

SPLIT_COLUMNS = (SECTION, "split", "set", "partition", "subset")


@dataclass(frozen=True)
class Part:
    """One thing that a preset takes from a column; `names` are the columns that it is usually in."""

    key: str
    label: str
    names: tuple[str, ...]
    required: bool = True


@dataclass(frozen=True)
class Preset:
    key: str
    label: str
    description: str
    parts: tuple[Part, ...] = ()


_SYSTEM = Part("system", "System message", ("system", "system_prompt", "system_message"), required=False)
PRESETS: dict[str, Preset] = {
    preset.key: preset
    for preset in (
        Preset(
            CHAT,
            "OpenAI chat",
            "A list of messages with role and content; tools, tool calls and weights are kept.",
            (Part("messages", "Messages", ("messages", "conversation", "conversations", "chat")), _SYSTEM),
        ),
        Preset(
            LINE,
            "CSV or Parquet exported by ftportal",
            "One column holds each row's line of chat: it comes back byte for byte.",
            (Part("row", "Line", ("row",)),),
        ),
        Preset(
            COMPLETION,
            "Prompt and completion",
            "What is asked in one column, the answer in another.",
            (
                Part("prompt", "Prompt", ("prompt", "question", "query", "input", "text")),
                Part("completion", "Completion", ("completion", "response", "answer", "output", "target")),
                _SYSTEM,
            ),
        ),
        Preset(
            INSTRUCTION,
            "Instruction, input, output",
            "Alpaca: the instruction, an optional input below it, and the answer.",
            (
                Part("instruction", "Instruction", ("instruction",)),
                Part("input", "Input", ("input", "context"), required=False),
                Part("output", "Output", ("output", "response")),
                _SYSTEM,
            ),
        ),
        Preset(
            SHAREGPT,
            "ShareGPT",
            "A list of turns with from and value: human and gpt take turns.",
            (
                Part("conversations", "Turns", ("conversations", "conversation")),
                _SYSTEM,
                Part("tools", "Tools", ("tools",), required=False),
            ),
        ),
        Preset(
            PREFERENCE,
            "Preference pair",
            "A chosen and a rejected answer, as texts or messages. DPO learns from both, else the chosen one counts.",
            (
                Part(
                    "prompt",
                    "Prompt",
                    ("prompt", "question", "instruction", "input", "conversations", "conversation"),
                    required=False,
                ),
                Part("chosen", "Chosen answer", ("chosen", "preferred")),
                Part("rejected", "Rejected answer", ("rejected", "non_preferred", "refused")),
                _SYSTEM,
            ),
        ),
        Preset(
            OPENAI_PREFERENCE,
            "Preference pair, OpenAI",
            "OpenAI's format: input, preferred_output and non_preferred_output, or as older files spell them.",
            (
                Part("input", "Input", ("input",)),
                Part("preferred", "Preferred output", ("preferred_output", "preferred_completion")),
                Part(
                    "non_preferred",
                    "Non-preferred output",
                    ("non_preferred_output", "non_preferred_completion"),
                ),
            ),
        ),
        Preset(
            TEMPLATE,
            "Columns and a prompt template",
            "Texts and labels: you write the prompt and the answer with the columns' names in double braces.",
        ),
    )
}
_PREFERRED = {"preferred_output", "preferred_completion"}
_TEXT_NAMES = (
    "text",
    "sentence",
    "utterance",
    "query",
    "question",
    "message",
    "content",
    "body",
    "input",
    "1",
)
_LABEL_NAMES = (
    "label",
    "intent",
    "category",
    "class",
    "topic",
    "target",
    "sentiment",
    "answer",
    "output",
    "2",
)


@dataclass(frozen=True)
class Suggestion:
    """What the first rows of a file look like."""

    mapping: RowMapping
    shapes: dict[str, int]
    """Preset -> rows that have its shape; "" for rows of none."""
    is_sure: bool
    """Whether all of them are chat rows that can be taken as they stand, so that nothing needs confirming."""


def shape_of(columns: Mapping[str, Any]) -> str:  # noqa: PLR0911 - one line a shape
    """The preset that a row fits; empty when none does."""
    if _is_exported(columns):
        return LINE
    if _has_parts(
        PREFERENCE, columns
    ):  # whose messages, where they have some, are those of the chosen answer
        return PREFERENCE
    if _is_listed(columns.get("messages")):
        return CHAT
    if any(_is_listed(columns.get(name)) for name in ("conversations", "conversation")):
        return SHAREGPT
    if isinstance(columns.get("input"), dict) and _PREFERRED & columns.keys():
        return OPENAI_PREFERENCE
    if _has_parts(INSTRUCTION, columns):
        return INSTRUCTION
    text, label = _first(_TEXT_NAMES, columns), _first(_LABEL_NAMES, columns)
    named = {"prompt", "completion", "response", "answer", "output"} & columns.keys()
    if named and _has_parts(COMPLETION, columns):
        return COMPLETION
    if text and label and text != label and not _is_listed(columns[text]):
        return TEMPLATE
    return ""


def suggested_mapping(preset: str, columns: Sequence[str]) -> RowMapping:
    """The usual mapping of a preset on a file with these columns."""
    if preset == TEMPLATE:
        text = _first(_TEXT_NAMES, columns) or next(iter(c for c in columns if c != SECTION), "")
        label = _first(_LABEL_NAMES, [name for name in columns if name != text])
        return RowMapping(
            TEMPLATE,
            fields={},
            prompt=f"{{{{{text}}}}}" if text else "",
            answer=f"{{{{{label}}}}}" if label else "",
        )
    parts = PRESETS[preset].parts
    fields = {part.key: _first(part.names, columns) for part in parts}
    return RowMapping(preset, fields={key: column for key, column in fields.items() if column})


def suggest(rows: Sequence[Mapping[str, Any] | None]) -> Suggestion:
    """The mapping that fits most of these rows; None among them is a row that can't be read."""
    shapes = Counter(shape_of(row) for row in rows if row is not None)
    known = [preset for preset, _ in shapes.most_common() if preset]
    names = list(dict.fromkeys(name for row in rows if row is not None for name in row))
    preset = known[0] if known else (CHAT if not names or "messages" in names else TEMPLATE)
    mapping = suggested_mapping(preset, names)
    split = split_column(rows)
    if split:
        mapping = RowMapping(**mapping.as_json() | {"split": split})
    is_sure = (
        preset == CHAT
        and known == [CHAT]
        and mapping.is_plain_chat
        and not split
        and not any(isinstance(row.get("messages"), str) for row in rows if row is not None)
    )
    # Rows of no shape at all are left to the check, which says line by line what is wrong.
    unreadable = not known and preset == CHAT
    return Suggestion(mapping, dict(shapes), is_sure or unreadable)


def split_column(rows: Sequence[Mapping[str, Any] | None]) -> str:
    """The column whose every value names a split."""
    for name in SPLIT_COLUMNS:
        values = [row[name] for row in rows if row is not None and name in row]
        if values and all(isinstance(value, str) and split_named(value) for value in values):
            return name
    return ""


def _is_listed(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, str) and value.lstrip()[:1] == "[")


def _is_exported(columns: Mapping[str, Any]) -> bool:
    line = columns.get("row")
    return "split" in columns and isinstance(line, str) and line.lstrip()[:1] == "{" and '"messages"' in line


def _has_parts(preset: str, columns: Mapping[str, Any]) -> bool:
    """Whether everything that the preset needs is there by its usual name."""
    return all(_first(part.names, columns) for part in PRESETS[preset].parts if part.required)


def _first(names: Sequence[str], columns: "Mapping[str, Any] | Sequence[str]") -> str:
    """The first of `names` among the columns, as the file spells it."""
    spelled = {column.strip().lower(): column for column in columns}
    return next((spelled[name] for name in names if name in spelled), "")
