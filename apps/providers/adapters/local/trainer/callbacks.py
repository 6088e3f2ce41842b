"""Turns what happens in the training loop into events, and steers it: validation, best checkpoint, stopping."""

import math
import time
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from apps.providers.adapters.local.trainer.checkpoints import Checkpoints, Progress
from apps.providers.adapters.local.trainer.duties import RunTrainer
from apps.providers.jobdirs.errors import TrainingFailed
from apps.providers.jobdirs.events import EventLog
from apps.providers.jobdirs.stopping import StopSignal


class Reporter(TrainerCallback):  # type: ignore[misc]
    """One per run. `progress` is shared with the trainer, which stores it in every checkpoint."""

    def __init__(
        self,
        *,
        trainer: RunTrainer,
        events: EventLog,
        checkpoints: Checkpoints,
        progress: Progress,
        stop: StopSignal,
        validates: bool,
        patience: int | None,
    ) -> None:
        self._trainer = trainer
        self._events = events
        self._checkpoints = checkpoints
        self._progress = progress
        self._stop = stop
        self._validates = validates
        self._patience = patience
        self._validated_step = progress.step if progress.validation_loss is not None else -1
        self._mark = 0.0
        self._marked_tokens = progress.tokens
        self.stopped_early = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._mark = time.perf_counter()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        if state.global_step >= state.max_steps:
            control.should_evaluate = self._validates
            control.should_save = True
        if control.should_evaluate or control.should_save:
            # So that a loss that is not a number is seen before the weights behind it are kept.
            control.should_log = True
        self._obey(state, control)

    def on_substep_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._obey(state, control)

    def _obey(self, state: TrainerState, control: TrainerControl) -> None:
        if self._stop.requested:
            control.should_evaluate = False
            control.should_save = False
            control.should_training_stop = True

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        if not logs or "loss" not in logs:
            return
        now = time.perf_counter()
        tokens = self._trainer.count_tokens()
        seconds = now - self._mark - self._trainer.seconds_aside
        self._events.emit(
            "metrics",
            step=state.global_step,
            epoch=state.epoch,
            tokens=tokens,
            loss=logs["loss"],
            learning_rate=logs["learning_rate"],
            grad_norm=logs.get("grad_norm"),
            tokens_per_second=(tokens - self._marked_tokens) / seconds if seconds > 0 else None,
            token_accuracy=logs.get("mean_token_accuracy"),
            **_rewards(logs, "rewards/accuracies", "rewards/margins"),
        )
        self._mark, self._marked_tokens, self._trainer.seconds_aside = now, tokens, 0.0
        if not math.isfinite(logs["loss"]):
            raise TrainingFailed(
                "diverged",
                f"The training loss was no longer a number at step {state.global_step}: the run diverged. Lower the "
                "learning rate, add warm-up, or look for broken rows in the data.",
            )

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        assert metrics is not None
        loss, progress = metrics["eval_loss"], self._progress
        self._events.emit(
            "evaluation",
            step=state.global_step,
            epoch=state.epoch,
            tokens=self._trainer.count_tokens(),
            loss=loss,
            token_accuracy=metrics["eval_token_accuracy"],
            seconds=metrics["eval_seconds"],
            **_rewards(metrics, "eval_reward_accuracy", "eval_reward_margin"),
        )
        self._validated_step = state.global_step
        progress.validation_loss = loss
        if progress.best_loss is None or loss < progress.best_loss:
            progress.best_loss, progress.best_step, progress.without_improvement = loss, state.global_step, 0
        else:
            progress.without_improvement += 1
            if self._patience is not None and progress.without_improvement >= self._patience:
                self.stopped_early = True
                control.should_training_stop = True
        # The best checkpoint can only be kept if every validated step has one.
        control.should_save = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self.report_checkpoint(state.global_step)

    def report_checkpoint(self, step: int) -> None:
        progress = self._progress
        self._events.emit(
            "checkpoint",
            step=step,
            path=self._checkpoints.relative(step),
            validation_loss=progress.validation_loss if self._validated_step == step else None,
            is_best=progress.best_step == step,
        )


def _rewards(found: dict[str, float], accuracy: str, margin: str) -> dict[str, float]:
    """Of preference training: how often the preferred answer has the higher reward, and by how much on average."""
    return {"reward_accuracy": found[accuracy], "reward_margin": found[margin]} if accuracy in found else {}
