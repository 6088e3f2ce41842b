"""A frozen version of chats that a tiny model can learn, a tiny random base model, and jobs on them."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from apps.accounts.models import User
from apps.core.canonical import canonical_hash
from apps.datasets.models import Dataset, Example, Split, Version, VersionRow, VersionState
from apps.jobs.models import TrainingJob
from apps.jobs.services import job_operation, job_start
from apps.operations.models import Operation
from apps.projects.models import Project
from apps.providers.models import Connection
from apps.providers.opening import adapters_forget
from apps.providers.services import connection_create
from apps.registry.models import BaseModel
from apps.registry.services import base_model_ensure
from tests.jobs.past import account, bring_in, listed  # noqa: F401 - fixtures
from tests.providers.openai_peer import OpenAIPeer
from tests.providers.tiny import colour_chats, colour_pairs

LONG_RUN = {"epochs": 90.0, "batch_size": 4, "evaluation_steps": 20, "seed": 7}
SHORT_RUN = {"epochs": 2.0, "batch_size": 4, "evaluation_steps": 4, "seed": 7, "learning_rate": 2e-3}


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    directory: Path = tmp_path_factory.mktemp("base") / "tiny-llama"
    # In a process of its own: torch stays out of the tests' process.
    code = "import sys; from tests.providers.tiny import make_model; make_model(sys.argv[1], hidden=32, layers=1)"
    subprocess.run([sys.executable, "-c", code, str(directory)], check=True, capture_output=True)
    return directory


def freeze(
    project: Project, *, train: int = 24, validation: int = 8, name: str = "Colours", pairs: int = 0,
    validation_pairs: int | None = None, counted: bool = True, training_tokens: int | None = None,
    first: Sequence[dict[str, Any]] = (), tokens: Mapping[int, int | None] | None = None,
    tokenizer: str = "",
) -> Version:  # fmt: skip
    """A frozen version with its rows, as the data side makes them; the first `pairs` of each split are preference
    pairs, `counted` by split as since there is DPO. It begins with the rows `first`; `tokens` are counts of single
    positions in place of 40, counted by `tokenizer`."""
    valid = pairs if validation_pairs is None else validation_pairs
    dataset, _ = Dataset.objects.get_or_create(project=project, name=name)
    number = dataset.versions.count() + 1
    version = Version.objects.create(dataset=dataset, number=number)
    chats = [
        pair if place < pairs or train <= place < train + valid else chat
        for place, (chat, pair) in enumerate(
            zip(colour_chats(train + validation), colour_pairs(train + validation), strict=True)
        )
    ]
    chats[: len(first)] = first
    counts = {"train": min(pairs, train), "validation": min(valid, validation), "test": 0}
    examples = [
        Example(
            dataset=dataset,
            raw=json.dumps(chat).encode(),
            payload=chat,
            content_hash=canonical_hash([number, chat]),
            text=" ".join(message["content"] or "" for message in chat["messages"]),
        )
        for chat in chats
    ]
    Example.objects.bulk_create(examples)
    VersionRow.objects.bulk_create(
        VersionRow(
            version=version,
            example=example,
            position=position,
            split=Split.TRAIN if position <= train else Split.VALIDATION,
            token_count=(tokens or {}).get(position, 40),
            answer_token_count=3,
        )
        for position, example in enumerate(examples, start=1)
    )
    Version.objects.filter(pk=version.pk).update(
        state=VersionState.FROZEN,
        manifest_hash=canonical_hash([number, chats]),
        row_count=len(chats),
        tokenizer=tokenizer,
        train_count=train,
        validation_count=validation,
        statistics={"preference_pairs": sum(counts.values())}
        | ({"preference_pairs_by_split": counts} if counted else {})
        | ({"tokens": {"total": {"train": training_tokens}}} if training_tokens is not None else {}),
        frozen_at=timezone.now(),
    )
    version.refresh_from_db()
    return version


@pytest.fixture
def version(project: Project) -> Version:
    return freeze(project)


@pytest.fixture
def base_model(workspace, tiny_model: Path, people) -> BaseModel:
    return base_model_ensure(workspace=workspace, reference=str(tiny_model), actor=people.lea)


@pytest.fixture
def start(project: Project, version: Version, base_model: BaseModel, people):
    """`start(epochs=…)`: a queued job with these hyperparameters; `of`: another version."""

    def begin(
        *,
        method: str = "lora",
        by: User | None = None,
        name: str = "",
        of: Version | None = None,
        **hyperparameters,
    ) -> TrainingJob:
        return job_start(
            project=project,
            version=of or version,
            base_model=base_model,
            name=name,
            method=method,
            hyperparameters=hyperparameters,
            by=by or people.lea,
        )

    return begin


def operation_of(job: TrainingJob) -> Operation:
    operation = job_operation(job)
    assert operation is not None
    return operation


# --- A provider ------------------------------------------------------------------------------------------------------


@pytest.fixture
def peer() -> Iterator[OpenAIPeer]:
    peer = OpenAIPeer()
    peer.start()
    yield peer
    adapters_forget()
    peer.stop()


@pytest.fixture
def connection(workspace, people, peer, settings) -> Connection:
    settings.FTPORTAL_ALLOW_PRIVATE_URLS = True
    return connection_create(
        workspace=workspace,
        provider="openai",
        name="Our account",
        settings={"base_url": peer.url},
        secrets={"api_key": peer.secret},
        by=people.ann,
    )


@pytest.fixture
def model(workspace, connection, peer) -> BaseModel:
    return BaseModel.objects.create(
        workspace=workspace,
        provider="openai",
        connection=connection,
        reference=peer.base_model,
        name=peer.base_model,
    )
