"""An account at a server of the OpenAI protocol with a past, and a connection of the tests' workspace to it."""

import json
from pathlib import Path
from typing import Any

from apps.accounts.models import User, Workspace
from apps.jobs.models import Archive
from apps.jobs.recovery.recovering import recoveries_advance
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_run
from apps.projects.models import Project
from apps.providers.models import Connection
from apps.providers.services import connection_create
from tests.providers.openai_peer import OpenAIPeer
from tests.providers.openai_server import BASE_MODEL, SECRET, Protocol

ROWS, HELD_OUT = 24, 10


def chat_lines(count: int, *, what: str = "parcel") -> list[bytes]:
    return [
        json.dumps(
            {
                "messages": [
                    {"role": "user", "content": f"Where is {what} {number}?"},
                    {"role": "assistant", "content": f"On its way, number {number}."},
                ]
            }
        ).encode()
        for number in range(count)
    ]


class Account:
    """What a team did at the provider long before it came here."""

    def __init__(self, peer: OpenAIPeer, place: Path) -> None:
        self.peer, self.place = peer, place

    def file(self, lines: list[bytes], name: str = "tickets.jsonl") -> str:
        path = self.place / name
        path.write_bytes(b"\n".join(lines) + b"\n")
        adapter = self.peer.adapter()
        try:
            return adapter.upload(path, role="training", objective="supervised", filename=name)
        finally:
            adapter.close()

    def job(self, training: str, validation: str | None = None, **body: Any) -> str:
        """A job that succeeded after eight measured steps."""
        handle = self.begin(training, validation, **body)
        for _ in range(8):
            self.peer.advance(handle, "metrics")
        self.peer.advance(handle, "succeeded")
        return handle

    def begin(self, training: str, validation: str | None = None, **body: Any) -> str:
        asked = {"model": BASE_MODEL, "training_file": training, "suffix": "tickets", "seed": 11, **body}
        if validation is not None:
            asked["validation_file"] = validation
        with self.peer.state.lock:
            created: str = Protocol(self.peer.state).create(asked)["id"]
        return created

    def model_of(self, handle: str) -> str:
        name: str = self.peer.state.jobs[handle]["fine_tuned_model"]
        return name

    def forget_file(self, file: str) -> None:
        with self.peer.state.lock:
            del self.peer.state.files[file], self.peer.state.contents[file]

    def requests(self, ending: str) -> int:
        return sum(path.endswith(ending) for _, path in self.peer.state.requests)


def connect(workspace: Workspace, peer: OpenAIPeer, by: User) -> Connection:
    return connection_create(
        workspace=workspace,
        provider="openai",
        name="OpenAI",
        settings={"base_url": peer.url},
        secrets={"api_key": SECRET},
        by=by,
    )


def work(rounds: int = 12) -> None:
    """What workers and the clock do until nothing is left to do."""
    for _ in range(rounds):
        waiting = list(Operation.objects.filter(state=OperationState.QUEUED).order_by("pk"))
        for operation in waiting:
            operation_run(operation_id=operation.pk)
        recoveries_advance()
        if not waiting and not Operation.objects.filter(state=OperationState.QUEUED).exists():
            return


def archive_of(project: Project) -> Archive:
    return Archive.objects.select_related("connection__workspace", "project__workspace").get(project=project)
