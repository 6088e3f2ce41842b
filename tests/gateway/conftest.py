"""Programs that use the API of a running gateway. The models are scripted; everything else is real."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from django.utils import timezone
from openai import OpenAI

from apps.accounts.models import User, Workspace
from apps.accounts.services import api_key_create
from apps.artifacts.storage import blob_store
from apps.core.states import transition
from apps.gateway.models import FineTuningJob
from apps.jobs.models import Checkpoint, MetricPoint, PointKind, TrainingJob
from apps.jobs.models import JobState as TrainingState
from apps.jobs.services import job_succeed
from apps.operations.models import Operation, OperationState
from apps.operations.services import operation_run
from apps.providers.contracts import TrainingResult
from tests.evaluations.conftest import inference  # noqa: F401 - a fixture
from tests.gateway.serving import gateway_running

MODEL = "ftportal-tiny"


def chats(count: int) -> list[dict[str, Any]]:
    return [
        {
            "messages": [
                {"role": "user", "content": f"What is {number} plus one?"},
                {"role": "assistant", "content": str(number + 1)},
            ]
        }
        for number in range(count)
    ]


def jsonl(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


@pytest.fixture
def base_url(transactional_db, inference, settings) -> Iterator[str]:  # noqa: F811
    settings.FTPORTAL_API_REQUESTS_PER_MINUTE = 0
    with gateway_running() as url:
        yield url


@pytest.fixture
def key_of(workspace: Workspace) -> Callable[..., str]:
    """`key_of(user)`: the text of a new key."""

    def make(user: User, where: Workspace = workspace) -> str:
        return api_key_create(workspace=where, user=user, name="test")[1]

    return make


@pytest.fixture
def client(base_url, people, key_of) -> Iterator[OpenAI]:
    """The openai client with a key of Ann, who owns the workspace."""
    with OpenAI(api_key=key_of(people.ann), base_url=base_url, max_retries=0) as client:
        yield client


@pytest.fixture
def http(base_url, people, key_of) -> Iterator[httpx.Client]:
    """Plain HTTP with the same rights."""
    headers = {"Authorization": f"Bearer {key_of(people.ann)}"}
    with httpx.Client(base_url=base_url, headers=headers, timeout=30) as client:
        yield client


def work() -> None:
    """Do the background work that waits, but for training."""
    while True:
        waiting = Operation.objects.filter(state=OperationState.QUEUED).exclude(kind="jobs.train").first()
        if waiting is None:
            return
        operation_run(operation_id=waiting.pk)


@pytest.fixture
def upload(client):
    """`upload(rows)`: a file to train on, as far as it is processed by itself."""

    def send(rows: list[dict[str, Any]] | bytes, name: str = "rows.jsonl") -> Any:
        content = rows if isinstance(rows, bytes) else jsonl(rows)
        file = client.files.create(file=(name, content), purpose="fine-tune")
        for _ in range(6):
            work()
            file = client.files.retrieve(file.id)
        return file

    return send


def finish_training(job_id: str, *, steps: int = 4) -> TrainingJob:
    """What a trainer would have left: points, checkpoints, a model."""
    training = FineTuningJob.objects.get(public_id=job_id).training_job
    assert training is not None
    transition(training, TrainingState.RUNNING, started_at=timezone.now())
    TrainingJob.objects.filter(pk=training.pk).update(step=steps, total_steps=steps)
    for step in range(1, steps + 1):
        MetricPoint.objects.create(
            job=training,
            seq=10 * step,
            kind=PointKind.TRAIN,
            step=step,
            tokens=100 * step,
            seconds=float(step),
            loss=1 / step,
            token_accuracy=0.5,
        )
    MetricPoint.objects.create(
        job=training,
        seq=10 * steps + 1,
        kind=PointKind.VALIDATION,
        step=steps,
        loss=0.375,
        token_accuracy=0.75,
    )
    for step in (steps - 1, steps):
        Checkpoint.objects.create(
            job=training,
            step=step,
            path=f"checkpoints/checkpoint-{step}",
            artifact=blob_store(content=[f"weights of {job_id} at {step}".encode()]),
        )
    training.refresh_from_db()
    job_succeed(
        job=training,
        result=TrainingResult(kind="adapter", best_step=steps, validation_loss=0.375),
        artifact=blob_store(content=[f"weights of {job_id}".encode()]),
    )
    training.refresh_from_db()
    return training
