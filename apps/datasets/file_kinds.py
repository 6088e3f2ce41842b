"""Recognising from its first bytes a file that holds no JSON lines at all: one sentence instead of a problem a line."""

import codecs

from apps.datasets.problems import RowProblem, excerpt

HEAD_BYTES = 64 * 1024
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "ZIP",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "XZ",
}
_BINARY = {b"PAR1": "a Parquet file", b"%PDF": "a PDF file", b"SQLite format 3\x00": "a SQLite database"}
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_LINES_LOOKED_AT = 20
_SOLUTION = 'One JSON object a line is needed: {"messages": [{"role": "user", "content": "…"}, …]}.'


def unusable_file(head: bytes) -> RowProblem | None:
    """Why no line of a file that begins with `head` (at most `HEAD_BYTES` of it) can be a row; None if some may."""
    if not head:
        return RowProblem("empty_file", "The file is empty: it has no bytes at all.")
    problem = _by_signature(head)
    if problem is not None:
        return problem
    return _by_text(head)


def _by_text(head: bytes) -> RowProblem | None:
    text = head.removeprefix(codecs.BOM_UTF8).decode("utf-8", "replace")
    lines = [line for line in text.splitlines()[:_LINES_LOOKED_AT] if line.strip()]
    if not lines:
        return (
            RowProblem("empty_file", "The file holds only empty lines.") if len(head) < HEAD_BYTES else None
        )
    first = lines[0].strip()
    if first == "{":
        return RowProblem(
            "indented_json_file",
            f"The JSON is spread over several lines. {_SOLUTION} `jq -c . FILE` writes it so.",
            excerpt=excerpt(first),
        )
    if first.startswith("["):
        return RowProblem(
            "json_array_file",
            f"The file is one JSON list. {_SOLUTION} `jq -c '.[]' FILE` takes the list apart.",
            excerpt=excerpt(first),
        )
    if any(line.lstrip().startswith("{") for line in lines):
        return None
    return _by_lines(lines)


def _by_signature(head: bytes) -> RowProblem | None:
    for signature, name in _COMPRESSED.items():
        if head.startswith(signature):
            return RowProblem(
                "compressed_file",
                f"The file is compressed with {name}, whatever its name says. Unpack it and upload what is inside.",
            )
    for signature, name in _BINARY.items():
        if head.startswith(signature):
            return RowProblem("not_text", f"This is {name}. {_SOLUTION}")
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return RowProblem("utf16_file", "The file is UTF-16 text. Save it as UTF-8 and upload it again.")
    if head.count(b"\x00") > len(head) // 4:
        return RowProblem("not_text", f"The file is binary, or UTF-16 text. {_SOLUTION}")
    return None


def _by_lines(lines: list[str]) -> RowProblem:
    for delimiter, name in _DELIMITERS.items():
        if lines[0].count(delimiter) and all(delimiter in line for line in lines[:2]):
            return RowProblem(
                "csv_file",
                f"This is a CSV file: its first line is columns separated by {name}, whatever its name says."
                f" {_SOLUTION}",
                excerpt=excerpt(lines[0]),
            )
    return RowProblem(
        "not_json_lines", f"No line begins with an object. {_SOLUTION}", excerpt=excerpt(lines[0])
    )
