"""Launchers around real processes that write what LLaMA-Factory 0.9.5 and Axolotl 0.19.0 wrote when they trained the
bundled model on a CPU, and that end in every way a tool can end."""

import json
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from apps.providers.contracts import (
    Hyperparameters,
    LoraSettings,
    ProviderRejectedError,
    TrainingEvent,
    TrainingProgress,
    TrainingRequest,
    TrainingState,
)
from apps.providers.jobdirs.process import find_process
from apps.providers.launching.adapter import LaunchedTrainer
from apps.providers.launching.processes import stop_tool, tool_processes
from apps.providers.registry import provider_class
from tests.providers.conftest import wait_until
from tests.providers.tiny import colour_chats, write_jsonl

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]

HERE = Path(__file__).resolve().parent
# The losses of the real run, from its own record.
RECORD = [
    json.loads(line) for line in (HERE / "data/llama_factory_trainer_log.jsonl").read_text().splitlines()
]
LOSSES = {line["current_steps"]: line["loss"] for line in RECORD if "loss" in line}
EVALUATIONS = {line["current_steps"]: line["eval_loss"] for line in RECORD if "eval_loss" in line}


class Bench:
    """One trainer over job directories below a test's own."""

    def __init__(self, root: Path, name: str, how: str) -> None:
        # By env, so that no interpreter is known whose packages would be asked for.
        tool = root / "tool"
        tool.write_text(
            f"#!/usr/bin/env -S {sys.executable} -I\n"
            + (HERE / "fake_tool.py")
            .read_text()
            .replace("Path(__file__).resolve().parent", f"Path({str(HERE)!r})")
        )
        tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
        self.trainer: LaunchedTrainer = provider_class(name)(
            jobs_dir=root / "jobs", command=f"'{tool}' --ends {how}"
        )
        base = root / "base"
        base.mkdir(exist_ok=True)
        (base / "config.json").write_text("{}")
        self.request = TrainingRequest(
            job_id="7",
            base_model=str(base),
            train_file=write_jsonl(root / "train.jsonl", colour_chats(24)),
            validation_file=write_jsonl(root / "validation.jsonl", colour_chats(8)),
            hyperparameters=Hyperparameters(
                epochs=2, batch_size=4, evaluation_steps=4, lora=LoraSettings(rank=4, alpha=8)
            ),
        )
        self.job_dir = root / "jobs" / "7"

    def end(self, *, resume: bool = False, **changes: Any) -> TrainingProgress:
        """Run to the end; every event of the directory is in the answer."""
        self.trainer.submit(replace(self.request, resume=resume, **changes))
        wait_until(lambda: self.progress().state.is_final)
        return self.progress()

    def hanging(self) -> int:
        """Start, and wait until the tool hangs; its process id."""
        self.trainer.submit(self.request)
        wait_until((self.job_dir / "hanging").is_file)
        wait_until(lambda: self.seen("checkpoint", 8))
        return int((self.job_dir / "hanging").read_text())

    def seen(self, kind: str, step: int) -> bool:
        return any(event.type == kind and event.data["step"] == step for event in self.progress().events)

    def progress(self) -> TrainingProgress:
        return self.trainer.poll(str(self.job_dir))

    def clear(self) -> None:
        if self.job_dir.is_dir():
            self.trainer.kill(self.job_dir)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(how: str = "well", name: str = "llama_factory") -> Bench:
        made.append(Bench(tmp_path, name, how))
        return made[-1]

    yield make
    for each in made:
        each.clear()


def of_type(progress: TrainingProgress, *types: str) -> list[TrainingEvent]:
    return [event for event in progress.events if event.type in types]


