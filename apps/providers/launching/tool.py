"""What a launcher is told by a tool's adapter."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol


class Told(NamedTuple):
    """One thing that the tool reported: an event's type and its fields."""

    type: str
    data: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Start:
    """How the tool is started in the job directory, and what is known of the run before."""

    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] | None = None
    """Packages and hardware."""
    plan: Mapping[str, Any] | None = None


class Tool(Protocol):
    """One tool at work on one job."""

    @property
    def label(self) -> str:
        """What people call it."""

    def begin(self) -> Start | None:
        """Write what the tool reads. None: an earlier run did all the steps already. May raise TrainingFailed."""

    def look(self) -> Iterable[Told]:
        """What is new since the last look. Called several times a second, and once more after the tool ended."""

    def left(self) -> tuple[int, str] | None:
        """The newest whole checkpoint: its step, and its path in the job directory."""

    def result(self) -> Mapping[str, Any]:
        """Make the result directory; the fields of the result event. TrainingFailed where there is no model."""
