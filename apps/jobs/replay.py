"""General data mixed into training ("replay"): it guards against the model forgetting what it could do before."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec

from apps.core.errors import PortalError
from apps.core.formatting import format_number

ROLES = frozenset({"system", "user", "assistant", "tool"})


class ReplayError(PortalError):
    """The general rows can't be had."""

    code = "no_general_data"


class _Message(msgspec.Struct):
    role: str
    content: str


class _Row(msgspec.Struct):
    messages: list[_Message]


@dataclass(frozen=True, kw_only=True)
class Replay:
    """The chosen rows, one JSON object each, and the SHA-256 over them: the same seed chooses the same rows."""

    rows: Sequence[bytes]
    sha256: str


def available_rows(path: Path) -> int:
    """How many general rows there are to choose from; 0 when the file is not installed."""
    return len(_read(path, _version(path))) if path.is_file() else 0


def choose_rows(path: Path, *, count: int, seed: int) -> Replay:
    """`count` different rows in a random order that `seed` decides."""
    rows = _read(path, _version(path)) if path.is_file() else ()
    if count > len(rows):
        raise ReplayError(
            f"{format_number(count)} general rows were asked for, and there are {format_number(len(rows))}."
            " Ask for fewer."
            if rows
            else "No general data is installed here, so none can be mixed in. Set it to 0."
        )
    chosen = random.Random(seed).sample(rows, count)
    digest = hashlib.sha256()
    for row in chosen:
        digest.update(row + b"\n")
    return Replay(rows=chosen, sha256=digest.hexdigest())


def _version(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=2)
def _read(path: Path, version: tuple[int, int]) -> tuple[bytes, ...]:
    """Every row, checked to be a chat that ends with an answer."""
    decoder = msgspec.json.Decoder(_Row)
    rows = []
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if not line.strip():
            continue
        try:
            messages = decoder.decode(line).messages
        except msgspec.DecodeError as error:
            raise ReplayError(f"Line {number} of {path.name} is not a chat: {error}.") from error
        if not messages or messages[-1].role != "assistant" or any(m.role not in ROLES for m in messages):
            raise ReplayError(f"Line {number} of {path.name} is not a chat that ends with an answer.")
        rows.append(bytes(line))
    return tuple(rows)
