"""The trainer as a program: a job directory in, events and a model out."""

import json
import math
import subprocess
from pathlib import Path
from typing import Any

import pytest

from apps.providers.adapters.local.adapter import LocalProvider
from apps.providers.adapters.local.trainer.__main__ import main
from apps.providers.contracts import ProviderRejectedError, TrainingState
from tests.providers.conftest import end_of, events_of, wait_until, write_job
from tests.providers.tiny import chat, make_model

pytestmark = pytest.mark.timeout(900)


def test_a_run_tells_what_happens_in_order(lora_run: Path) -> None:
    events = events_of(lora_run)
    plan = events_of(lora_run, "plan")[0].data
    metrics = events_of(lora_run, "metrics")

    assert [event.seq for event in events] == list(range(len(events)))
    assert [event.data["phase"] for event in events_of(lora_run, "phase")] == [
        "loading", "preparing", "training", "saving", "finished",
    ]  # fmt: skip
    assert events[1].type == "environment"
    assert {"torch", "transformers", "trl", "peft"} <= events[1].data["packages"].keys()
    # 96 rows in batches of 4 are 24 steps an epoch, over 6 epochs.
    assert (plan["examples"], plan["validation_examples"], plan["steps"]) == (96, 16, 144)
    assert plan["resumed_from_step"] is None
    assert 0 < plan["trainable_parameters"] < plan["parameters"]
    assert metrics[-1].data["step"] == 144
    assert metrics[-1].data["tokens"] == 6 * plan["tokens"]
    assert all(event.data["tokens_per_second"] > 0 for event in metrics)
    assert all(math.isfinite(event.data["grad_norm"]) for event in metrics)
    assert metrics[-1].data["loss"] < metrics[0].data["loss"]


