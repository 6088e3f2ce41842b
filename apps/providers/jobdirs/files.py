"""What lies in a job directory and how to read it while the trainer writes it."""

import json
import os
from pathlib import Path
from typing import Any

from apps.providers.contracts import TrainingEvent

EVENTS_FILE = "events.jsonl"
LOG_FILE = "log.txt"
PROCESS_FILE = "process.json"
EXIT_FILE = "exit_code"
LOCK_FILE = "lock"
RESULT_DIR = "result"
CHECKPOINTS_DIR = "checkpoints"
FINAL_TYPES = ("result", "stopped", "failed")

READ_LIMIT = 8 * 1024 * 1024


def read_events(job_dir: Path, offset: int = 0) -> tuple[list[TrainingEvent], int]:
    """Events after a byte offset, and the offset to go on from.

    Only complete lines are read, so a line that is being written is left for the next call. At most 8 MiB a
    call: when the offset moved, call again until it doesn't.
    """
    try:
        with (job_dir / EVENTS_FILE).open("rb") as stream:
            stream.seek(offset)
            data = stream.read(READ_LIMIT)
    except FileNotFoundError:
        return [], offset
    end = data.rfind(b"\n") + 1
    events = [_event(line) for line in data[:end].splitlines() if line.strip()]
    return events, offset + end


def _event(line: bytes) -> TrainingEvent:
    fields: dict[str, Any] = json.loads(line)
    return TrainingEvent(seq=fields.pop("seq"), time=fields.pop("time"), type=fields.pop("type"), data=fields)


def log_tail(job_dir: Path, limit: int = 8192) -> str:
    """The last `limit` bytes of the trainer's output, starting at a line; empty if there is none."""
    try:
        with (job_dir / LOG_FILE).open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - limit))
            data = stream.read()
    except FileNotFoundError:
        return ""
    if size > limit:
        data = data[data.find(b"\n") + 1 :]
    return data.decode("utf-8", "replace")
