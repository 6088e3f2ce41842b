"""A version in other forms: each row as a conversation, as prompt and completion, as a preference pair, as a table.

Plain Python over rows that are read one after another; nothing is held but a block.
"""

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import msgspec

from apps.datasets.chat_rows import rejected_of

PARQUET_ROWS = 2000


@dataclass(slots=True)
class ExportRow:
    position: int
    split: str
    line: bytes
    """The row as a line of chat."""
    decoded: dict[str, Any] | None = None

    @property
    def payload(self) -> dict[str, Any]:
        """What the line says; not every format asks for it."""
        if self.decoded is None:
            self.decoded = msgspec.json.decode(self.line)
        return self.decoded


class _Message(msgspec.Struct, gc=False):
    role: str
    content: str | None = None


class _Chat(msgspec.Struct, gc=False):
    """What a table has columns for."""

    messages: list[_Message]


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value) + b"\n"


def _json_text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def chat_lines(rows: Iterable[ExportRow]) -> Iterator[bytes]:
    """The rows as they were received, where that was chat."""
    for row in rows:
        yield row.line + b"\n"


def parts_of(payload: dict[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What is asked, and the answer: the last message, of a pair all that follows the last question."""
    messages = payload["messages"]
    return messages[:-1], messages[-1:]


def completion_lines(rows: Iterable[ExportRow]) -> Iterator[bytes]:
    """Prompt and completion as lists of messages, which loses nothing; what stands beside the messages is kept."""
    for row in rows:
        prompt, answer = parts_of(row.payload)
        rest = {name: value for name, value in row.payload.items() if name not in ("messages", "rejected")}
        yield _json({"prompt": prompt, "completion": answer, **rest})


def preference_lines(rows: Iterable[ExportRow]) -> Iterator[bytes]:
    """OpenAI's format for preference pairs. Rows without a rejected answer are left out."""
    for row in rows:
        refused = rejected_of(row.payload)
        if refused is None:
            continue
        prompt, answer = parts_of(row.payload)
        asked: dict[str, Any] = {"messages": prompt}
        for name in ("tools", "parallel_tool_calls"):
            if name in row.payload:
                asked[name] = row.payload[name]
        yield _json({"input": asked, "preferred_output": answer, "non_preferred_output": refused})


CSV_COLUMNS = ("split", "system", "prompt", "answer", "rejected", "row")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
"""How a cell begins that a spreadsheet would run; with the mark itself, so that it can be taken off again."""


def csv_lines(rows: Iterable[ExportRow]) -> Iterator[bytes]:
    """A table for reading and for spreadsheets. `row` holds the line of chat, from which it can be imported again.

    A cell that a spreadsheet would take for a formula begins with an apostrophe (OWASP, "CSV Injection"). It is not in
    the line of chat: whoever reads the other columns takes one leading apostrophe off.
    """
    yield (",".join(CSV_COLUMNS) + "\r\n").encode()
    for row in rows:
        yield (",".join(map(_quoted, _csv_cells(row))) + "\r\n").encode()


def _quoted(cell: str) -> str:
    """As RFC 4180 has it; several times faster than the csv module, which looks at every character."""
    return '"' + cell.replace('"', '""') + '"' if cell else ""


def _guarded(cell: str) -> str:
    return "'" + cell if cell.startswith(FORMULA) else cell


def _csv_cells(row: ExportRow) -> list[str]:
    payload = row.payload
    prompt, answer = parts_of(payload)
    refused = rejected_of(payload)
    system = "\n".join(_content(message) for message in prompt if message["role"] in ("system", "developer"))
    asked = [message for message in prompt if message["role"] not in ("system", "developer")]
    shown = (
        _content(asked[0])
        if len(asked) == 1
        else "\n\n".join(f"{message['role']}: {_content(message)}" for message in asked)
    )
    return [
        row.split,
        _guarded(system),
        _guarded(shown),
        _guarded(_content(answer[0])),
        _guarded(_content(refused[-1])) if refused else "",
        row.line.decode(),
    ]


def _content(message: dict[str, Any]) -> str:
    text = message.get("content")
    if isinstance(text, str):
        return text
    calls = message.get("tool_calls")
    return _json_text(calls) if calls else ""


def parquet_file(rows: Iterable[ExportRow]) -> Iterator[bytes]:
    """`messages` with role and content for readers; `row` holds the line of chat, with everything else in it."""
    import pyarrow
    from pyarrow import parquet

    message = pyarrow.struct([("role", pyarrow.string()), ("content", pyarrow.string())])
    schema = pyarrow.schema(
        [
            ("position", pyarrow.int64()),
            ("split", pyarrow.string()),
            ("messages", pyarrow.list_(message)),
            ("row", pyarrow.string()),
        ]
    )
    sink = Drained()
    # A dictionary of texts that are all different only costs time.
    with parquet.ParquetWriter(
        sink, schema, use_dictionary=["split", "messages.list.element.role"]
    ) as writer:
        decode = msgspec.json.Decoder(_Chat).decode
        for block in _blocks(rows):
            chats = [decode(row.line).messages for row in block]
            ends = list(accumulate(map(len, chats), initial=0))
            parts = [
                pyarrow.array([each.role for chat in chats for each in chat], pyarrow.string()),
                pyarrow.array([each.content for chat in chats for each in chat], pyarrow.string()),
            ]
            columns = [
                pyarrow.array([row.position for row in block], pyarrow.int64()),
                pyarrow.array([row.split for row in block], pyarrow.string()),
                pyarrow.ListArray.from_arrays(
                    ends, pyarrow.StructArray.from_arrays(parts, fields=list(message))
                ),
                pyarrow.array([row.line.decode() for row in block], pyarrow.string()),
            ]
            writer.write_table(pyarrow.table(columns, schema=schema))
            yield sink.drain()
    yield sink.drain()


def _blocks(rows: Iterable[ExportRow]) -> Iterator[list[ExportRow]]:
    block: list[ExportRow] = []
    for row in rows:
        block.append(row)
        if len(block) == PARQUET_ROWS:
            yield block
            block = []
    if block:
        yield block


class Drained(io.RawIOBase):
    """A file to write to from which what was written is taken away at once."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self._position += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._position

    def drain(self) -> bytes:
        pieces, self._pieces = b"".join(self._pieces), []
        return pieces


@dataclass(frozen=True)
class ExportFormat:
    key: str
    label: str
    ending: str
    content_type: str
    write: Callable[[Iterable[ExportRow]], Iterator[bytes]]


FORMATS: dict[str, ExportFormat] = {
    each.key: each
    for each in (
        ExportFormat("chat", "OpenAI chat", "jsonl", "application/x-ndjson", chat_lines),
        ExportFormat(
            "completion", "Prompt and completion", "jsonl", "application/x-ndjson", completion_lines
        ),
        ExportFormat("preference", "Preference pairs", "jsonl", "application/x-ndjson", preference_lines),
        ExportFormat("csv", "CSV", "csv", "text/csv; charset=utf-8", csv_lines),
        ExportFormat("parquet", "Parquet", "parquet", "application/vnd.apache.parquet", parquet_file),
    )
}
