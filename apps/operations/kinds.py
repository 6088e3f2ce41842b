"""The kinds of background work. An app registers its own in its `tasks.py`, which every process imports."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from apps.operations.models import Operation
    from apps.operations.progress import Progress

QUEUES = ("control", "default", "training")


@dataclass(frozen=True, kw_only=True)
class OperationKind:
    """`run` does the work and is called again after a crash: it must resume from what the database says is missing.

    `on_stopped` is called in the transaction in which an operation ends without success, whoever ends it, so that
    the thing it worked on never stays in a state that only a dead process could leave.

    `on_cancel_asked` is called when somebody asks to stop work that is parked: whoever looks after it should look now.
    """

    name: str
    queue: str
    run: "Callable[[Operation, Progress], None]"
    on_stopped: "Callable[[Operation], None]"
    max_attempts: int
    on_cancel_asked: "Callable[[Operation], object] | None" = None


_kinds: dict[str, OperationKind] = {}


def operation_kind(
    name: str,
    *,
    queue: str,
    on_stopped: "Callable[[Operation], None]",
    max_attempts: int = 3,
    on_cancel_asked: "Callable[[Operation], object] | None" = None,
) -> "Callable[[Callable[[Operation, Progress], None]], Callable[[Operation, Progress], None]]":
    """Register the decorated function as what runs operations of kind `name`."""
    if queue not in QUEUES:
        raise ValueError(f"{queue} is not a queue: {QUEUES}")

    def register(
        run: "Callable[[Operation, Progress], None]",
    ) -> "Callable[[Operation, Progress], None]":
        if name in _kinds and _kinds[name].run.__qualname__ != run.__qualname__:
            raise ValueError(f"Operation kind {name} is registered twice")
        _kinds[name] = OperationKind(
            name=name,
            queue=queue,
            run=run,
            on_stopped=on_stopped,
            max_attempts=max_attempts,
            on_cancel_asked=on_cancel_asked,
        )
        return run

    return register


def kind_get(name: str) -> OperationKind:
    return _kinds[name]
