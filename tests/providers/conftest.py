"""Real trainer and inference processes over a tiny model that is made on the spot."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from apps.providers.adapters.local.adapter import LocalProvider
from apps.providers.adapters.local.client import InferenceClient
from apps.providers.contracts import ProviderUnavailableError, TrainingEvent
from apps.providers.jobdirs.files import read_events
from apps.providers.jobdirs.packing import pack_directory
from tests.providers.tiny import colour_chats, make_model, write_jsonl

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a token for the tests"


def wait_until(condition: Callable[[], Any], *, seconds: float = 240.0) -> Any:
    """The first true value of a condition; an assertion error when it stays false."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{condition} stayed false for {seconds} seconds")


def job_fields(base: Path, **changes: Any) -> dict[str, Any]:
    job: dict[str, Any] = {
        "job_id": "job",
        "base_model": str(base),
        "base_revision": None,
        "method": "lora",
        "train_file": "train.jsonl",
        "validation_file": "validation.jsonl",
        "epochs": 6,
        "max_steps": None,
        "batch_size": 4,
        "gradient_accumulation": 1,
        "learning_rate": 5e-3,
        "scheduler": "cosine",
        "warmup_ratio": 0.1,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "max_length": 128,
        "too_long": "drop",
        "lora": {"rank": 8, "alpha": 16, "dropout": 0.0, "target_modules": "all-linear"},
        "evaluation_steps": 20,
        "logging_steps": 5,
        "save_total_limit": 2,
        "early_stopping_patience": None,
        "seed": 3,
        "resume": False,
    }
    return {**job, **changes}


def write_job(job_dir: Path, base: Path, rows: list[dict[str, Any]] | None = None, **changes: Any) -> Path:
    """A job directory with 96 training and 16 validation rows unless told otherwise."""
    job_dir.mkdir(parents=True, exist_ok=True)
    chats = colour_chats(112)
    write_jsonl(job_dir / "train.jsonl", chats[:96] if rows is None else rows)
    write_jsonl(job_dir / "validation.jsonl", chats[96:])
    (job_dir / "job.json").write_text(json.dumps(job_fields(base, **changes)))
    return job_dir


def events_of(job_dir: Path, kind: str | None = None) -> list[TrainingEvent]:
    events, _ = read_events(job_dir)
    return [event for event in events if kind in (None, event.type)]


def end_of(job_dir: Path, provider: LocalProvider) -> None:
    wait_until(lambda: not provider.is_running(job_dir))


@pytest.fixture(scope="session")
def base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="session")
def lora_run(tmp_path_factory: pytest.TempPathFactory, base_model: Path) -> Path:
    """A finished LoRA run: the job directory."""
    provider = LocalProvider()
    job_dir = write_job(tmp_path_factory.mktemp("jobs") / "lora", base_model)
    provider.start(job_dir)
    end_of(job_dir, provider)
    return job_dir


@dataclass(frozen=True)
class Adapter:
    path: Path
    tar: Path
    sha256: str


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory, lora_run: Path) -> Adapter:
    """The result of the LoRA run, packed."""
    tar = tmp_path_factory.mktemp("packed") / "adapter.tar"
    with tar.open("wb") as stream:
        sha256 = pack_directory(lora_run / "result", stream)
    return Adapter(lora_run / "result", tar, sha256)


@dataclass(frozen=True)
class Server:
    socket: Path
    cache: Path
    client: InferenceClient


@contextmanager
def serving(directory: Path, **environment: str) -> Iterator[Server]:
    """An inference program with its files in `directory`, stopped at the end."""
    socket, cache = directory / "socket", directory / "cache"
    arguments = ["--socket", str(socket), "--cache", str(cache), "--max-model-mib", "8"]
    process = subprocess.Popen(
        [sys.executable, "-m", "apps.providers.adapters.local.inference", *arguments],
        cwd=ROOT,
        env={**os.environ, "FTPORTAL_INFERENCE_TOKEN": TOKEN, **environment},
    )
    client = InferenceClient(socket=socket, token=TOKEN)
    try:
        wait_until(lambda: _answers(client), seconds=60)
        yield Server(socket, cache, client)
    finally:
        client.close()
        process.terminate()
        code = process.wait(timeout=10)
    assert code == 0


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("inference")) as server:
        yield server


def _answers(client: InferenceClient) -> bool:
    try:
        return bool(client.health()["status"] == "ok")
    except ProviderUnavailableError:
        return False


@pytest.fixture
def signals_restored() -> Iterator[None]:
    """For tests that call the trainer's main function in this process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
