"""The adapter of OpenAI's protocol against the product's own server: a real training, followed to the tuned model."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.providers.adapters.openai.adapter import OpenAIProvider
from apps.providers.contracts import (
    ChatPiece,
    ChatRequest,
    JobUnknownError,
    ModelReference,
    ProviderError,
    TrainingEvent,
    TrainingState,
)
from apps.providers.remote import DataFacts, FileRole, RemoteProgress, RemoteRequest
from tests.ftportal.running import wait_for
from tests.integration.rows import distinct_tickets, jsonl
from tests.integration.stack import Together
from tests.integration.test_openai_client import new_key

pytestmark = pytest.mark.integration
BASE = "ftportal-tiny"
TRAINING_SECONDS, FILE_SECONDS = 420.0, 120.0


@pytest.fixture(scope="module")
def entry(together: Together) -> dict[str, str]:
    return {"base_url": f"{together.url}/v1", "api_key": new_key(together)}


@pytest.fixture
def adapter(entry: dict[str, str]) -> Iterator[OpenAIProvider]:
    adapter = OpenAIProvider(entry, allow_private=True)
    yield adapter
    adapter.close()


def sent(adapter: OpenAIProvider, place: Path, role: FileRole, content: bytes) -> str:
    path = place / f"{role}.jsonl"
    path.write_bytes(content)
    file = adapter.upload(path, role=role, objective="supervised", filename=path.name)
    wait_for(lambda: adapter.file_state(file).readiness != "working", FILE_SECONDS, "a judgement of the file")
    state = adapter.file_state(file)
    assert state.readiness == "ready", state.message
    return file


def followed(
    entry: dict[str, str], handle: str
) -> tuple[RemoteProgress, list[TrainingEvent], set[TrainingState]]:
    """To the end, by an adapter of its own for every poll."""
    polls: list[RemoteProgress] = []

    def ended() -> bool:
        adapter = OpenAIProvider(entry, allow_private=True)
        polls.append(adapter.poll(handle, cursor=polls[-1].cursor if polls else ""))
        adapter.close()
        return polls[-1].state.is_final

    wait_for(ended, TRAINING_SECONDS, "the end of the job")
    return polls[-1], [event for poll in polls for event in poll.events], {poll.state for poll in polls}


def asked(model: str) -> ChatRequest:
    return ChatRequest(
        model=ModelReference(provider_model=model),
        messages=[{"role": "user", "content": "My card was charged twice"}],
        max_tokens=12,
    )


def streamed(entry: dict[str, str], request: ChatRequest) -> list[ChatPiece]:
    async def whole() -> list[ChatPiece]:
        chats = OpenAIProvider.streaming(entry, allow_private=True)
        pieces = [piece async for piece in chats.stream(request)]
        await chats.close()
        return pieces

    return asyncio.run(whole())


def test_a_model_is_trained_over_the_protocol_and_asked(
    together: Together, entry: dict[str, str], adapter: OpenAIProvider, tmp_path: Path
):
    tickets = distinct_tickets(60)
    content = jsonl(tickets[:48])
    looked = adapter.check()
    assert looked.authenticated, looked.message
    assert any(model.id == BASE for model in looked.served or ())

    training = sent(adapter, tmp_path, "training", content)
    validation = sent(adapter, tmp_path, "validation", jsonl(tickets[48:]))
    request = RemoteRequest(
        job_key="0d4c6b1e-77aa-4d0e-9d24-6f2d3f8f2f10",
        base_model=BASE,
        training_file=training,
        validation_file=validation,
        hyperparameters={"epochs": 1, "learning_rate_multiplier": 1.0},
        suffix="moved",
        seed=5,
    )
    assert adapter.validate(request, DataFacts(rows=48, validation_rows=12, bytes=len(content))) == []
    handle = adapter.submit(request)
    assert adapter.submit(request) == handle, "the server knows the key of a request that is sent again"
    assert adapter.find(request.job_key) == handle

    last, events, states = followed(entry, handle)
    assert last.state == TrainingState.SUCCEEDED, last.failure
    assert TrainingState.RUNNING in states
    assert last.trained_tokens
    assert [event.seq for event in events] == list(range(len(events)))

    job = together.row("SELECT * FROM jobs_trainingjob WHERE state = 'succeeded' AND name = 'moved'")
    points = together.rows(
        "SELECT kind, step, loss FROM jobs_metricpoint WHERE job_id = %s ORDER BY kind, step", job["id"]
    )
    curve = {
        kind: [(point["step"], point["loss"]) for point in points if point["kind"] == kind]
        for kind in ("train", "validation")
    }
    told = {
        kind: sorted((event.data["step"], event.data["loss"]) for event in events if event.type == kind)
        for kind in ("metrics", "evaluation")
    }
    assert len(curve["train"]) > 1
    assert told["metrics"] == curve["train"]
    assert told["evaluation"] == curve["validation"]
    plan = next(event for event in events if event.type == "plan")
    assert plan.data["steps"] == job["total_steps"]

    result = adapter.result(handle)
    assert result.provider_model
    assert result.provider_model.startswith(f"ft:{BASE}:")
    assert result.checkpoints
    assert [event.data["provider_model"] for event in events if event.type == "checkpoint"] == [
        checkpoint.provider_model for checkpoint in result.checkpoints
    ]

    reply = adapter.chat(asked(result.provider_model))
    assert reply.text
    assert reply.usage
    assert 1 <= reply.usage.completion_tokens <= 12
    assert adapter.chat(asked(result.checkpoints[-1].provider_model)).text
    pieces = streamed(entry, asked(result.provider_model))
    assert pieces[-1].reply
    assert "".join(piece.text for piece in pieces) == pieces[-1].reply.text == reply.text
    assert pieces[-1].reply.usage == reply.usage

    past = next(entry for entry in adapter.jobs() if entry.handle == handle)
    assert (past.base_model, past.state) == (BASE, TrainingState.SUCCEEDED)
    assert (past.training_file, past.validation_file) == (training, validation)
    assert past.tuned_model == result.provider_model
    assert past.hyperparameters["epochs"] == 1
    assert past.suffix == "moved"
    kept = {file.id: file for file in adapter.files()}
    assert kept[training].bytes == len(content)
    assert b"".join(adapter.read_file(training)) == content

    adapter.cancel(handle)
    assert adapter.poll(handle).state == TrainingState.SUCCEEDED


def test_what_the_server_lacks_or_refuses_is_said(entry: dict[str, str], adapter: OpenAIProvider):
    with pytest.raises(JobUnknownError):
        adapter.poll("ftjob-nosuch")
    with pytest.raises(ProviderError) as refused:
        adapter.chat(asked("ft:nosuch"))
    assert refused.value.code == "model_not_found"
    assert adapter.find("nosuch") is None
    stranger = OpenAIProvider({**entry, "api_key": "ftp-nosuch"}, allow_private=True)
    looked = stranger.check()
    stranger.close()
    assert (looked.reachable, looked.authenticated) == (True, False)
