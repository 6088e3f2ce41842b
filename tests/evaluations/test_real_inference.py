"""The whole way with the real inference program and a tiny random model."""

import os
import signal
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

import httpx
import pytest

from apps.artifacts.storage import blob_store
from apps.evaluations.models import Answer, Comparison, ComparisonState, Run
from apps.evaluations.services.comparisons import comparison_resume
from apps.operations.models import Operation
from apps.operations.services import operation_run
from apps.providers.jobdirs.packing import pack_directory
from apps.registry.inference import provider_for
from apps.registry.models import BaseModel
from apps.registry.services import base_model_ensure, model_version_create
from tests.evaluations.worlds import World
from tests.providers.tiny import make_model

pytestmark = [pytest.mark.integration, pytest.mark.django_db(transaction=True)]
ROOT = Path(__file__).resolve().parents[2]


class Program:
    """The inference program as a child process, on a socket."""

    def __init__(self, directory: Path) -> None:
        self.socket, self.cache, self.log = directory / "i.sock", directory / "cache", directory / "log.txt"
        self.child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "apps.providers.adapters.local.inference"]
        environment = {**os.environ, "FTPORTAL_INFERENCE_TOKEN": "secret", "PYTHONPATH": str(ROOT)}
        self.socket.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                [*command, "--socket", str(self.socket), "--cache", str(self.cache)],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 90
        with httpx.Client(
            transport=httpx.HTTPTransport(uds=str(self.socket)), headers={"Authorization": "Bearer secret"}
        ) as client:
            while time.monotonic() < deadline and self.child.poll() is None:
                try:
                    if client.get("http://inference/health").is_success:
                        return
                except httpx.TransportError:
                    time.sleep(0.1)
        raise AssertionError(f"The inference program did not start: {self.log.read_text()}")

    def kill(self) -> None:
        if self.child is not None:
            self.child.send_signal(signal.SIGKILL)
            self.child.wait()
            self.child = None


@pytest.fixture
def program(tmp_path, settings):
    program = Program(tmp_path)
    settings.FTPORTAL_INFERENCE_URL = None
    settings.FTPORTAL_INFERENCE_SOCKET = program.socket
    settings.FTPORTAL_INFERENCE_TOKEN = "secret"
    settings.FTPORTAL_INFERENCE_PATIENCE = 1
    program.start()
    yield program
    provider_for(BaseModel(provider="local")).close()
    program.kill()


def turn_round(weights: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(weights)
    tensors["model.norm.weight"] *= -1
    save_file(tensors, weights, metadata={"format": "pt"})


@pytest.fixture
def real_world(make_world, tmp_path_factory) -> World:
    """The tuned model is the base model turned round: it prefers what the base likes least."""
    world: World = make_world(train=8, test=12)
    base_directory = make_model(tmp_path_factory.mktemp("base"))
    tuned_directory = make_model(tmp_path_factory.mktemp("tuned"))
    turn_round(tuned_directory / "model.safetensors")
    packed = BytesIO()
    pack_directory(tuned_directory, packed)
    world.base = base_model_ensure(
        workspace=world.project.workspace, reference=str(base_directory), actor=None
    )
    world.tuned = model_version_create(
        project=world.project,
        base_model=world.base,
        kind="full",
        artifact=blob_store(content=[packed.getvalue()]),
        name="Other weights",
        validation_loss=None,
        best_step=None,
        actor=world.by,
    )
    return world


def variants(world: World):
    sampling = {"max_tokens": 8}
    return {
        "candidate": world.variant("Tuned", tuned=True, sampling=sampling),
        "baselines": [("the base model as it is", world.variant("Base", sampling=sampling))],
    }


def run(comparison: Comparison) -> Comparison:
    operation_run(operation_id=Operation.objects.filter(subject_id=comparison.pk).latest("pk").pk)
    return Comparison.objects.get(pk=comparison.pk)


def test_a_comparison_with_the_real_inference_program(real_world, program):
    assert real_world.base.parameters is not None
    world = real_world
    comparison = run(world.comparison(world.suite(), general_suite=world.general_suite(9), **variants(world)))
    assert comparison.state == ComparisonState.DONE, comparison.error
    assert comparison.outcome == "too_few_items"  # twelve items decide nothing
    assert Answer.objects.filter(error="").count() == 2 * 12 + 2 * 9
    artifact = world.tuned.artifact
    assert artifact is not None
    assert any(artifact.sha256 in path.name for path in program.cache.rglob("*"))
    answers = {
        run.variant.name: list(run.answers.order_by("item__position").values_list("text", flat=True))
        for run in Run.objects.filter(suite=comparison.suite).select_related("variant")
    }
    assert answers["Tuned"] != answers["Base"]
    answer = Answer.objects.first()
    assert answer is not None
    assert answer.prompt_tokens is not None
    assert answer.prompt_tokens > 10
    assert 0 < (answer.completion_tokens or 0) <= 8
    assert (answer.seconds or 0) > 0


def test_when_the_program_is_killed_the_answers_stay_and_it_goes_on(real_world, program):
    comparison = real_world.comparison(real_world.suite(), **variants(real_world))
    program.kill()
    comparison = run(comparison)
    assert comparison.state == ComparisonState.FAILED
    assert "can't be reached" in comparison.error
    assert not Run.objects.filter(finished_at__isnull=False).exists()
    program.start()
    comparison_resume(comparison=comparison, by=real_world.by)
    comparison = run(comparison)
    assert comparison.state == ComparisonState.DONE, comparison.error
    assert Answer.objects.filter(error="").count() == 24
