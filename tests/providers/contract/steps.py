"""Steps that the tests of the contract share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.providers.contracts import ChatRequest, ModelReference, Objective, TrainingState
from apps.providers.remote import FileRole, FileState, RemoteProgress, RemoteRequest, RemoteTrainer
from tests.providers.contract.peer import Peer, Turn
from tests.providers.contract.peers import PEERS

ROWS = 24
LOOKS_AT_A_FILE = 20
ENDS: dict[Turn, TrainingState] = {
    "succeeded": TrainingState.SUCCEEDED,
    "failed": TrainingState.FAILED,
    "cancelled": TrainingState.STOPPED,
}


def those(condition: Callable[[type[Peer]], Any] = lambda _: True) -> pytest.MarkDecorator:
    """Over all peers for which it is true."""
    chosen = [peer for peer in PEERS if condition(peer)]
    assert chosen, "no peer can do this"
    return pytest.mark.parametrize("peer", chosen, indirect=True, ids=[peer.name for peer in chosen])


every = those()


def write(path: Path, lines: list[bytes]) -> Path:
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


def uploaded(
    adapter: RemoteTrainer,
    peer: Peer,
    place: Path,
    *,
    role: FileRole = "training",
    objective: Objective = "supervised",
) -> str:
    path = write(place / f"{role}.jsonl", peer.lines(objective, ROWS))
    return adapter.upload(path, role=role, objective=objective, filename=path.name)


def judged(adapter: RemoteTrainer, file: str) -> FileState:
    """What the provider says about a file once it has looked at it."""
    for _ in range(LOOKS_AT_A_FILE):
        state = adapter.file_state(file)
        if state.readiness != "working":
            return state
    raise AssertionError(f"{file} is still being looked at")


def asked_for(peer: Peer, file: str, key: str = "job-1", **changes: Any) -> RemoteRequest:
    return RemoteRequest(
        **{
            "job_key": key,
            "base_model": peer.base_model,
            "training_file": file,
            "suffix": "tickets",
            **changes,
        }
    )


def submitted(adapter: RemoteTrainer, peer: Peer, place: Path, key: str = "job-1") -> str:
    file = uploaded(adapter, peer, place)
    assert judged(adapter, file).readiness == "ready"
    return adapter.submit(asked_for(peer, file, key))


def poll_anew(peer: Peer, handle: str, cursor: str = "") -> RemoteProgress:
    """As another process would: nothing is known but the handle and the cursor."""
    adapter = peer.adapter()
    try:
        return adapter.poll(handle, cursor=cursor)
    finally:
        adapter.close()


def model_asked(peer: Peer, model: str | None = None) -> ChatRequest:
    reference = ModelReference(provider_model=model) if model else ModelReference(base=peer.base_model)
    return ChatRequest(model=reference, messages=[{"role": "user", "content": "Where is my parcel?"}])


def followed(peer: Peer, handle: str, end: Turn = "succeeded") -> list[RemoteProgress]:
    """Polled by a new process each time, with the cursor that the one before it left."""
    turns: list[tuple[Turn, ...]] = [
        (), ("running",), ("metrics",), (), ("metrics", "metrics", "metrics"), (end,), (), (),
    ]  # fmt: skip
    polls: list[RemoteProgress] = []
    for turn in turns:
        for step in turn:
            if step != "metrics" or peer.reports_metrics:
                peer.advance(handle, step)
        polls.append(poll_anew(peer, handle, polls[-1].cursor if polls else ""))
    return polls


def ready_file(adapter: RemoteTrainer, peer: Peer, place: Path, **options: Any) -> str:
    """A file that was sent and can be trained on."""
    file = uploaded(adapter, peer, place, **options)
    assert judged(adapter, file).readiness == "ready"
    return file
