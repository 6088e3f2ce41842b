"""What can be wrong with a line of an imported file, and how it is said."""

from dataclasses import dataclass

from apps.core.formatting import format_bytes

EXCERPT_CHARACTERS = 120


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One thing wrong with a line. `message` is a sentence; `excerpt` the offending value, cut."""

    code: str
    message: str
    path: str = ""
    excerpt: str = ""
    byte: int | None = None
    """Where in the line, in bytes from its start; None: the line as a whole."""


# Codes of a whole file: nothing in it can be read as rows, so one sentence stands for every line.
FILE_CODES = {
    "empty_file": "Empty file",
    "compressed_file": "Compressed file",
    "not_text": "Not a text file",
    "utf16_file": "UTF-16 text",
    "csv_file": "CSV file",
    "json_array_file": "JSON array",
    "indented_json_file": "Indented JSON",
    "not_json_lines": "Not JSON lines",
    "bad_header": "Header unusable",
    "damaged_archive": "File damaged",
    "expands_too_far": "Unpacks too far",
}

CODE_TITLES = {
    **FILE_CODES,
    "not_utf8": "Not UTF-8",
    "nul_character": "NUL character",
    "lone_surrogate": "Half a character",
    "line_too_long": "Line too long",
    "cut_json": "Cut off",
    "not_json": "Not JSON",
    "not_an_object": "Not an object",
    "duplicate_key": "Key given twice",
    "not_a_number": "NaN or Infinity",
    "number_too_large": "Number too large",
    "nested_too_deeply": "Nested too deeply",
    "no_messages": "No messages",
    "not_a_message": "Not a message",
    "unknown_role": "Unknown role",
    "role_order": "Roles out of order",
    "content_not_text": "Content is no text",
    "empty_message": "Empty message",
    "empty_answer": "Empty answer",
    "no_answer": "No answer",
    "answer_not_last": "Answer not last",
    "refused_by_database": "Can't be stored",
    "broken_list": "List broken off",
    "ragged_row": "Number of columns",
    "unclosed_quote": "Quote not closed",
    "bad_quotes": "Quotes wrong",
    "missing_field": "Column missing",
    "field_not_text": "Value of another kind",
    "unknown_split": "Unknown split",
    "same_answers": "Both answers the same",
    "unwanted_answer": "Answer unwanted",
    "bad_weight": "Weight not 0 or 1",
    "bad_tools": "Tools not usable",
    "bad_tool_call": "Tool call not usable",
}


def line_too_long(length: int, limit: int, data: bytes) -> RowProblem:
    return RowProblem(
        "line_too_long",
        f"The line is {format_bytes(length)} long; the limit is {format_bytes(limit)} a line.",
        excerpt=excerpt(data[: 4 * EXCERPT_CHARACTERS].decode("utf-8", "replace")),
    )


def excerpt(text: str, around: int | None = None) -> str:
    """At most `EXCERPT_CHARACTERS` of `text`, from its start or around a position, safe to store and to show."""
    start = 0 if around is None else max(0, around - EXCERPT_CHARACTERS // 3)
    cut = text[start : start + EXCERPT_CHARACTERS]
    shown = "".join(
        character if character.isprintable() or character == " " else _visible(character) for character in cut
    )
    return ("…" if start else "") + shown + ("…" if start + EXCERPT_CHARACTERS < len(text) else "")


def _visible(character: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return named.get(character) or f"\\u{ord(character):04x}"
