"""The example of a custom trainer, run as it stands in the repository, and what a trainer may write by mistake."""

import json
import sys
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

from apps.providers.contracts import (
    Hyperparameters,
    LoraSettings,
    TrainingProgress,
    TrainingRequest,
    TrainingState,
)
from apps.providers.launching.adapter import LaunchedTrainer
from apps.providers.registry import provider_class
from tests.providers.conftest import wait_until
from tests.providers.tiny import colour_chats, write_jsonl

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "custom_trainer.py"
BASE = ROOT / "demo" / "models" / "ftportal-tiny"


def run(root: Path, command: str, **changes: Any) -> tuple[LaunchedTrainer, TrainingProgress, Path]:
    trainer: LaunchedTrainer = provider_class("custom")(jobs_dir=root / "jobs", command=command)
    request = TrainingRequest(
        job_id="1",
        base_model=str(BASE),
        train_file=write_jsonl(root / "train.jsonl", colour_chats(24)),
        validation_file=write_jsonl(root / "validation.jsonl", colour_chats(8)),
        hyperparameters=Hyperparameters(
            epochs=2, batch_size=4, evaluation_steps=4, lora=LoraSettings(rank=4, alpha=8)
        ),
    )
    handle = trainer.submit(replace(request, **changes))
    wait_until(lambda: trainer.poll(handle).state.is_final)
    return trainer, trainer.poll(handle), Path(handle)


def script(root: Path, body: str) -> str:
    """A trainer that knows `report` and then does this."""
    path = root / "trainer.py"
    path.write_text(
        "import json, os, sys\n"
        "from pathlib import Path\n"
        "def report(**fields):\n"
        "    with open(os.environ['FTPORTAL_EVENTS'], 'a') as stream:\n"
        "        stream.write(json.dumps(fields) + '\\n')\n"
        "result = Path(os.environ['FTPORTAL_RESULT_DIR'])\n" + body
    )
    return f"{sys.executable} {path}"


MODEL = (
    "result.mkdir()\n"
    "(result / 'adapter_config.json').write_text('{}')\n"
    "(result / 'adapter_model.safetensors').write_bytes(b'x')\n"
)


def test_the_example_trains_and_leaves_an_adapter(tmp_path: Path) -> None:
    trainer, progress, handle = run(tmp_path, f"{sys.executable} {EXAMPLE}")
    assert progress.state == TrainingState.SUCCEEDED, progress.failure
    losses = [event.data["loss"] for event in progress.events if event.type == "metrics"]
    # Nothing is known before the first step: every one of 256 characters is as likely.
    assert losses[0] == pytest.approx(log(256))
    assert len(losses) == 12  # 24 rows in batches of 4, twice
    assert losses[-1] < losses[0] / 1.5
    assert [event.data["step"] for event in progress.events if event.type == "evaluation"] == [4, 8, 12]
    path = trainer.result(str(handle)).path
    assert path is not None
    with safe_open(path / "adapter_model.safetensors", framework="np") as tensors:
        names = list(tensors.keys())
        about = json.loads((BASE / "config.json").read_text())
        assert len(names) == 2 * about["num_hidden_layers"]  # A and B
        first = tensors.get_tensor("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight")
        assert first.shape == (4, about["hidden_size"])


def test_a_trainer_is_told_where_everything_is(tmp_path: Path) -> None:
    body = (
        "job = json.loads(Path(os.environ['FTPORTAL_JOB_FILE']).read_text())\n"
        "rows = Path(os.environ['FTPORTAL_JOB_DIR'], job['train_file']).read_text().splitlines()\n"
        "report(type='metrics', step=1, loss=len(rows) + job['epochs'])\n" + MODEL
    )
    _, progress, _ = run(tmp_path, script(tmp_path, body))
    assert progress.state == TrainingState.SUCCEEDED, progress.failure
    (metrics,) = [event for event in progress.events if event.type == "metrics"]
    assert metrics.data["loss"] == 26


def test_what_is_wrong_with_an_event_is_said_in_the_log_and_stops_nothing(tmp_path: Path) -> None:
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    (outside / "weights.safetensors").write_bytes(b"x")
    body = (
        "report(type='metrics', step='one')\n"
        "report(type='nosuch')\n"
        "report(type='plan', steps=0)\n"
        f"report(type='checkpoint', step=1, path='../../{outside.name}')\n"
        "report(type='checkpoint', step=1, path='missing')\n"
        "report(type='message', text='halfway there')\n"
        "report(type='metrics', step=2, loss=1.5, colour='red')\n" + MODEL
    )
    trainer, progress, handle = run(tmp_path, script(tmp_path, body))
    assert progress.state == TrainingState.SUCCEEDED, progress.failure
    told = [event.type for event in progress.events if event.type not in ("phase", "environment")]
    assert told == ["metrics", "result"]
    said = trainer.log_tail(handle)
    assert said.count("event refused") == 5
    assert "message halfway there" in said


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("report(type='failed', code='too_hot', message='The oven is too hot.')\n", "too_hot", "The oven"),
        ("sys.exit(3)\n", "tool_failed", "ended with exit code 3"),
        ("import nosuch_package\n", "missing_package", "lacks the package “nosuch_package”"),
        ("print('done')\n", "no_result", "left no model"),
        (
            "report(type='metrics', step=1, loss=float('nan'))\nimport signal\nsignal.pause()\n",
            "diverged",
            "step 1",
        ),
    ],
)
def test_a_failure_in_words(tmp_path: Path, body: str, code: str, words: str) -> None:
    _, progress, _ = run(tmp_path, script(tmp_path, body))
    assert progress.failure is not None
    assert progress.failure.code == code
    assert words in progress.failure.message


def test_lines_of_chat_come_as_they_are(tmp_path: Path) -> None:
    row = {
        "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yo", "weight": 0}]
    }
    train = write_jsonl(tmp_path / "own.jsonl", [row])
    _, _, handle = run(tmp_path, script(tmp_path, MODEL), train_file=train)
    assert json.loads((handle / "train.jsonl").read_text()) == row
