"""What was told of a job already, small enough to be stored after every poll."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

MESSAGES_KEPT = 300


class Steps:
    """Numbers of steps as runs of [first, last, stride]: they come in order and evenly."""

    def __init__(self, runs: Iterable[list[int]] = ()) -> None:
        self.runs = [list(run) for run in runs]

    def __contains__(self, step: int) -> bool:
        return any(
            first <= step <= last and (step - first) % stride == 0 for first, last, stride in self.runs
        )

    def add(self, step: int) -> None:
        if step in self:
            return
        last = self.runs[-1] if self.runs else None
        if last is not None and last[0] == last[1] < step:
            last[1], last[2] = step, step - last[0]
        elif last is not None and step == last[1] + last[2]:
            last[1] = step
        else:
            self.runs.append([step, step, 1])


@dataclass
class Seen:
    next_seq: int = 0
    planned: bool = False
    results_read: bool = False
    after: str = ""
    """The last event of a server that lists the oldest first: the next page begins behind it."""
    trained: Steps = field(default_factory=Steps)
    validated: Steps = field(default_factory=Steps)
    checkpoints: Steps = field(default_factory=Steps)
    messages: dict[str, float] = field(default_factory=dict)
    """Marks of messages in the order they came, and when they were said."""
    forgotten_until: float = 0.0
    """Messages up to this time were seen, though their marks are not kept."""
    last_error: str = ""

    @classmethod
    def load(cls, cursor: str) -> "Seen":
        if not cursor:
            return cls()
        kept: dict[str, Any] = json.loads(cursor)
        return cls(
            next_seq=kept["seq"],
            planned=kept["planned"],
            results_read=kept["results"],
            after=kept["after"],
            trained=Steps(kept["trained"]),
            validated=Steps(kept["validated"]),
            checkpoints=Steps(kept["checkpoints"]),
            messages=kept["messages"],
            forgotten_until=kept["forgotten"],
            last_error=kept["error"],
        )

    def dump(self) -> str:
        kept = {
            "seq": self.next_seq,
            "planned": self.planned,
            "results": self.results_read,
            "after": self.after,
            "trained": self.trained.runs,
            "validated": self.validated.runs,
            "checkpoints": self.checkpoints.runs,
            "messages": self.messages,
            "forgotten": self.forgotten_until,
            "error": self.last_error,
        }
        return json.dumps(kept, separators=(",", ":"))

    def knows_message(self, event: Mapping[str, Any], time: float) -> bool:
        return mark_of(event) in self.messages or 0 < time <= self.forgotten_until

    def add_message(self, event: Mapping[str, Any], time: float) -> None:
        self.messages[mark_of(event)] = time
        while len(self.messages) > MESSAGES_KEPT:
            oldest = next(iter(self.messages))
            self.forgotten_until = max(self.forgotten_until, self.messages.pop(oldest))


def mark_of(event: Mapping[str, Any]) -> str:
    """A short mark of an event: of its id, or of what it says where it has none."""
    name = event.get("id") or [event.get("created_at"), event.get("level"), event.get("message")]
    return hashlib.blake2b(json.dumps(name).encode(), digest_size=6).hexdigest()