def test_the_record_of_llama_factory_becomes_events(bench: Callable[..., Bench], monkeypatch) -> None:
    monkeypatch.setenv("FTPORTAL_ENCRYPTION_KEY", "secret")
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    run = bench()
    progress = run.end()

    assert progress.state == TrainingState.SUCCEEDED, progress.failure
    assert [event.seq for event in progress.events] == list(range(len(progress.events)))
    phases = [event.data["phase"] for event in of_type(progress, "phase")]
    assert phases == ["loading", "preparing", "training", "saving", "finished"]
    (plan,) = of_type(progress, "plan")
    assert (plan.data["steps"], plan.data["examples"], plan.data["validation_examples"]) == (12, 24, 8)
    assert {event.data["step"]: event.data["loss"] for event in of_type(progress, "metrics")} == LOSSES
    assert {
        event.data["step"]: event.data["loss"] for event in of_type(progress, "evaluation")
    } == EVALUATIONS
    tokens = [event.data["tokens"] for event in of_type(progress, "metrics")]
    assert (tokens[0], tokens[-1]) == (133, 1606)
    checkpoints = of_type(progress, "checkpoint")
    assert [event.data["step"] for event in checkpoints] == [4, 8, 12]
    assert checkpoints[1].data["validation_loss"] == EVALUATIONS[8]
    result = run.trainer.result(str(run.job_dir))
    assert (result.kind, result.best_step, result.validation_loss) == ("adapter", 12, EVALUATIONS[12])
    assert result.path is not None
    # Nothing of the run is in the model: no optimizer, no results, no pickle.
    assert sorted(os.listdir(result.path)) == ["adapter_config.json", "adapter_model.safetensors"]
    seen = json.loads((run.job_dir / "environment.json").read_text())
    assert "secret" not in json.dumps(seen)
    assert "PYTHONPATH" not in seen


def test_the_record_of_axolotl_becomes_events(bench: Callable[..., Bench]) -> None:
    run = bench(name="axolotl")
    progress = run.end()
    assert progress.state == TrainingState.SUCCEEDED, progress.failure
    metrics = of_type(progress, "metrics")
    assert [event.data["step"] for event in metrics] == list(range(1, 13))
    assert (metrics[0].data["loss"], metrics[0].data["grad_norm"]) == (4.84356164932251, 4.3371124267578125)
    evaluations = {event.data["step"]: event.data["loss"] for event in of_type(progress, "evaluation")}
    assert list(evaluations) == [0, 4, 8, 12]
    assert run.trainer.result(str(run.job_dir)).best_step == 12
    assert json.loads((run.job_dir / "environment.json").read_text())["AXOLOTL_DO_NOT_TRACK"] == "1"


def test_garbage_in_the_record_is_passed_over(bench: Callable[..., Bench]) -> None:
    progress = bench("garbage").end()
    assert progress.state == TrainingState.SUCCEEDED
    assert {event.data["step"]: event.data["loss"] for event in of_type(progress, "metrics")} == LOSSES


@pytest.mark.parametrize(
    ("how", "code", "words"),
    [
        ("crash", "tool_failed", "exit code 1: ValueError: Template nosuch does not exist."),
        ("memory", "out_of_memory", "Use a smaller batch size"),
        ("empty", "no_result", "left no model: safetensors weights missing"),
        ("nan", "diverged", "no longer a number at step 3"),
    ],
)
def test_a_tool_that_fails_is_explained(bench: Callable[..., Bench], how: str, code: str, words: str) -> None:
    run = bench(how)
    progress = run.end()
    assert progress.state == TrainingState.FAILED
    assert progress.failure is not None
    assert progress.failure.code == code
    assert words in progress.failure.message
    assert tool_processes(run.job_dir) == []


