"""The run's report: one JSON object a line, appended and flushed at once."""

import os
import time
from pathlib import Path
from typing import Any

import msgspec

from apps.providers.jobdirs.files import EVENTS_FILE


class EventLog:
    """Writes events.jsonl. Numbers go on where an earlier run of the job ended."""

    def __init__(self, job_dir: Path) -> None:
        self._path = job_dir / EVENTS_FILE
        self._next = self._repair()
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def emit(self, name: str, /, **fields: Any) -> None:
        """Append one event. Numbers that are infinite or not a number are written as null."""
        event = {"seq": self._next, "time": time.time(), "type": name, **fields}
        data = msgspec.json.encode(event) + b"\n"
        while data:
            data = data[os.write(self._file, data) :]
        self._next += 1
        # The same in the log, where it stands between the libraries' own words.
        print(name, " ".join(f"{key}={value}" for key, value in fields.items()), flush=True)

    def _repair(self) -> int:
        """Cut off a line that a killed run left unfinished; return the next number."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return 0
        complete = data[: data.rfind(b"\n") + 1]
        if len(complete) != len(data):
            os.truncate(self._path, len(complete))
        lines = complete.splitlines()
        return int(msgspec.json.decode(lines[-1])["seq"]) + 1 if lines else 0