def test_every_validation_has_a_checkpoint_and_the_best_is_the_result(lora_run: Path) -> None:
    evaluations = {event.data["step"]: event.data["loss"] for event in events_of(lora_run, "evaluation")}
    checkpoints = {event.data["step"]: event.data for event in events_of(lora_run, "checkpoint")}
    result = events_of(lora_run, "result")[0].data

    assert list(evaluations) == [20, 40, 60, 80, 100, 120, 140, 144]
    assert checkpoints.keys() == evaluations.keys()
    assert all(checkpoints[step]["validation_loss"] == loss for step, loss in evaluations.items())
    assert result["best_step"] == min(evaluations, key=lambda step: evaluations[step])
    assert result["validation_loss"] == min(evaluations.values())
    assert result["kind"] == "adapter"
    kept = sorted(path.name for path in (lora_run / "checkpoints").iterdir())
    assert len(kept) <= 3
    assert f"checkpoint-{result['best_step']}" in kept
    names = {path.name for path in (lora_run / result["path"]).iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json"} <= names
    assert not names & {"optimizer.pt", "training_args.bin", "trainer_state.json", "complete.json"}


def test_the_reported_loss_is_the_cross_entropy_of_the_answers(lora_run: Path, base_model: Path) -> None:
    """Recomputed row by row with plain PyTorch from the published adapter."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    result = events_of(lora_run, "result")[0].data
    model = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base_model), str(lora_run / "result")
    )
    tokenizer = AutoTokenizer.from_pretrained(lora_run / "result")
    total, count = 0.0, 0
    for line in (lora_run / "validation.jsonl").read_text().splitlines():
        encoded = tokenizer.apply_chat_template(
            json.loads(line)["messages"], return_assistant_tokens_mask=True
        )
        ids = torch.tensor([encoded["input_ids"]])
        mask = torch.tensor(encoded["assistant_masks"][1:], dtype=torch.bool)
        with torch.no_grad():
            logits = model(input_ids=ids).logits[0, :-1]
        losses = torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none")[mask]
        total, count = total + losses.sum().item(), count + len(losses)

    assert result["validation_loss"] == pytest.approx(total / count, abs=1e-4)


def test_a_stopped_and_a_killed_run_resume_to_the_same_end(
    tmp_path: Path, base_model: Path, lora_run: Path
) -> None:
    provider = LocalProvider()
    job_dir = write_job(tmp_path / "job", base_model)
    provider.start(job_dir)
    with pytest.raises(ProviderRejectedError):
        provider.start(job_dir)
    wait_until(lambda: events_of(job_dir, "evaluation"))
    assert provider.terminate(job_dir)
    end_of(job_dir, provider)
    stopped = events_of(job_dir)[-1]
    assert stopped.type == "stopped"
    assert (job_dir / stopped.data["path"] / "adapter_model.safetensors").is_file()
    assert provider.poll(str(job_dir)).state == TrainingState.STOPPED

    write_job(job_dir, base_model, resume=True)
    provider.start(job_dir)
    more = len(events_of(job_dir, "checkpoint")) + 1
    wait_until(lambda: len(events_of(job_dir, "checkpoint")) >= more)
    assert provider.kill(job_dir)
    end_of(job_dir, provider)
    progress = provider.poll(str(job_dir))
    assert progress.state == TrainingState.FAILED
    assert progress.failure is not None
    assert progress.failure.code == "crashed"

    # A checkpoint that was being written when the process was killed, and a torn event line.
    (job_dir / "checkpoints" / "checkpoint-143").mkdir()
    with (job_dir / "events.jsonl").open("a") as stream:
        stream.write('{"seq": 9999, "ty')
    provider.start(job_dir)
    end_of(job_dir, provider)

    events = events_of(job_dir)
    assert [event.seq for event in events] == list(range(len(events)))
    plans = [event.data["resumed_from_step"] for event in events_of(job_dir, "plan")]
    assert plans[0] is None
    assert plans[1] == stopped.data["step"]
    assert plans[1] < plans[2] < 143
    whole, resumed = events_of(lora_run, "result")[0].data, events_of(job_dir, "result")[0].data
    assert resumed["steps"] == whole["steps"] == 144
    assert resumed["best_step"] == whole["best_step"]
    assert resumed["validation_loss"] == pytest.approx(whole["validation_loss"], abs=1e-3)
    assert (
        events_of(job_dir, "metrics")[-1].data["tokens"] == events_of(lora_run, "metrics")[-1].data["tokens"]
    )


def test_a_run_ends_when_its_supervisor_is_gone(tmp_path: Path, base_model: Path) -> None:
    supervisor = subprocess.Popen(["sleep", "600"])
    provider = LocalProvider(supervisor_pid=supervisor.pid)
    job_dir = write_job(tmp_path / "job", base_model)
    provider.start(job_dir)
    wait_until(lambda: events_of(job_dir, "phase"))

    supervisor.kill()
    supervisor.wait()
    end_of(job_dir, provider)

    last = events_of(job_dir)[-1]
    assert last.type == "stopped"
    assert last.data["reason"] == "supervisor_gone"


def run_here(job_dir: Path) -> dict[str, Any]:
    """Run the trainer's main function in this process; the data of the last event, its type and the exit
    code."""
    code = main(job_dir)
    last = events_of(job_dir)[-1]
    return {"exit": code, "type": last.type, **last.data}


@pytest.mark.usefixtures("signals_restored")
def test_full_fine_tuning_gives_a_whole_model(tmp_path: Path, base_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    rows = [chat("Which?", "red"), chat("long " * 200, "blue"), chat("Go on", "word " * 200)]
    job_dir = write_job(
        tmp_path / "job", base_model, rows, method="full", lora=None, validation_file=None, epochs=2,
        too_long="truncate", logging_steps=1, gradient_accumulation=2, batch_size=1, evaluation_steps=None,
    )  # fmt: skip

    outcome = run_here(job_dir)

    plan = events_of(job_dir, "plan")[0].data
    assert outcome["exit"] == 0
    assert (plan["examples"], plan["dropped_rows"], plan["truncated_rows"], plan["steps"]) == (2, 1, 1, 2)
    assert plan["trainable_parameters"] == plan["parameters"]
    result = events_of(job_dir, "result")[0].data
    assert (result["kind"], result["best_step"], result["validation_loss"]) == ("full", None, None)
    trained = AutoModelForCausalLM.from_pretrained(job_dir / "result", use_safetensors=True)
    before = AutoModelForCausalLM.from_pretrained(base_model)
    assert not trained.lm_head.weight.equal(before.lm_head.weight)


@pytest.mark.usefixtures("signals_restored")
def test_early_stopping_keeps_the_best_and_not_the_last(tmp_path: Path, base_model: Path) -> None:
    job_dir = write_job(
        tmp_path / "job", base_model, method="full", lora=None, learning_rate=0.5, scheduler="constant",
        warmup_ratio=0.0, evaluation_steps=1, early_stopping_patience=2, save_total_limit=1,
    )  # fmt: skip

    run_here(job_dir)

    losses = {event.data["step"]: event.data["loss"] for event in events_of(job_dir, "evaluation")}
    result = events_of(job_dir, "result")[0].data
    assert result["stopped_early"]
    assert result["best_step"] == min(losses, key=lambda step: losses[step])
    assert max(losses) == result["best_step"] + 2 < 144


@pytest.mark.usefixtures("signals_restored")
def test_a_diverging_run_fails_as_such(tmp_path: Path, base_model: Path) -> None:
    job_dir = write_job(
        tmp_path / "job", base_model, method="full", lora=None, learning_rate=1e38, max_grad_norm=0.0,
        scheduler="constant", warmup_ratio=0.0, logging_steps=1,
    )  # fmt: skip

    outcome = run_here(job_dir)

    assert (outcome["exit"], outcome["type"], outcome["code"]) == (1, "failed", "diverged")
    assert events_of(job_dir, "metrics")[-1].data["loss"] is None


@pytest.mark.usefixtures("signals_restored")
@pytest.mark.parametrize(
    ("changes", "rows", "code", "words"),
    [
        ({"surprise": 1}, None, "bad_job", "surprise"),
        ({"batch_size": 0}, None, "bad_job", "batch_size"),
        ({"lora": None}, None, "bad_job", "LoRA"),
        ({"train_file": "absent.jsonl"}, None, "bad_job", "absent.jsonl"),
        ({"base_model": "/nowhere/model"}, None, "model_missing", "/nowhere/model"),
        ({"lora": {"rank": 2, "alpha": 2, "dropout": 0.0, "target_modules": ["nosuch"]}}, None,
         "bad_target_modules", "nosuch"),
        ({}, [], "dataset_empty", "no rows"),
        ({}, [{"messages": [{"role": "user", "content": "alone"}]}], "no_trainable_token", "assistant"),
        ({"too_long": "refuse", "max_length": 16}, None, "too_long", "96 rows"),
    ],
)  # fmt: skip
def test_known_failures_are_sentences(
    tmp_path: Path, base_model: Path, changes: dict[str, Any], rows: Any, code: str, words: str
) -> None:
    outcome = run_here(write_job(tmp_path / "job", base_model, rows, **changes))

    assert (outcome["exit"], outcome["type"], outcome["code"]) == (1, "failed", code)
    assert words in outcome["message"]


@pytest.mark.usefixtures("signals_restored")
def test_weights_that_could_run_code_are_refused(tmp_path: Path) -> None:
    base = make_model(tmp_path / "base")
    (base / "model.safetensors").rename(base / "pytorch_model.bin")

    outcome = run_here(write_job(tmp_path / "job", base))

    assert (outcome["type"], outcome["code"]) == ("failed", "unsafe_weights")


@pytest.mark.usefixtures("signals_restored")
def test_a_tokenizer_without_chat_template_is_refused(tmp_path: Path) -> None:
    base = make_model(tmp_path / "base", template=None)

    outcome = run_here(write_job(tmp_path / "job", base))

    assert (outcome["type"], outcome["code"]) == ("failed", "no_chat_template")