def test_a_stop_keeps_the_last_checkpoint_and_a_resume_goes_on_from_it(bench: Callable[..., Bench]) -> None:
    run = bench("hang")
    run.hanging()
    run.trainer.cancel(str(run.job_dir))
    wait_until(lambda: run.progress().state.is_final)
    stopped = run.progress()
    assert stopped.state == TrainingState.STOPPED
    (last,) = of_type(stopped, "stopped")
    assert (last.data["step"], last.data["path"]) == (8, "output/checkpoint-8")
    assert (run.job_dir / last.data["path"] / "adapter_model.safetensors").is_file()
    assert tool_processes(run.job_dir) == []

    progress = bench("well").end(resume=True)
    assert progress.state == TrainingState.SUCCEEDED, progress.failure
    again = [event for event in progress.events if event.seq > last.seq]
    (plan,) = [event for event in again if event.type == "plan"]
    assert plan.data["resumed_from_step"] == 8
    assert [event.data["step"] for event in again if event.type == "metrics"] == [9, 10, 11, 12]
    assert run.trainer.result(str(run.job_dir)).best_step == 12


def test_a_killed_tool_takes_its_launcher_along_to_be_started_again(bench: Callable[..., Bench]) -> None:
    run = bench("hang")
    os.kill(run.hanging(), signal.SIGKILL)
    wait_until(lambda: run.progress().state.is_final)
    ended = run.progress()
    assert ended.failure is not None
    assert (ended.failure.code, "killed" in ended.failure.message) == ("crashed", True)
    assert of_type(ended, "failed") == []
    progress = bench("well").end(resume=True)
    assert progress.state == TrainingState.SUCCEEDED
    assert of_type(progress, "plan")[-1].data["resumed_from_step"] == 8


def test_what_a_killed_launcher_left_running_is_ended(bench: Callable[..., Bench]) -> None:
    run = bench("children")
    run.hanging()
    launcher = find_process(run.job_dir)
    assert launcher is not None
    launcher.kill()
    wait_until(lambda: find_process(run.job_dir) is None)
    left = tool_processes(run.job_dir)
    assert len(left) == 2  # the tool, and its child in a session of its own
    progress = bench("well").end(resume=True)
    assert progress.state == TrainingState.SUCCEEDED
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in left)


def test_killing_ends_the_tool_with_all_its_processes(bench: Callable[..., Bench]) -> None:
    run = bench("children")
    run.hanging()
    assert run.trainer.kill(run.job_dir)
    wait_until(lambda: find_process(run.job_dir) is None and not tool_processes(run.job_dir))


def test_a_tool_that_does_not_listen_is_killed(bench: Callable[..., Bench]) -> None:
    run = bench("stubborn")
    run.hanging()
    assert stop_tool(run.job_dir, patience=0.3) == 1
    wait_until(lambda: not tool_processes(run.job_dir))


def test_a_finished_run_that_was_not_published_is_published_without_the_tool(
    bench: Callable[..., Bench],
) -> None:
    run = bench("well")
    assert run.end().state == TrainingState.SUCCEEDED
    (run.job_dir / "environment.json").unlink()
    events = (run.job_dir / "events.jsonl").read_text().splitlines()
    kept = [line for line in events if '"type":"result"' not in line and '"finished"' not in line]
    (run.job_dir / "events.jsonl").write_text("\n".join(kept) + "\n")
    assert run.end(resume=True).state == TrainingState.SUCCEEDED
    assert not (run.job_dir / "environment.json").exists()


def test_a_command_that_is_not_there(tmp_path: Path, bench: Callable[..., Bench]) -> None:
    run = bench()
    (tmp_path / "tool").unlink()
    progress = run.end()
    assert progress.failure is not None
    assert progress.failure.code == "tool_missing"
    nothing: LaunchedTrainer = provider_class("axolotl")(jobs_dir=tmp_path / "jobs")
    with pytest.raises(ProviderRejectedError, match="FTPORTAL_AXOLOTL names no command"):
        nothing.submit(run.request)
    unreadable: LaunchedTrainer = provider_class("axolotl")(jobs_dir=tmp_path / "jobs", command="'open")
    with pytest.raises(ProviderRejectedError, match="FTPORTAL_AXOLOTL on the worker's machine can't be read"):
        unreadable.submit(run.request)
