"""Reading a file of JSON lines that another program writes, whatever it holds."""

import json
from pathlib import Path
from typing import Any

READ_LIMIT = 8 * 1024 * 1024
LONGEST_LINE = 1024 * 1024


class JsonLinesTail:
    """The objects that were added since the last look. What is no JSON object is counted in `skipped` and left out.

    A line that is still being written is left for the next look. A file that is replaced by a shorter one is read
    from its start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self.skipped = 0

    def read(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while lines := self._lines():
            found += [value for line in lines if (value := self._object(line)) is not None]
        return found

    def _lines(self) -> list[bytes]:
        try:
            with self._path.open("rb") as stream:
                if stream.seek(0, 2) < self._offset:
                    self._offset = 0
                stream.seek(self._offset)
                data = stream.read(READ_LIMIT)
        except OSError:
            return []
        end = data.rfind(b"\n") + 1
        if not end and len(data) > LONGEST_LINE:
            end = len(data)  # no log of ours: not to be read again and again
        self._offset += end
        return data[:end].split(b"\n")[:-1] or ([data] if end else [])

    def _object(self, line: bytes) -> dict[str, Any] | None:
        if not line.strip():
            return None
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            self.skipped += 1
            return None
        return value


def number(value: Any) -> float | int | None:
    """A number as it is, not a number and infinite included; None for everything else."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
